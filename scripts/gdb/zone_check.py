# SPDX-License-Identifier: MIT
"""A zone's state by the rules of mm/zone_validator.c, recomputed from outside.

Each frame must say the same as the page block that it lies in. The CPUs' lists are followed
without believing how long they say that they are. The groups are checked as buddy allocators,
and what they say must agree with the zone's sums.
"""

from census import Census, Check, without
from kernel import Frames, borrowed_by_test, plural
from node import LENT_RUN, CpuList, Node, Zone, lent_mark, mobilities, walk


class ZoneCheck:
    """All contradictions of one zone."""

    def __init__(self, node: Node, zone: Zone, frames: Frames) -> None:
        self._zone, self._frames = zone, frames
        self._names = mobilities()
        self.left_out = borrowed_by_test(zone.first, zone.end)
        self.errors: list[str] = []
        self.total = Census(frames, [])
        self._blocks = zone.block_mobilities(frames)
        # What explains the rest comes first: a frame in the wrong group damages free lists.
        self._check_blocks()
        self._check_pages()
        for found in node.lists(zone):
            self._check_list(found)
        self._check_groups()

    def _check_blocks(self) -> None:
        for number, mobility in enumerate(self._blocks):
            if mobility >= len(self._names):
                self.errors.append(f"page block {number} has mobility {mobility}")
        for mobility, name in enumerate(self._names):
            marked, counted = self._blocks.count(mobility), self._zone.nr_blocks(mobility)
            if counted != marked:
                self.errors.append(
                    f"group {name} has {plural(counted, 'page block')}, but {marked} are marked so"
                )

    def _check_groups(self) -> None:
        free = managed = 0
        for buddy, name in zip(self._zone.groups, self._names, strict=True):
            check = Check(buddy, self._frames)
            self.errors += [f"{name}: {error}" for error in check.errors]
            self.total.add(check.census)
            free += buddy.frames_free
            managed += buddy.frames_managed
        if self._zone.nr_free != free:
            self.errors.append(
                f"nr_free says {self._zone.nr_free}, but {free} are free in its groups"
            )
        if self._zone.nr_managed != managed:
            self.errors.append(
                f"nr_managed says {self._zone.nr_managed}, but its groups have {managed}"
            )

    def _check_pages(self) -> None:
        """What each frame's page says of the group, and of being lent."""
        for part in self._frames.within(self._zone.first, self._zone.end):
            for first, end in without(*part, self.left_out):
                states = self._frames.states(first, end)
                self._check_group(first, end, states)
                self._check_lent(first, end, states)

    def _check_group(self, first: int, end: int, states: bytes) -> None:
        groups, pfn = self._frames.members("group", first, end), first
        while pfn < end:
            begin, said, group = pfn, groups[pfn - first], self._group_of(pfn)
            while (
                pfn < end
                and states[pfn - first] != self._frames.reserved
                and (groups[pfn - first], self._group_of(pfn)) == (said, group)
            ):
                pfn += 1
            if pfn == begin:
                pfn += 1
            elif said != group:  # one contradiction for a run of frames: it has one cause
                which = f"frames [{begin:#x}, {pfn:#x}) say that they are"
                if pfn - begin == 1:
                    which = f"frame {begin:#x} says that it is"
                self.errors.append(f"{which} in group {said}, but the page block is in {group}")

    def _check_lent(self, first: int, end: int, states: bytes) -> None:
        frames = self._frames
        orders, lent = (frames.members(name, first, end) for name in ("order", "lent"))
        marks = [lent_mark(order) for order in range(frames.max_order + 1)]
        for i, mark in enumerate(lent):
            if mark == 0 or states[i] == frames.reserved:
                continue
            good = mark == LENT_RUN or (mark in marks and marks.index(mark) == orders[i])
            if states[i] != frames.allocated or not good:
                self.errors.append(f"frame {first + i:#x} is lent, but heads no such block")

    def _group_of(self, pfn: int) -> int:
        block = (pfn - self._zone.first) >> self._frames.max_order
        return self._zone.type * len(self._names) + self._blocks[block]

    def _check_list(self, found: CpuList) -> None:
        frames = self._frames
        name = self._names[found.group % len(self._names)]
        place = f"CPU {found.cpu}'s list of {name}, order {found.order}"
        done = walk(found, frames)
        for pfn in done.blocks:
            state, order, lent = frames.state(pfn), frames.order(pfn), frames.member("lent", pfn)
            group = frames.member("group", pfn)
            if (state, order, lent, group) != (frames.allocated, found.order, 0, found.group):
                self.errors.append(
                    f"{place} holds frame {pfn:#x}, which does not belong there:"
                    f" {frames.state_name(state)}, order {order}, group {group}"
                    f"{', lent' if lent else ''}"
                )
        if len(done.blocks) < found.length:
            self.errors.append(
                f"{place} leads to {done.next:#x}, which is no page, after"
                f" {len(done.blocks)} of {found.length}"
            )
        elif done.next:
            self.errors.append(f"{place} is longer than it says ({found.length})")
