# SPDX-License-Identifier: MIT
"""A buddy allocator's state by the rules of mm/memory_validator.c, recomputed from outside.

The truth is what the frames say one by one. From it follows how many blocks of each order are
free, which is compared with the free lists and with every counter. No code of the guest runs,
so this also works after a panic, with a lock held, or in the middle of an operation.
"""

from collections.abc import Iterator

from kernel import Buddy, Frames, borrowed_by_test, plural


def without(first: int, end: int, hole: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
    """What is left of [first, end)."""
    if hole is None or hole[1] <= first or end <= hole[0]:
        yield first, end
        return
    if first < hole[0]:
        yield first, hole[0]
    if hole[1] < end:
        yield hole[1], end


class Census:
    """A walk over the frames of an allocator: what is free, and what cannot be."""

    def __init__(self, frames: Frames, parts: list[tuple[int, int]]) -> None:
        self._frames = frames
        self.errors: list[str] = []
        self.free_blocks = [0] * (frames.max_order + 1)
        self.frames_free = 0
        self.frames_allocated = 0
        self.frames_reserved = 0
        for first, end in parts:
            self._walk(first, end)

    def add(self, other: "Census") -> None:
        """The counts of frames of another part of the same zone."""
        self.frames_free += other.frames_free
        self.frames_allocated += other.frames_allocated
        self.frames_reserved += other.frames_reserved

    def _walk(self, first: int, end: int) -> None:
        frames, states = self._frames, self._frames.states(first, end)
        i = 0
        while i < len(states):
            if states[i] in (frames.free, frames.allocated):
                i += self._block(first, states, i)
                continue
            end = i + 1
            while end < len(states) and states[end] == states[i]:
                end += 1
            if states[i] == frames.reserved:
                self.frames_reserved += end - i
            else:
                self._outside(first + i, first + end, frames.state_name(states[i]))
            i = end

    def _outside(self, pfn: int, end: int, state: str) -> None:
        """One contradiction for a run of frames: it has one cause."""
        if end - pfn == 1:
            self.errors.append(f"frame {pfn:#x} is {state} outside any block")
        else:
            self.errors.append(f"frames [{pfn:#x}, {end:#x}) are {state} outside any block")

    def _block(self, first: int, states: bytes, i: int) -> int:
        """Check the block that begins at states[i]. Returns the frames to step over."""
        frames, pfn = self._frames, first + i
        order = frames.order(pfn)
        if order > frames.max_order:
            self.errors.append(f"frame {pfn:#x} heads a block of order {order}")
            return 1
        size = 1 << order
        if pfn % size or i + size > len(states):
            self.errors.append(
                f"frame {pfn:#x} heads a block of order {order} that cannot lie there"
            )
            return 1
        for k in range(i + 1, i + size):
            if states[k] != frames.tail:
                self.errors.append(
                    f"frame {first + k:#x} is {frames.state_name(states[k])}"
                    f" inside the block {pfn:#x} of order {order}"
                )
                return k - i
        if states[i] == frames.allocated:
            self.frames_allocated += size
            return size
        self.frames_free += size
        self.free_blocks[order] += 1
        self._check_buddy(pfn, order)
        return size

    def _check_buddy(self, pfn: int, order: int) -> None:
        frames, other = self._frames, pfn ^ 1 << order
        if order == frames.max_order or other < pfn or not frames.is_present(other):
            return
        if frames.state(other) == frames.free and frames.order(other) == order:
            self.errors.append(f"buddies {pfn:#x} and {other:#x} of order {order} are both free")


class Check:
    """All contradictions of one allocator."""

    def __init__(self, buddy: Buddy, frames: Frames) -> None:
        self._buddy = buddy
        self._frames = frames
        self.left_out = borrowed_by_test(buddy.first, buddy.end)
        self.census = Census(frames, list(self._parts()))
        self.errors = self.census.errors
        for order in range(frames.max_order + 1):
            self._check_list(order)
        self._check_totals()

    def _parts(self) -> Iterator[tuple[int, int]]:
        """The frames to walk: the allocator's own, without those that a test has borrowed."""
        for first, end in self._frames.within(self._buddy.first, self._buddy.end):
            for part in without(first, end, self.left_out):
                yield from self._buddy.own(self._frames, *part)

    def _is_ours(self, pfn: int | None) -> bool:
        return pfn is not None and self._buddy.first <= pfn < self._buddy.end

    def _check_list(self, order: int) -> None:
        free = self.census.free_blocks[order]
        length = self._walk_list(order)
        if length is not None and length != free:
            word = "fewer" if length < free else "more"
            self.errors.append(
                f"free list {order} holds {word} blocks than the {free} that are free"
            )
        if self._buddy.nr_free(order) != free:
            self.errors.append(
                f"nr_free of order {order} says {self._buddy.nr_free(order)},"
                f" but {plural(free, 'block')} of it are free"
            )
        if bool(self._buddy.nonempty >> order & 1) != bool(free):
            self.errors.append(
                f"bit {order} of nonempty ({self._buddy.nonempty:#x}) is wrong:"
                f" {plural(free, 'block')} are free"
            )

    def _walk_list(self, order: int) -> int | None:
        """The length of a free list, one more than there are free blocks at most, or None."""
        frames, memory = self._frames, self._frames.memory
        head = self._buddy.list_head(order)
        before, link, length = head, memory.word(head), 0
        while link != head:
            pfn = frames.pfn_of_link(link)
            if not self._is_ours(pfn):
                after = "its head" if before == head else f"frame {frames.pfn_of_link(before):#x}"
                self.errors.append(
                    f"free list {order}: the next of {after} is {link:#x}, which is no page"
                )
                return None
            if memory.word(link + 8) != before:
                self.errors.append(
                    f"free list {order}: the prev of frame {pfn:#x} is {memory.word(link + 8):#x},"
                    f" but it comes after {before:#x}"
                )
                return None
            state, block_order = frames.state(pfn), frames.order(pfn)
            if state != frames.free or block_order != order:
                self.errors.append(
                    f"free list {order} holds frame {pfn:#x}, {frames.state_name(state)}"
                    f" of order {block_order}"
                )
            length += 1
            if length > self.census.free_blocks[order]:
                return length
            before, link = link, memory.word(link)
        if memory.word(head + 8) != before:
            self.errors.append(f"free list {order} does not end where its head says")
        return length

    def _check_totals(self) -> None:
        buddy, census = self._buddy, self.census
        if buddy.nonempty >> self._frames.max_order + 1:
            self.errors.append(
                f"nonempty ({buddy.nonempty:#x}) has bits beyond order {self._frames.max_order}"
            )
        if buddy.frames_free != census.frames_free:
            self.errors.append(
                f"frames_free says {buddy.frames_free}, but {census.frames_free} frames are free"
            )
        used = census.frames_free + census.frames_allocated
        if buddy.frames_managed != used:
            self.errors.append(
                f"frames_managed says {buddy.frames_managed}, but {used} are free or allocated"
            )
