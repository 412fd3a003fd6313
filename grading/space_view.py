# SPDX-License-Identifier: MIT
"""Do address spaces, read from the guest's memory, agree with a model?

Every entry of every space is looked at, every table, and every frame that a program or a file
has: nobody shows what he must not, no frame is shown by more or fewer entries than it counts, none
is lost, each holds what was written to it, and the copies what they were copied from.
"""

import struct
from collections import Counter

from .errors import GuestError
from .guest import Guest
from .space_check import ADDRESS, PAGE, Frames, Tree, walk
from .space_model import Entry, Frame, Region, Space, Spaces

_SPAN = 9  # log2 of entries of a table


class View:
    """Guest memory beside a model. Each check returns what is wrong, if anything."""

    def __init__(self, guest: Guest, model: Spaces) -> None:
        self.guest, self.model = guest, model
        self.frames = Frames(guest)
        self.shown: Counter[int] = Counter()  # entries that lead to each frame

    def check(self) -> str | None:
        try:
            for space in self.model.spaces.values():
                if problem := self._check_space(space):
                    return f"the space {space.address:#x}: {problem}"
            return self._check_frames()
        except GuestError as error:
            return str(error)

    # -- spaces --

    def _check_space(self, space: Space) -> str | None:
        tree = walk(self.guest, self._member(space, "table.root"))
        known: set[int] = set()
        for page, entry in tree.entries.items():
            region = space.find(page)
            if region is None:
                return f"the entry of {page:#x} is {entry:#x}, but nothing is mapped there"
            now = space.entries.get(page) or self._around(region, page)
            if now is None:
                return f"the entry of {page:#x} is {entry:#x}, but that page was never given"
            if problem := self.model.problem_of(region, now, entry):
                return f"the entry of {page:#x} is {entry:#x}: {problem}"
            known.add(page)
            if now.frame.pfn is None:
                now.frame.pfn = (entry & ADDRESS) // PAGE
            self.shown[(entry & ADDRESS) // PAGE] += 1
        if missing := space.entries.keys() - known:
            return f"the page {min(missing):#x} was given, but has no entry"
        return self._check_tables(tree, space) or self._check_counts(tree, space)

    def _around(self, region: Region, page: int) -> Entry | None:
        """A page of a file that may have been mapped beside another one."""
        if self.model.around or region.file is None:
            return None
        frame = region.file.frames.get(region.index(page))
        return Entry(frame, None, None) if frame else None

    def _check_tables(self, tree: Tree, space: Space) -> str | None:
        return check_tables(self.frames, tree, self._member(space, "table.nr_tables"))

    def _check_counts(self, tree: Tree, space: Space) -> str | None:
        zero = self.model.zero.pfn
        resident = sum((e & ADDRESS) // PAGE != zero for e in tree.entries.values())
        own = sum(
            not e.frame.cached and e.frame is not self.model.zero for e in space.entries.values()
        )
        mapped = sum((r.end - r.start) // PAGE for r in space.regions)
        for name, counted in (
            ("nr_resident", resident), ("nr_anonymous", own), ("nr_mapped", mapped),
        ):  # fmt: skip
            if (said := self._member(space, name)) != counted:
                return f"{name} is {said}, but there are {counted}"
        return None

    def _member(self, space: Space, path: str) -> int:
        return self.guest.member(space.address, "address_space", path)

    # -- frames --

    def _check_frames(self) -> str | None:
        own: dict[int, Frame] = {}
        for space in self.model.spaces.values():
            for entry in space.entries.values():
                if entry.frame.pfn is not None and not entry.frame.cached:
                    own[entry.frame.pfn] = entry.frame
        own.pop(self.model.zero.pfn or 0, None)
        for pfn in self.frames.used_as("PAGE_USE_ANON"):
            if pfn not in own:
                return f"frame {pfn:#x} is a program's, but none shows it: it is lost"
        for pfn, frame in own.items():
            if problem := self._check_own(pfn, frame) or self._check_content(pfn, frame):
                return f"frame {pfn:#x}: {problem}"
        for file in self.model.files:
            for index, frame in file.frames.items():
                if frame.pfn is None:
                    continue
                if problem := self._check_file(frame.pfn) or self._check_content(frame.pfn, frame):
                    return f"page {index} of file {file.number}: {problem}"
        zero = self.guest.read_physical((self.model.zero.pfn or 0) * PAGE, PAGE)
        return "the page of zeroes was written to" if any(zero) else None

    def _check_own(self, pfn: int, frame: Frame) -> str | None:
        page = self.frames.page(pfn)
        if page.use != self.frames.debug.enumerator("PAGE_USE_ANON"):
            return "a program shows it, but its page does not say that it is a program's"
        nr = self.shown[pfn]
        if (page.mappings, page.references) != (nr, nr):
            return (
                f"{nr} entries show it, but it counts {page.mappings} mappings and"
                f" {page.references} references"
            )
        space = next(s for s in self.model.spaces.values() if s.family == frame.family)
        if page.owner != self._member(space, "family"):
            return "its page says that it belongs to another family"
        if page.index != frame.home:
            return f"its page says that it is at home at page {page.index:#x}, not {frame.home:#x}"
        return None

    def _check_file(self, pfn: int) -> str | None:
        page, nr = self.frames.page(pfn), self.shown[pfn]
        if (page.mappings, page.references) != (nr, nr + 1):
            return (
                f"{nr} entries show it, but it counts {page.mappings} mappings and"
                f" {page.references} references, of which one is the page cache's"
            )
        return None

    def _check_content(self, pfn: int, frame: Frame) -> str | None:
        words = struct.unpack("<512Q", self.guest.read_physical(pfn * PAGE, PAGE))
        for i, word in enumerate(words):
            if word != frame.word(8 * i):
                return f"byte {8 * i} holds {word:#x}, not {frame.word(8 * i):#x}"
        return None


def check_tables(frames: Frames, tree: Tree, said: int) -> str | None:
    """What is wrong with the tables of a tree themselves, if anything."""
    if said != len(tree.tables):
        return f"nr_tables is {said}, but there are {len(tree.tables)}"
    for table in tree.tables:
        page = frames.page(table.pfn)
        what = f"the table of level {table.level} for {table.base:#x}"
        if page.state != frames.debug.enumerator("PAGE_ALLOCATED") or page.use != 0:
            return f"{what} is no frame of its own"
        if page.owner != table.used:
            return f"{what} has {table.used} entries, but says {page.owner}"
        if table.used == 0 and table.level < 3:
            return f"{what} is empty"
    return None


def tables_for(pages: set[int]) -> set[tuple[int, int]]:
    """The tables that entries for these addresses take: level and number, without the root."""
    return {
        (level, page >> 12 + _SPAN * (level + 1)) for page in pages for level in range(3)
    }
