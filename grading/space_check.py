# SPDX-License-Identifier: MIT
"""Address spaces as they lie in the guest's memory: page tables, and the frames of programs.

Page tables are walked from their root as the processor does it (Intel SDM vol. 3, 4.5), by
nothing but physical addresses: what the kernel's own functions say of them is not asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .errors import GuestError
from .guest import Guest
from .pageview import MEMMAP_BASE

PAGE = 4096
LEVELS = 4
USER_ENTRIES = 256  # of a root; what follows is the kernel's
PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = (1 << bit for bit in (0, 1, 2, 5, 6, 7))
HIDDEN = 1 << 9  # ours: a frame is there, but no right to it
NO_EXEC = 1 << 63
ADDRESS = 0x000F_FFFF_FFFF_F000

_ENTRIES = 512
_COUNTS = 1 << 32  # mappings lie above references


@dataclass
class Table:
    """One frame of a tree: level 0 leads to pages."""

    level: int
    pfn: int
    base: int  # the first address that it spans
    used: int  # entries that are not 0


@dataclass
class Tree:
    """What hangs on a root: entries of level 0 by address, and all tables."""

    entries: dict[int, int] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)


def walk(guest: Guest, root: int) -> Tree:
    """Read the tree of tables below a root. Whatever no processor could use is a GuestError."""
    tree = Tree()
    _walk(guest, tree, root, LEVELS - 1, 0)
    frames = [table.pfn for table in tree.tables]
    if len(set(frames)) != len(frames):
        raise GuestError("a frame is a page table in two places")
    return tree


def _walk(guest: Guest, tree: Tree, table: int, level: int, base: int) -> None:
    if len(tree.tables) > guest.memory_size // PAGE:
        raise GuestError("the page tables are more than there is memory")
    raw = guest.read_physical(table, PAGE)
    count = USER_ENTRIES if level == LEVELS - 1 else _ENTRIES
    here = Table(level, table // PAGE, base, 0)
    tree.tables.append(here)
    for i in range(count):
        entry = int.from_bytes(raw[i * 8 : i * 8 + 8], "little")
        if not entry:
            continue
        here.used += 1
        address = base + (i << 12 + 9 * level)
        if level == 0:
            tree.entries[address] = entry
        elif not entry & PRESENT or entry & LARGE:
            raise GuestError(
                f"the entry of {address:#x}, level {level}, is {entry:#x}: that is no table"
            )
        else:
            _walk(guest, tree, entry & ADDRESS, level - 1, address)


@dataclass(frozen=True)
class Page:
    """struct page of a frame that a program, a file or a table has."""

    pfn: int
    state: int
    use: int
    owner: int
    references: int
    mappings: int
    index: int


class Frames:
    """All of memory's struct page."""

    def __init__(self, guest: Guest) -> None:
        self.debug = guest.image.debug
        self._size = self.debug.size_of("page")
        self.nr = guest.memory_size // PAGE
        self._raw = guest.read(MEMMAP_BASE, self.nr * self._size)

    def _column(self, name: str) -> bytes:
        return self._raw[self.debug.member("page", name).offset :: self._size]

    def page(self, pfn: int) -> Page:
        if not 0 <= pfn < self.nr:
            raise GuestError(f"there is no frame {pfn:#x}")
        at = pfn * self._size

        def number(name: str, shift: int = 0) -> int:
            member = self.debug.member("page", name)
            start = at + member.offset + shift
            return int.from_bytes(self._raw[start : start + min(member.size, 8)], "little")

        counts = number("link")
        return Page(
            pfn, number("state"), number("use"), number("owner"),
            counts % _COUNTS, counts // _COUNTS, number("link", 8),
        )  # fmt: skip

    def used_as(self, name: str) -> Iterator[int]:
        """The frames whose page says that use."""
        wanted, at = self.debug.enumerator(name), -1
        use, state = self._column("use"), self._column("state")
        allocated = self.debug.enumerator("PAGE_ALLOCATED")
        while (at := use.find(wanted, at + 1)) >= 0:
            if state[at] == allocated:
                yield at

    def free(self) -> int:
        """Frames that are in no use: in free blocks, or ready in a CPU's list."""
        free, allocated = (
            self.debug.enumerator(name) for name in ("PAGE_FREE", "PAGE_ALLOCATED")
        )
        columns = (self._column(name) for name in ("state", "order", "lent"))
        return sum(
            1 << order
            for state, order, lent in zip(*columns, strict=True)
            if state == free or (state == allocated and lent == 0)
        )
