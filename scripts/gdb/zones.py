# SPDX-License-Identifier: MIT
"""ikos-zones: the zones of a node, with all that belongs to them."""

import gdb
from check import show_errors
from kernel import Frames, Memory, borrowed_by_test, lock_remark, test_remark
from node import CpuList, Node, Zone, list_orders, mobilities
from zone_check import ZoneCheck

_COLUMNS = 64  # of the strip of page blocks
_MARKS = ("min", "low", "high")


class IkosZones(gdb.Command):
    """Show zones: marks, groups, page blocks, the CPUs' lists, events, and what is wrong.

    ikos-zones [EXPR]

    EXPR is a struct node or zone, or a pointer to one; without it, the machine's node. A letter
    stands for each page block of the zone:  U unmovable  R reclaimable  M movable
    u r m the same, and all of it is free   - no memory   ? a running test uses it as it likes
    Contradictions are those of ikos-check. The node of a running case of lab 2 is
    &the_lab2.node.
    """

    def __init__(self) -> None:
        super().__init__("ikos-zones", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        frames = Frames(Memory())
        node = Node(argument)
        for zone in node.zones:
            lists = list(node.lists(zone))
            self._show_counts(zone, lists)
            self._show_groups(zone)
            self._show_blocks(zone, frames)
            self._show_lists(lists)
            events = [f"{name} {count}" for name, count in zone.events() if count]
            print(f"  events       {', '.join(events) or 'none'}")
            check = ZoneCheck(node, zone, frames)
            if check.left_out:
                print(f"  {test_remark(check.left_out)}")
            show_errors(check.errors, lock_remark(zone.value["lock"]))

    @staticmethod
    def _show_counts(zone: Zone, lists: list[CpuList]) -> None:
        cached = sum(found.length << found.order for found in lists)
        print(
            f'{zone.expression} "{zone.name}": frames [{zone.first:#x}, {zone.end:#x}),'
            f" {zone.nr_free} free of {zone.nr_managed}, {cached} in the CPUs' lists"
        )
        marks = ", ".join(f"{n} {m}" for n, m in zip(_MARKS, zone.marks(), strict=True))
        kept = [
            f"{name} {zone.reserve(i)}"
            for i, name in enumerate(("DMA", "Normal", "High", "Movable"))
            if zone.reserve(i)
        ]
        print(f"  marks        {marks}")
        text = f"kept from requests that prefer {', '.join(kept)}" if kept else "none"
        print(f"  reserve      {text}")

    @staticmethod
    def _show_groups(zone: Zone) -> None:
        print("  group        page blocks  frames free  frames in all")
        for i, (buddy, name) in enumerate(zip(zone.groups, mobilities(), strict=True)):
            print(
                f"  {name:<11}  {zone.nr_blocks(i):11}  {buddy.frames_free:11}"
                f"  {buddy.frames_managed:13}"
            )

    @staticmethod
    def _show_blocks(zone: Zone, frames: Frames) -> None:
        arena = borrowed_by_test(zone.first, zone.end)
        letters = [name[0].upper() for name in mobilities()]
        strip = ""
        for number, mobility in enumerate(zone.block_mobilities(frames)):
            pfn = zone.first + (number << frames.max_order)
            if arena and arena[0] <= pfn < arena[1]:
                strip += "?"
            elif not frames.is_present(pfn) or not any(
                state != frames.reserved
                for state in frames.states(pfn, pfn + (1 << frames.max_order))
            ):
                strip += "-"
            elif mobility >= len(letters):
                strip += "!"
            elif frames.state(pfn) == frames.free and frames.order(pfn) == frames.max_order:
                strip += letters[mobility].lower()
            else:
                strip += letters[mobility]
        for at in range(0, len(strip), _COLUMNS):
            first = zone.first + (at << frames.max_order)
            print(f"  from {first:#8x} {strip[at : at + _COLUMNS]}")

    @staticmethod
    def _show_lists(lists: list[CpuList]) -> None:
        """How many blocks of how many at most, of groups whose lists hold something."""
        names = mobilities()
        held = sorted({(found.cpu, found.group) for found in lists if found.length or found.first})
        if held:
            print(f"  CPU          blocks / at most, of orders 0 to {list_orders() - 1}")
        for cpu, group in held:
            row = [
                f"{found.length:3} /{found.limit:3}"
                for found in lists
                if (found.cpu, found.group) == (cpu, group)
            ]
            print(f"  {cpu:<11}  {names[group % len(names)]:<11} {'  '.join(row)}")


IkosZones()
