# SPDX-License-Identifier: MIT
"""ikos-check: every contradiction in what the kernel says about its frames.

The rules are in census.py and zone_check.py. No code of the guest runs, so this also works
after a panic, with a lock held, or in the middle of an operation.
"""

import gdb
from census import Census, Check
from kernel import (
    Buddy,
    Frames,
    Memory,
    has_zones,
    lock_remark,
    plural,
    structure,
    test_remark,
    type_name,
)
from node import Node
from zone_check import ZoneCheck

_MAX_SHOWN = 20


def show_counts(name: str, census: Census, left_out: tuple[int, int] | None) -> None:
    """The beginning of it."""
    print(
        f"{name}: {census.frames_free} frames free,"
        f" {census.frames_allocated} allocated, {census.frames_reserved} reserved"
    )
    if left_out:
        print(f"  {test_remark(left_out)}")


def show_errors(errors: list[str], remark: str | None) -> None:
    """The end of what a command says about one allocator or zone."""
    for error in errors[:_MAX_SHOWN]:
        print(f"  {error}")
    if len(errors) > _MAX_SHOWN:
        print(f"  and {len(errors) - _MAX_SHOWN} more")
    if not errors:
        print("  no contradiction")
        return
    print(f"{plural(len(errors), 'contradiction')}")
    if remark:
        print(f"  {remark}")


class IkosCheck(gdb.Command):
    """Recompute the state of an allocator of frames and name every contradiction.

    ikos-check [EXPR]

    EXPR is a struct buddy, node or zone, or a pointer to one; without it, all of the machine's
    memory. The rules are those of buddy_check() (mm/memory_validator.c) and, for zones, of
    zone_check() (mm/zone_validator.c), but they are applied from outside: nothing runs in the
    kernel, so this works after a panic or inside an operation. The allocator of a running case
    is the_lab.buddy in lab 1, &the_lab2.node in lab 2.
    """

    def __init__(self) -> None:
        super().__init__("ikos-check", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        frames = Frames(Memory())
        expression = argument.strip() or ("machine" if has_zones() else "mm_frames")
        value = structure(expression, "struct buddy", "struct node", "struct zone")
        if type_name(value) == "struct buddy":
            self._check_buddy(Buddy(expression), frames)
            return
        node = Node(expression)
        for zone in node.zones:
            check = ZoneCheck(node, zone, frames)
            show_counts(f'{zone.expression} "{zone.name}"', check.total, check.left_out)
            show_errors(check.errors, lock_remark(zone.value["lock"]))

    @staticmethod
    def _check_buddy(buddy: Buddy, frames: Frames) -> None:
        check = Check(buddy, frames)
        show_counts(buddy.expression, check.census, check.left_out)
        show_errors(check.errors, buddy.lock_remark())


IkosCheck()
