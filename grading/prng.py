# SPDX-License-Identifier: MIT
"""The kernel's generator (include/prng.h): SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""

_MASK = (1 << 64) - 1


class Prng:
    """Gives the same numbers as struct prng seeded with the same 64-bit seed."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def next(self) -> int:
        """The next number in [0, 2^64)."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, bound: int) -> int:
        """A number in [0, bound), bound > 0."""
        return self.next() % bound
