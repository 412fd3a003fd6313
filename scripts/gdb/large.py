# SPDX-License-Identifier: MIT
"""The area of large objects: which range of addresses an address lies in (mm/large_object.c)."""

from collections.abc import Iterator

import gdb
from heap import at
from kernel import (
    PAGE_SIZE,
    Frames,
    ListBroken,
    Memory,
    address_of,
    enumerators,
    follow_list,
    offset_of,
    variable,
)

LARGE_BASE, LARGE_SIZE = 0xFFFFC80000000000, 1 << 40  # kernel/x86_64/include/arch/layout.h
_MAX_HEIGHT = 64
_ORDER_MASK = 127  # of a block, in the low bits of its page's owner


def is_large_address(address: int) -> bool:
    return LARGE_BASE <= address < LARGE_BASE + LARGE_SIZE


class LargeRange:
    """What an address of the area is in: the range of an object with its guards, or a gap."""

    def __init__(self, memory: Memory, address: int) -> None:
        self._memory = memory
        self.address = address
        self.object: gdb.Value | None = None
        self.gap = [0, LARGE_SIZE]
        offset = address - LARGE_BASE
        node = address_of(variable("mm/large_object.c", "ranges")["tree"]["root"])
        for _ in range(_MAX_HEIGHT):
            if not node:
                return
            if node % 8 or not memory.is_readable(node, 64):
                raise gdb.GdbError(f"the tree of large objects leads to {node:#x}: no node")
            value = at("struct large_object", node)  # its range, and that one's node, come first
            start, end = int(value["range"]["node"]["key"]), int(value["range"]["end"])
            if start <= offset < end:
                self.object = value
                return
            below = offset < start
            if below:
                self.gap[1] = start
            else:
                self.gap[0] = end
            node = address_of(value["range"]["node"]["child"][0 if below else 1])
        raise gdb.GdbError("the tree of large objects is higher than it can be")

    @property
    def start(self) -> int:
        """Where the object begins, behind the first guard page."""
        assert self.object is not None
        return LARGE_BASE + int(self.object["range"]["node"]["key"]) + PAGE_SIZE

    @property
    def end(self) -> int:
        """One past its last page."""
        assert self.object is not None
        return self.start + int(self.object["nr_frames"]) * PAGE_SIZE

    @property
    def size(self) -> int:
        assert self.object is not None
        return int(self.object["size"])

    @property
    def state(self) -> str:
        assert self.object is not None
        names = {number: name for name, number in enumerators("enum large_state").items()}
        number = int(self.object["state"])
        return names.get(number, f"{number:#x}").removeprefix("LARGE_").lower()

    def frame(self, frames: Frames) -> int | None:
        """The frame that the address is mapped to, by the list of the object's blocks."""
        page = (self.address - self.start) // PAGE_SIZE
        for pfn, nr_frames in self.blocks(frames):
            if page < nr_frames:
                return pfn + page
            page -= nr_frames
        return None

    def blocks(self, frames: Frames) -> Iterator[tuple[int, int]]:
        """The first frame and the size of each block, in the order of addresses."""
        assert self.object is not None
        head = address_of(self.object["blocks"].address)
        try:
            for link in follow_list(self._memory, head, int(self.object["nr_frames"])):
                pfn = frames.pfn_of_link(link)
                if pfn is None:
                    return
                owner = int(at("struct page", link - offset_of("struct page", "link"))["owner"])
                yield pfn, 1 << (owner & _ORDER_MASK)
        except ListBroken:
            return
