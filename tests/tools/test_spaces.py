# SPDX-License-Identifier: MIT
"""What lab 4 is held to: the walk over page tables, and the model of address spaces."""

from pathlib import Path
from typing import Any

import pytest
from grading import initrd
from grading.errors import GradingError, GuestError
from grading.guest import Guest
from grading.lab import Case
from grading.oracle import ModelError
from grading.space_check import ACCESSED, DIRTY, NO_EXEC, PRESENT, USER, WRITABLE, walk
from grading.space_model import (
    ACCERR,
    BUS,
    DONE,
    MAPERR,
    NOMEM,
    OVERFLOW,
    PAGE,
    READ,
    STACK_GUARD,
    WRITE,
    File,
    Frame,
    Region,
    Space,
    Spaces,
)

ZERO, BASE = 7, 0x40000000
TABLE = PRESENT | WRITABLE | USER


# ---- Page tables ---------------------------------------------------------------------------


class NoImage:
    def to_physical(self, _vaddr: int) -> None:
        return None


def guest_with(entries: dict[tuple[int, int], int]) -> Guest:
    """table number and index -> entry, in a memory of 16 frames."""
    ram = bytearray(16 * PAGE)
    for (table, index), entry in entries.items():
        at = table * PAGE + index * 8
        ram[at : at + 8] = entry.to_bytes(8, "little")
    return Guest(bytes(ram), NoImage())  # type: ignore[arg-type]


TREE: dict[tuple[int, int], int] = {
    (1, 3): 2 * PAGE | TABLE,
    (2, 0): 3 * PAGE | TABLE,
    (3, 511): 4 * PAGE | TABLE,
    (4, 5): 9 * PAGE | PRESENT | USER,
    (1, 256): 0xDEAD000 | TABLE,  # the kernel's half is nobody's business
}


def test_a_tree_is_walked() -> None:
    tree = walk(guest_with(TREE), PAGE)
    address = 3 << 39 | 511 << 21 | 5 << 12
    assert tree.entries == {address: 9 * PAGE | PRESENT | USER}
    assert [(t.level, t.pfn, t.used) for t in tree.tables] == [
        (3, 1, 1), (2, 2, 1), (1, 3, 1), (0, 4, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "entry", "says"),
    [
        ((3, 511), 4 * PAGE, "that is no table"),
        ((3, 511), 4 * PAGE | TABLE | 1 << 7, "that is no table"),
        ((3, 511), 400 * PAGE | TABLE, "no memory"),
        ((3, 510), 4 * PAGE | TABLE, "in two places"),
        ((3, 511), 1 * PAGE | TABLE, "is no|in two places|no table|no memory|more than"),
    ],
)
def test_what_is_no_tree_is_refused(place: tuple[int, int], entry: int, says: str) -> None:
    with pytest.raises(GuestError, match=says):
        walk(guest_with(TREE | {place: entry}), PAGE)


# ---- Regions --------------------------------------------------------------------------------


def model(*regions: Region) -> tuple[Spaces, Space]:
    spaces = Spaces(ZERO)
    space = spaces.create(1, 2)
    for region in regions:
        spaces.map(space, region)
    return spaces, space


