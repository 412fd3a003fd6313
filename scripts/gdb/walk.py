# SPDX-License-Identifier: MIT
"""Page tables as the processor walks them. Numbers only: nothing here asks GDB.

A table of level 0 maps pages of 4 KiB. Entries of levels 1 and 2 may map pages of 2 MiB and 1 GiB
instead of leading to a table. The root is of level 3, or of level 4 where CR4.LA57 is set.
(Intel SDM vol. 3, 4.5)
"""

from collections.abc import Callable
from dataclasses import dataclass

PRESENT, WRITE, USER, UNCACHED, ACCESSED, DIRTY = (1 << n for n in (0, 1, 2, 4, 5, 6))
LARGE, GLOBAL = 1 << 7, 1 << 8
HIDDEN = 1 << 9  # of the kernel's own: there is a page, but nobody may touch it
NO_EXECUTE = 1 << 63
FRAME = 0x000F_FFFF_FFFF_F000

_LARGEST_LEVEL = 2  # of an entry that maps a page
_KEY_SHIFT, _KEY_MASK = 59, 15
_SIZES = ("4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB")


def span(level: int) -> int:
    """Bytes that an entry of that level spans."""
    return 1 << (12 + 9 * level)


def size_name(level: int) -> str:
    return _SIZES[level]


@dataclass(frozen=True)
class Step:
    """One entry on the way down."""

    level: int
    index: int
    at: int  # physical address of the entry
    entry: int

    @property
    def frame(self) -> int:
        return self.entry & FRAME

    @property
    def leads_on(self) -> bool:
        return bool(self.entry & PRESENT) and self.level > 0 and not self.maps_page

    @property
    def maps_page(self) -> bool:
        """Present, and of a page: of level 0, or a large one."""
        if not self.entry & PRESENT:
            return False
        return self.level == 0 or bool(self.entry & LARGE and self.level <= _LARGEST_LEVEL)

    @property
    def is_hidden(self) -> bool:
        return self.level == 0 and not self.entry & PRESENT and self.entry != 0

    def flags(self) -> str:
        """What the bits of the entry say, in words."""
        entry = self.entry
        if self.is_hidden:
            known = "hidden: no right at all" if entry & HIDDEN else "not present"
            return known + self._unknown(FRAME | HIDDEN | ACCESSED | DIRTY)
        if not entry & PRESENT:
            return "nothing is there" if entry == 0 else "not present"
        words = [
            "present",
            "write" if entry & WRITE else "read only",
            "user" if entry & USER else "kernel only",
        ]
        for bit, word in (
            (ACCESSED, "accessed"), (DIRTY, "dirty"), (UNCACHED, "uncached"), (GLOBAL, "global"),
            (NO_EXECUTE, "no execute"),
        ):  # fmt: skip
            if entry & bit and not (bit in (DIRTY, GLOBAL) and not self.maps_page):
                words.append(word)
        if self.maps_page and (key := entry >> _KEY_SHIFT & _KEY_MASK):
            words.append(f"protection key {key}")
        if entry & LARGE and self.level > _LARGEST_LEVEL:
            words.append("bit 7 set, which this level reserves")
        return ", ".join(words)

    def _unknown(self, known: int) -> str:
        rest = self.entry & ~known
        return f", bits {rest:#x}" if rest else ""


@dataclass(frozen=True)
class Walk:
    """The way to an address, as far as it goes."""

    address: int
    steps: tuple[Step, ...]
    problem: str | None  # why a table could not be read

    @property
    def page(self) -> Step | None:
        """The entry that maps the page, present or hidden."""
        last = self.steps[-1] if self.steps else None
        return last if last and (last.maps_page or last.is_hidden) else None

    @property
    def physical(self) -> int | None:
        """Where an access would go, if there is one that succeeds."""
        page = self.page
        if page is None or page.is_hidden:
            return None
        inside = span(page.level) - 1
        return page.frame & ~inside | self.address & inside

    @property
    def empty_from(self) -> int:
        """Where the addresses begin that the missing entry leaves without a page."""
        return self.address & -span(self.steps[-1].level)

    def allows(self, bit: int) -> bool:
        """WRITE or USER: what every entry on the way must grant."""
        return all(step.entry & bit for step in self.steps)

    @property
    def executes(self) -> bool:
        return not any(step.entry & NO_EXECUTE for step in self.steps)


def walk(read: Callable[[int], int], root: int, levels: int, address: int) -> Walk:
    """read gives the word at a physical address, or raises ValueError with the reason."""
    steps: list[Step] = []
    table = root & FRAME
    for level in reversed(range(levels)):
        index = address >> (12 + 9 * level) & 511
        at = table + 8 * index
        try:
            step = Step(level, index, at, read(at))
        except ValueError as error:
            return Walk(address, tuple(steps), f"the table of level {level} {error}")
        steps.append(step)
        if not step.leads_on:
            break
        table = step.frame
    return Walk(address, tuple(steps), None)
