# SPDX-License-Identifier: MIT
"""A model of which frames are free: what any correct allocator of frames must agree with.

Frames are bits of one Python integer, so that an operation on a block is a shift and a
mask over some thousand bytes: about a microsecond, and a transcript of 100,000 operations
is checked in well under a second. Frame numbers are absolute; "base" is bit 0.

Nothing here says *which* block an allocator must choose, only which it may: so every
correct solution passes, whatever its policy.
"""

from collections.abc import Iterable

from .oracle import ModelError

_MAX_FRAMES = 1 << 24  # 64 GiB


class FrameModel:
    """Managed frames, the free ones among them, and the live blocks."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = (), max_order: int = 10) -> None:
        """ranges: half-open [first, end) of frames given to the allocator at the start."""
        ranges = list(ranges)
        self.max_order = max_order
        # Bit 0 is the head of a largest block, so that alignment does not depend on base.
        self.base = min((first for first, _ in ranges), default=0) >> max_order << max_order
        self.free = 0  # bitmap
        self.managed = 0  # bitmap
        self.live: dict[int, int] = {}  # first frame -> frames: everything handed out
        self.live_orders: dict[int, int] = {}  # first frame -> order: blocks among them
        self._heads: list[int] = []  # by order: bitmap of all aligned heads
        self._heads_bits = 0
        for first, end in ranges:
            self.add(first, end)

    # -- what the allocator was told ------------------------------------------------

    def add(self, first: int, end: int) -> None:
        """Frames are given to the allocator."""
        mask = self._mask(first, end - first)
        if self.managed & mask:
            raise ModelError(f"frames [{first:#x}, {end:#x}) are already managed")
        self.managed |= mask
        self.free |= mask

    def reserve(self, first: int, end: int) -> None:
        """Free frames are taken out for good."""
        mask = self._mask(first, end - first)
        if self.free & mask != mask:
            raise ModelError(f"frames [{first:#x}, {end:#x}) are reserved but not all free")
        self.managed &= ~mask
        self.free &= ~mask

    # -- what it did ------------------------------------------------------------------

    def alloc(self, first: int, order: int) -> None:
        """A block of 2^order frames was handed out: is that possible?"""
        if first & ((1 << order) - 1):
            raise ModelError(f"frame {first:#x} is not aligned to a block of order {order}")
        self.take(first, 1 << order)
        self.live_orders[first] = order

    def take(self, first: int, frames: int) -> None:
        """frames contiguous frames were handed out, with no demand on alignment."""
        mask = self._mask(first, frames)
        if self.free & mask != mask:
            raise ModelError(self._why_not_free(first, frames))
        self.free ^= mask
        self.live[first] = frames

    def release(self, first: int, frames: int) -> None:
        """What take() or alloc() recorded was given back, whole."""
        if self.live.get(first) != frames:
            raise ModelError(f"{_run(frames)} at {first:#x} came back, but was not handed out so")
        del self.live[first]
        self.live_orders.pop(first, None)
        self.free |= self._mask(first, frames)

    def release_block(self, first: int, order: int) -> None:
        self.release(first, 1 << order)

    # -- what it could have done ------------------------------------------------------

    @property
    def frames_free(self) -> int:
        return self.free.bit_count()

    def is_free(self, first: int, end: int) -> bool:
        mask = self._mask(first, end - first)
        return self.free & mask == mask

    def can_alloc(self, order: int) -> bool:
        """Is there an aligned run of 2^order free frames?"""
        if order > self.max_order:
            return False
        runs = self.free
        for i in range(order):
            runs &= runs >> (1 << i)
        return runs & self._aligned(order) != 0

    # -- bits ---------------------------------------------------------------------------

    def _mask(self, first: int, frames: int) -> int:
        if first < self.base or frames <= 0:
            raise ModelError(f"{_run(frames)} at {first:#x}: outside the allocator's memory")
        # What a guest claims must not make a bitmap that the host cannot hold.
        if first + frames - self.base > _MAX_FRAMES:
            raise ModelError(f"{_run(frames)} at {first:#x}: no machine here has so much memory")
        return ((1 << frames) - 1) << (first - self.base)

    def _aligned(self, order: int) -> int:
        bits = self.managed.bit_length()
        if bits > self._heads_bits:
            self._heads_bits = bits
            self._heads = [
                sum_of_heads(bits, block_order) for block_order in range(self.max_order + 1)
            ]
        return self._heads[order]

    def _why_not_free(self, first: int, frames: int) -> str:
        what = f"the {_run(frames)} at {first:#x} {'was' if frames == 1 else 'were'} handed out"
        mask = self._mask(first, frames)
        outside = mask & ~self.managed
        if outside:
            frame = self.base + bits_of(outside)[0]
            return f"{what}, but frame {frame:#x} is not the allocator's"
        taken = self.base + bits_of(mask & ~self.free)[0]
        for start, count in self.live.items():
            if start <= taken < start + count:
                return f"{what}, but {taken:#x} is still in use, in the {_run(count)} at {start:#x}"
        return f"{what}, but frame {taken:#x} is not free"


def _run(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"


def sum_of_heads(bits: int, order: int) -> int:
    """A bitmap with every 2^order-th bit set, from bit 0 up to at least bits."""
    heads, have = 1, 1 << order
    while have < bits:
        heads |= heads << have
        have *= 2
    return heads


def bits_of(bitmap: int) -> list[int]:
    """Numbers of the bits that are set, rising."""
    result = []
    while bitmap:
        low = bitmap & -bitmap
        result.append(low.bit_length() - 1)
        bitmap ^= low
    return result