def region(first: int, pages: int, prot: int = 3, **more: Any) -> Region:
    start = BASE + first * PAGE
    return Region(start, start + pages * PAGE, prot, home=start // PAGE, **more)


def spans(space: Space) -> list[tuple[int, int, int]]:
    return [((r.start - BASE) // PAGE, (r.end - BASE) // PAGE, r.prot) for r in space.regions]


def test_neighbours_that_are_alike_are_one() -> None:
    spaces, space = model(region(0, 4), region(4, 4), region(8, 2, 1))
    assert spans(space) == [(0, 8, 3), (8, 10, 1)]
    assert spaces.protect(space, BASE + 8 * PAGE, BASE + 10 * PAGE, 3) == 0
    assert spans(space) == [(0, 10, 3)]


def test_a_hole_is_cut() -> None:
    _, space = model(region(0, 9))
    space.unmap(BASE + 3 * PAGE, BASE + 5 * PAGE)
    assert spans(space) == [(0, 3, 3), (5, 9, 3)]
    assert space.covers(BASE, BASE + 3 * PAGE)
    assert not space.covers(BASE, BASE + 4 * PAGE)


def test_rights_go_as_far_as_they_may() -> None:
    fixed = region(5, 2, 1, file=File(0, 0, 9), max_prot=1)
    spaces, space = model(region(0, 2), region(3, 2), fixed)
    assert spaces.protect(space, BASE, BASE + 4 * PAGE, 1) == 12  # ENOMEM at the hole
    assert spaces.protect(space, BASE + 3 * PAGE, BASE + 7 * PAGE, 3) == 13  # EACCES
    assert spans(space) == [(0, 2, 1), (3, 5, 3), (5, 7, 1)]


# ---- Faults ----------------------------------------------------------------------------------


def entry(pfn: int, bits: int = 0) -> int:
    return pfn * PAGE | PRESENT | USER | NO_EXEC | ACCESSED | bits


WRITTEN = WRITABLE | DIRTY


def test_zeroes_then_a_frame() -> None:
    spaces, space = model(region(0, 4))
    assert spaces.access(space, BASE, READ, DONE, 1, entry(ZERO)) is spaces.zero
    frame = spaces.access(space, BASE, WRITE, DONE, 1, entry(20, WRITTEN))
    assert frame and frame.pfn == 20
    assert spaces.access(space, BASE, READ, DONE, 0, entry(20, WRITTEN)) is frame
    assert (space.stats["zero"], space.stats["anonymous"]) == (1, 1)


@pytest.mark.parametrize(
    ("access", "faults", "got", "says"),
    [
        (READ, 1, entry(ZERO, WRITABLE), "must not allow writing"),
        (READ, 1, entry(20), "another frame"),
        (READ, 0, entry(ZERO), "needed no fault"),
        (READ, 2, entry(ZERO), "took 2 faults"),
        (READ, 1, entry(ZERO) & ~ACCESSED, "was used"),
        (READ, 1, entry(ZERO) & ~NO_EXEC, "right to execute"),
        (WRITE, 1, entry(ZERO, WRITTEN), "the page of zeroes"),
        (WRITE, 1, entry(20, DIRTY), "must allow writing"),
        (WRITE, 1, entry(20, WRITABLE), "was written to"),
        (WRITE, 1, 0, "nothing is there"),
    ],
)
def test_wrong_entries_are_refused(access: int, faults: int, got: int, says: str) -> None:
    spaces, space = model(region(0, 4))
    with pytest.raises(ModelError, match=says):
        spaces.access(space, BASE, access, DONE, faults, got)


def test_results_are_held_to() -> None:
    spaces, space = model(region(0, 1, 1))
    assert spaces.access(space, BASE, WRITE, ACCERR, 1, 0) is None
    assert spaces.access(space, BASE + PAGE, READ, MAPERR, 1, 0) is None
    with pytest.raises(ModelError, match="must be DONE, but is NOMEM"):
        spaces.access(space, BASE, READ, NOMEM, 1, 0)
    spaces.failing = True
    assert spaces.access(space, BASE, READ, NOMEM, 1, 0) is None


def test_who_writes_to_what_is_shared_gets_a_copy() -> None:
    spaces, parent = model(region(0, 1))
    first = spaces.access(parent, BASE, WRITE, DONE, 1, entry(20, WRITTEN))
    assert first
    first.words[8] = 77
    child = spaces.fork(parent, 3, 4)
    with pytest.raises(ModelError, match="another frame|it is the page|is the page"):
        spaces.access(child, BASE, WRITE, DONE, 1, entry(20, WRITTEN))


def test_the_last_owner_goes_on() -> None:
    spaces, parent = model(region(0, 1))
    first = spaces.access(parent, BASE, WRITE, DONE, 1, entry(20, WRITTEN))
    child = spaces.fork(parent, 3, 4)
    copy = spaces.access(child, BASE, WRITE, DONE, 1, entry(21, WRITTEN))
    assert copy is not first and child.stats["cow"] == 1
    assert spaces.access(parent, BASE, WRITE, DONE, 1, entry(20, WRITTEN)) is first
    assert parent.stats["reuse"] == 1


def test_pages_of_files() -> None:
    file = File(0, 0, 2, {0: Frame(30, file=(0, 0), cached=True)})
    spaces, space = model(region(0, 3, file=file))
    spaces.files.append(file)
    shown = spaces.access(space, BASE, READ, DONE, 1, entry(30))
    assert shown and shown.word(16) == 1 << 40 | 2
    copy = spaces.access(space, BASE, WRITE, DONE, 1, entry(31, WRITTEN))
    assert copy and copy is not shown and copy.word(16) == shown.word(16)
    assert spaces.access(space, BASE + 2 * PAGE, READ, BUS, 1, 0) is None


def test_stacks_grow_to_their_limit() -> None:
    top = BASE + 4000 * PAGE
    stack = Region(top - PAGE, top, 3, stack=True, home=top // PAGE - 1, lowest=top - 600 * PAGE)
    _, space = model(stack)
    assert space.grow(top - 600 * PAGE - 1) == (OVERFLOW, None)
    assert space.grow(top - 600 * PAGE - STACK_GUARD - 1) == (MAPERR, None)
    assert space.grow(top - 500 * PAGE)[0] == DONE
    assert stack.start == top - 500 * PAGE and stack.home == stack.start // PAGE
    space.insert(region(3000, 1))
    assert space.grow(top - 600 * PAGE)[0] == DONE
    assert space.grow(BASE) == (MAPERR, None)


# ---- The initrd ------------------------------------------------------------------------------


def test_the_initrd_is_asked_for_only_where_it_is_needed(tmp_path: Path) -> None:
    plain, booted = Case("a", 1, "s", "h"), Case("b", 1, "s", "h", initrd=True)
    assert initrd.needed([plain], tmp_path, build=False) is None
    with pytest.raises(GradingError, match="make initrd"):
        initrd.needed([plain, booted], tmp_path, build=False)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/initrd.cpio").touch()
    assert initrd.needed([booted], tmp_path, build=False) == tmp_path / "build/initrd.cpio"


def test_what_make_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(GradingError, match="cannot build the initrd: .*initrd"):
        initrd.needed([Case("b", 1, "s", "h", initrd=True)], tmp_path, build=True)
