# SPDX-License-Identifier: MIT
"""A model of a heap: which addresses are in use, and nothing else.

It knows no slabs, lists or magazines: any address will do for an object that is aligned, and
that nothing in use overlaps.
"""

from bisect import bisect_left

from .oracle import ModelError


class HeapModel:
    """Objects in use, by address."""

    def __init__(self) -> None:
        self.live: dict[int, int] = {}  # address -> size
        self._starts: list[int] = []  # the same addresses, sorted

    def alloc(self, address: int, size: int, align: int) -> None:
        """An object was handed out."""
        if address % align:
            raise ModelError(f"object {address:#x} is not aligned to {align}")
        at = bisect_left(self._starts, address)
        for neighbour in self._starts[max(at - 1, 0) : at + 1]:
            if neighbour < address + size and address < neighbour + self.live[neighbour]:
                raise ModelError(
                    f"object {address:#x} of {size} bytes overlaps {neighbour:#x} of"
                    f" {self.live[neighbour]} bytes, which is in use"
                )
        self._starts.insert(at, address)
        self.live[address] = size

    def free(self, address: int) -> None:
        if address not in self.live:
            raise ModelError(f"{address:#x} is freed, but nobody has it")
        del self.live[address]
        del self._starts[bisect_left(self._starts, address)]

    def covers(self, address: int) -> bool:
        """Does an object in use lie over the address?"""
        at = bisect_left(self._starts, address + 1) - 1
        return at >= 0 and address < self._starts[at] + self.live[self._starts[at]]
