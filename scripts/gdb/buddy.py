# SPDX-License-Identifier: MIT
"""ikos-buddy: the free lists of a buddy allocator."""

from dataclasses import dataclass

import gdb
from kernel import (
    Buddy,
    Frames,
    ListBroken,
    Memory,
    borrowed_by_test,
    follow_list,
    has_zones,
    plural,
    test_remark,
)
from node import Node

_BLOCKS_SHOWN = 4


@dataclass
class FreeList:
    """What following the free list of one order came to."""

    blocks: list[int]  # frames
    broken: str | None


def read_free_list(buddy: Buddy, frames: Frames, order: int) -> FreeList:
    found = FreeList([], None)
    limit = max(buddy.end - buddy.first >> order, 1)
    try:
        for link in follow_list(frames.memory, buddy.list_head(order), limit):
            pfn = frames.pfn_of_link(link)
            if pfn is None:
                raise ListBroken(f"{link:#x} is not the link of a page")
            found.blocks.append(pfn)
    except ListBroken as broken:
        place = f"after frame {found.blocks[-1]:#x}" if found.blocks else "at its head"
        found.broken = f"broken {place}: {broken}"
    return found


def unusable(nr_free: list[int], order: int) -> float:
    """The share of free frames that is in blocks too small for a request of that order."""
    frames = [count << o for o, count in enumerate(nr_free)]
    return sum(frames[:order]) / sum(frames) if any(frames) else 0.0


def fragmentation_index(nr_free: list[int], order: int) -> float:
    """Why a request fails: 0 for want of memory, 1 for its pieces, -1 if it does not fail."""
    if any(nr_free[order:]):
        return -1.0
    if not any(nr_free):
        return 0.0
    frames = sum(count << o for o, count in enumerate(nr_free))
    return 1 - (1 + frames / (1 << order)) / sum(nr_free)


class IkosBuddy(gdb.Command):
    """Show the free lists of a buddy allocator, and what its counters say.

    ikos-buddy [EXPR]

    EXPR is a struct buddy or a pointer to one; without it, those of the machine's memory: one
    in a kernel of lab 1, from lab 2 on one for each group of page blocks. For each order:
    nr_free as counted by the kernel, the blocks that are on the list, the two measures of
    fragmentation (see mm/buddy_statistics.c), and the first frames of the list. A list that is
    damaged is followed as far as it goes. The allocator of a running case of lab 1 is
    the_lab.buddy.
    """

    def __init__(self) -> None:
        super().__init__("ikos-buddy", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        frames = Frames(Memory())
        if argument.strip():
            self._show(Buddy(argument), frames)
        elif not has_zones():
            self._show(Buddy("mm_frames"), frames)
        else:
            for zone in Node().zones:
                for buddy in zone.groups:
                    if buddy.frames_managed:
                        self._show(buddy, frames)

    def _show(self, buddy: Buddy, frames: Frames) -> None:
        lists = [read_free_list(buddy, frames, order) for order in range(frames.max_order + 1)]
        print(
            f'{buddy.expression}: "{buddy.name}", frames [{buddy.first:#x}, {buddy.end:#x}):'
            f" {buddy.frames_free} free of {buddy.frames_managed}"
        )
        print("order  nr_free  on list  unusable   index  first blocks")
        nr_free = [buddy.nr_free(order) for order in range(len(lists))]
        for order, found in enumerate(lists):
            bit = bool(buddy.nonempty >> order & 1)
            print(
                f"{order:5}  {nr_free[order]:7}  {len(found.blocks):7}"
                f"  {unusable(nr_free, order):8.3f}  {fragmentation_index(nr_free, order):6.3f}"
                f"  {self._first_blocks(found)}{self._remark(found, nr_free[order], bit)}"
            )
        for order, found in enumerate(lists):
            if found.broken:
                print(f"free list {order} is {found.broken}")
        if remark := buddy.lock_remark():
            print(remark)
        if arena := borrowed_by_test(buddy.first, buddy.end):
            print(test_remark(arena))

    @staticmethod
    def _first_blocks(found: FreeList) -> str:
        shown = " ".join(f"{pfn:#x}" for pfn in found.blocks[:_BLOCKS_SHOWN])
        return shown + (" ..." if len(found.blocks) > _BLOCKS_SHOWN else "")

    @staticmethod
    def _remark(found: FreeList, nr_free: int, bit: bool) -> str:
        """What does not agree in this line."""
        wrong = []
        if found.broken:
            wrong.append("broken, see below")
        elif len(found.blocks) != nr_free:
            wrong.append(f"nr_free is wrong by {plural(abs(nr_free - len(found.blocks)), 'block')}")
        if bit != bool(nr_free):
            wrong.append(f"its bit in nonempty is {int(bit)}")
        return f"  <- {'; '.join(wrong)}" if wrong else ""


IkosBuddy()
