# SPDX-License-Identifier: MIT
"""Frames as blocks, and what each event does to them. template/state.js does the same.

One byte a frame: a head says state and order, every other frame of a block is a TAIL, and
a frame that no allocator has is RESERVED. An event that does not fit is applied all the same, so
that one wrong step does not spoil the rest; it is reported as a contradiction.
"""

from .ring import MAX_ORDER, Event

RESERVED, TAIL = 0x00, 0xFF
FREE, ALLOCATED = 0x10, 0x20  # | order
_STATE = 0xF0
_ORDER = 0x0F
_NO_HEADS = bytes([RESERVED, TAIL])
_FREE_OR_TAIL = bytes([TAIL, *(FREE | order for order in range(MAX_ORDER + 1))])


def is_head(cell: int) -> bool:
    return cell not in (RESERVED, TAIL)


class Blocks:
    """The frames [first, first + len(cells))."""

    def __init__(self, first: int, frames: int, cells: bytes | None = None) -> None:
        self.first = first
        self.cells = bytearray(cells if cells is not None else bytes(frames))
        self.free = self.counts(FREE)  # blocks by order, kept up to date

    def apply(self, event: int, pfn: int, order: int) -> bool:
        """Do what the event says. Returns whether it fits what was there."""
        at, fits = pfn - self.first, self._fits(event, pfn - self.first, order)
        if event in (Event.INIT, Event.RESERVE):
            self.place(at, order, RESERVED)
        elif event == Event.ALLOC:
            self.place(at, order, ALLOCATED | order)
        elif event == Event.SPLIT:
            self.place(at, order, FREE | order)
            self._halve(at)
        else:  # ADD, FREE, MERGE
            self.place(at, order, FREE | order)
        return fits

    def undo(self, event: int, pfn: int, order: int) -> None:
        """Make it as it must have been before the event."""
        at = pfn - self.first
        if event == Event.ADD:
            self.place(at, order, RESERVED)
        elif event == Event.FREE:
            self.place(at, order, ALLOCATED | order)
        elif event == Event.MERGE:
            self.apply(Event.SPLIT, pfn, order)
        elif event == Event.RESERVE:
            step = min(order, MAX_ORDER)
            for piece in range(at, at + (1 << order), 1 << step):
                self.place(piece, step, FREE | step)
        elif event in (Event.ALLOC, Event.SPLIT):
            self.place(at, order, FREE | order)

    def join_buddies(self) -> None:
        """Merge free blocks whose buddy is free, as an allocator at rest has done."""
        for order in range(MAX_ORDER):
            size, code = 1 << order, FREE | order
            for at in range(-self.first % (2 * size), len(self.cells) - size, 2 * size):
                if self.cells[at] == code and self.cells[at + size] == code:
                    self.place(at, order + 1, code + 1)

    def counts(self, state: int) -> list[int]:
        """How many blocks of that state there are, by order."""
        return [self.cells.count(state | order) for order in range(MAX_ORDER + 1)]

    def place(self, at: int, order: int, code: int) -> None:
        """Make [at, at + 2^order) one block, or reserved frames, whatever lies there."""
        end = at + (1 << order)
        here = self.cells[at]
        if not (is_head(here) and here & _ORDER == order):
            self._isolate(at, order)
            self._fill(at, end, TAIL)
        if code == RESERVED:
            self._fill(at, end, RESERVED)
        else:
            self._set(at, code)

    def _set(self, at: int, code: int) -> None:
        for cell, step in ((self.cells[at], -1), (code, 1)):
            if cell & _STATE == FREE:
                self.free[cell & _ORDER] += step
        self.cells[at] = code

    def _fill(self, at: int, end: int, code: int) -> None:
        for cell in self.cells[at:end].translate(None, _NO_HEADS):
            if cell & _STATE == FREE:
                self.free[cell & _ORDER] -= 1
        self.cells[at:end] = bytes([code]) * (end - at)

    def _halve(self, head: int) -> None:
        code = self.cells[head] - 1
        self._set(head, code)
        self._set(head + (1 << (code & _ORDER)), code)

    def _head(self, at: int, order: int) -> int | None:
        """The head of the block that holds at, if it has at least that order."""
        for o in range(order, MAX_ORDER + 1):
            head = (at + self.first & -(1 << o)) - self.first
            if head >= 0 and is_head(self.cells[head]) and self.cells[head] & _ORDER >= o:
                return head
        return None

    def _isolate(self, at: int, order: int) -> None:
        """Cut a larger block around [at, at + 2^order) into halves until none is left."""
        head = self._head(at, order)
        if head is None:
            return
        while self.cells[head] & _ORDER > order:
            self._halve(head)
            half = 1 << (self.cells[head] & _ORDER)
            if at >= head + half:
                head += half

    def _fits(self, event: int, at: int, order: int) -> bool:
        if event == Event.INIT:
            return True
        if event == Event.ADD:
            return not any(self.cells[at : at + (1 << order)])
        if event == Event.FREE:
            return self.cells[at] == ALLOCATED | order
        return self._all_free(at, order)

    def _all_free(self, at: int, order: int) -> bool:
        """Is each frame of [at, at + 2^order) in a free block, be it one or several?"""
        head = self._head(at, order)
        if head is not None:
            return self.cells[head] & _STATE == FREE
        inside = self.cells[at : at + (1 << order)]
        return inside[0] != TAIL and not inside.translate(None, _FREE_OR_TAIL)
