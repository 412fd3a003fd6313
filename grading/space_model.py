# SPDX-License-Identifier: MIT
"""A model of address spaces: what any correct solution of lab 4 must agree with.

Calls, accesses and their answers come from a transcript (labs/lab4-paging/oracle.py says in what
order). The model knows the regions of each space, and for each page that has been touched which
frame it shows, who else shows it, and what it holds. Which frame a page gets is the solution's
own choice; so are the pages of a file that are mapped around a fault, and whether a page that
is nobody else's may be written to at once when its region may again. Where the solution
has such a choice, the model learns from the entry that was logged.

Frames that a model knows are compared with the guest's memory in space_view.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .oracle import ModelError
from .space_check import (
    ACCESSED,
    ADDRESS,
    DIRTY,
    HIDDEN,
    NO_EXEC,
    PAGE,
    PRESENT,
    USER,
    WRITABLE,
)

READ, WRITE, EXECUTE = range(3)  # enum fault_access
DONE, MAPERR, ACCERR, OVERFLOW, BUS, NOMEM, KEY, HEAP = range(8)  # enum fault_result
RESULT_NAMES = ("DONE", "MAPERR", "ACCERR", "OVERFLOW", "BUS", "NOMEM", "KEY", "HEAP")
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
ENOMEM, EACCES = 12, 13
USER_END = 0x7FFF_FFFF_F000
STACK_GUARD, STACK_START = 256 * PAGE, 32 * PAGE
AROUND = 16 * PAGE

_NEEDS = (PROT_READ | PROT_WRITE | PROT_EXEC, PROT_WRITE, PROT_EXEC)


@dataclass(eq=False)
class Frame:
    """A page's contents, and every entry that shows it."""

    pfn: int | None = None  # None: not known yet
    words: dict[int, int] = field(default_factory=dict)  # offset -> what was written
    file: tuple[int, int] | None = None  # number and index of what it held at first; zeroes
    cached: bool = False  # it is a file's own page
    home: int = 0
    family: int = 0
    users: set[tuple[int, int]] = field(default_factory=set)  # space, address

    def word(self, offset: int) -> int:
        if offset in self.words:
            return self.words[offset]
        if self.file is None:
            return 0
        number, index = self.file
        return number + 1 << 40 | index << 16 | offset // 8

    def copy(self) -> "Frame":
        return Frame(words=dict(self.words), file=self.file)


@dataclass(eq=False)
class File:
    """Pages of a file by index. One that was not filled is zeroes, and appears when asked for."""

    number: int
    address: int
    pages: int
    frames: dict[int, Frame] = field(default_factory=dict)

    def frame(self, index: int) -> Frame:
        return self.frames.setdefault(index, Frame(cached=True))


@dataclass
class Region:
    start: int
    end: int
    prot: int
    max_prot: int = 7
    shared: bool = False
    stack: bool = False
    locked: bool = False
    no_fork: bool = False
    file: File | None = None
    offset: int = 0  # in pages
    home: int = 0
    lowest: int = 0

    def index(self, address: int) -> int:
        return self.offset + (address - self.start) // PAGE

    def home_of(self, address: int) -> int:
        return self.home + (address - self.start) // PAGE

    def is_like(self, upper: "Region") -> bool:
        """May it and one that follows be one?"""
        mine = (self.end, self.prot, self.max_prot, self.shared, self.stack, self.locked)
        its = (upper.start, upper.prot, upper.max_prot, upper.shared, upper.stack, upper.locked)
        return (
            (*mine, self.no_fork, self.file, self.home_of(self.end))
            == (*its, upper.no_fork, upper.file, upper.home)
        ) and (self.file is None or self.index(self.end) == upper.offset)


@dataclass
class Entry:
    frame: Frame
    writable: bool | None = False  # None: as the solution likes
    dirty: bool | None = False
    accessed: bool | None = False


@dataclass(eq=False)
class Space:
    address: int
    root: int
    family: int
    regions: list[Region] = field(default_factory=list)  # in order
    entries: dict[int, Entry] = field(default_factory=dict)  # by address of the page
    guarded: bool = True
    stats: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATS, 0))

    # -- regions --

    def find_from(self, address: int) -> Region | None:
        return next((region for region in self.regions if address < region.end), None)

    def find(self, address: int) -> Region | None:
        region = self.find_from(address)
        return region if region and region.start <= address else None

    def inside(self, start: int, end: int) -> Iterator[Region]:
        return (r for r in self.regions if r.start < end and start < r.end)

    def covers(self, start: int, end: int) -> bool:
        for region in self.inside(start, end):
            if region.start > start:
                return False
            start = region.end
        return start >= end

    def cut(self, *places: int) -> None:
        for at in places:
            region = self.find(at)
            if region and region.start < at:
                upper = replace(
                    region, start=at, offset=region.index(at), home=region.home_of(at),
                    lowest=at if region.stack else region.lowest,
                )  # fmt: skip
                region.end = at
                self.regions.insert(self.regions.index(region) + 1, upper)

    def insert(self, region: Region) -> None:
        self.regions.append(region)
        self.regions.sort(key=lambda one: one.start)

    def merge(self, start: int, end: int) -> None:
        """Unite neighbours that are alike and meet in [start, end]."""
        i = 0
        while i + 1 < len(self.regions):
            lower, upper = self.regions[i : i + 2]
            if start <= lower.end <= end and lower.is_like(upper):
                lower.end = upper.end
                del self.regions[i + 1]
            else:
                i += 1

    def unmap(self, start: int, end: int) -> None:
        self.cut(start, end)
        self.regions = [r for r in self.regions if not (start <= r.start < end)]
        self.drop(start, end)

    # -- pages --

    def drop(self, start: int, end: int) -> None:
        """Entries of a range are gone."""
        for page in [page for page in self.entries if start <= page < end]:
            self.forget(page)

    def forget(self, page: int) -> None:
        self.entries.pop(page).frame.users.discard((self.address, page))

    def show(self, page: int, entry: Entry) -> None:
        if page in self.entries:
            self.forget(page)
        self.entries[page] = entry
        entry.frame.users.add((self.address, page))

    def grow(self, address: int) -> tuple[int, Region | None]:
        """An access where no region is. Returns how it must end, and the stack if that grew."""
        start = address & -PAGE
        stack = self.find_from(address)
        guard = STACK_GUARD if self.guarded else 0
        if not stack or not stack.stack:
            return MAPERR, None
        if start < stack.lowest:
            return (OVERFLOW if stack.lowest - start <= guard else MAPERR), None
        at = self.regions.index(stack)
        below = self.regions[at - 1] if at else None
        if below and below.end > start:
            return OVERFLOW, None
        if below and below.prot and not below.stack and start - below.end < guard:
            return OVERFLOW, None
        pages = (stack.start - start) // PAGE
        stack.home -= pages
        stack.offset -= pages
        stack.start = start
        self.stats["stack"] += 1
        return DONE, stack


STATS = ("zero", "anonymous", "cow", "reuse", "file", "stack", "spurious", "minor")


class Spaces:
    """All spaces of a case, and the frames that they share."""

    def __init__(self, zero_pfn: int) -> None:
        self.zero = Frame(pfn=zero_pfn)
        self.spaces: dict[int, Space] = {}  # by address
        self.files: list[File] = []
        self.failing = False  # frames are refused on purpose now
        self.many = False  # a processor may use what it has kept, where that allows less
        self.around = False  # what lies around a fault is judged, too

    # -- spaces --

    def create(self, address: int, root: int) -> Space:
        if address in self.spaces:
            raise ModelError(f"the space {address:#x} is there already")
        self.spaces[address] = Space(address, root, address)
        return self.spaces[address]

    def put(self, space: Space) -> None:
        space.drop(0, USER_END)
        del self.spaces[space.address]

    def fork(self, parent: Space, address: int, root: int) -> Space:
        child = self.create(address, root)
        child.family, child.guarded = parent.family, parent.guarded
        for region in parent.regions:
            if region.no_fork:
                continue
            child.regions.append(replace(region, locked=False))
            if region.shared:
                continue
            for page, entry in list(parent.entries.items()):
                if region.start <= page < region.end and self.is_copied(entry.frame):
                    entry.writable = False
                    child.show(page, Entry(entry.frame, False, None, None))
        return child

    def is_copied(self, frame: Frame) -> bool:
        """Does fork() give it to the child? Pages of files come by faults."""
        return not frame.cached

    # -- calls --

    def map(self, space: Space, region: Region) -> None:
        space.unmap(region.start, region.end)
        space.insert(region)
        space.merge(region.start, region.end)

    def protect(self, space: Space, start: int, end: int, prot: int) -> int:
        """Returns the error number. What lies before the place that it is of is done."""
        error, at = 0, start
        while at < end:
            region = space.find(at)
            if region is None:
                error = ENOMEM
            elif prot & ~region.max_prot:
                error = EACCES
            if error or region is None:
                end = at
                break
            at = region.end
        if end > start:
            space.cut(start, end)
            for region in space.inside(start, end):
                if region.prot != prot:
                    region.prot = prot
                    self._change_rights(space, region)
            space.merge(start, end)
        return error

    def _change_rights(self, space: Space, region: Region) -> None:
        for page, entry in space.entries.items():
            if not region.start <= page < region.end:
                continue
            ours = not entry.frame.cached and entry.frame is not self.zero
            if not region.prot & PROT_WRITE:
                entry.writable = False
            elif region.shared or (ours and len(entry.frame.users) == 1):
                entry.writable = None
            else:
                entry.writable = False

    def discard(self, space: Space, start: int, end: int) -> int:
        """madvise(MADV_DONTNEED)."""
        error = 0 if space.covers(start, end) else ENOMEM
        space.drop(start, end)
        return error

    # -- accesses --

    def access(
        self, space: Space, address: int, access: int, result: int, faults: int | None, entry: int
    ) -> Frame | None:
        """One access, or for faults None a call of space_fault(), and what came of it.

        Returns the frame that it went to, if it was allowed.
        """
        page = address & -PAGE
        region = space.find(address) if address < USER_END else None
        expected = MAPERR
        if region is None and address < USER_END:
            expected, region = space.grow(address)
        if region is None or not region.prot & _NEEDS[access]:
            self._refused(space, page, expected if region is None else ACCERR, result, faults)
            self._judge(space, page, entry)
            return None
        old = space.entries.get(page)
        allowed = self._is_allowed(space, region, page, access)
        if allowed is False or (allowed is None and faults) or faults is None:
            if result != NOMEM and self._is_behind_end(region, page, access, old):
                self._refused(space, page, BUS, result, faults)
                self._judge(space, page, entry)
                return None
            if result == NOMEM and self.failing and allowed is not True:
                if region.file is not None:
                    region.file.frame(region.index(page))  # it may be in memory now
                self._judge(space, page, entry)
                return None
        _expect_result(DONE, result)
        self._judge_faults(allowed, faults)
        faulted = allowed is False or (allowed is None and faults != 0)
        if not faulted and faults is None:
            space.stats["spurious"] += 1
            space.stats["minor"] += 1
        now = self._resolve(space, region, page, access, faulted)
        if faults is not None and access != EXECUTE:
            now.accessed = True
            now.dirty = True if access == WRITE else now.dirty
        self._learn(space, region, page, now, entry)
        return now.frame

    def _refused(
        self, space: Space, page: int, expected: int, result: int, faults: int | None
    ) -> None:
        _expect_result(expected, result)
        if faults is not None and faults != 1:
            raise ModelError(f"it was refused after {faults} faults, not 1")

    def _judge_faults(self, allowed: bool | None, faults: int | None) -> None:
        if faults is None:
            return
        most = 0 if allowed is True and not self.many else 1
        least = 1 if allowed is False else 0
        if faults < least:
            raise ModelError("it needed no fault: the processor was allowed what it must not be")
        if faults > most:
            raise ModelError(f"it took {faults} faults, not {most}")

    def _is_allowed(
        self, space: Space, region: Region, page: int, access: int
    ) -> bool | None:
        """Does the entry that is there allow it? None: that depends on the solution."""
        entry = space.entries.get(page)
        if entry:
            return entry.writable if access == WRITE else True
        if self._may_be_around(region, page) and (access != WRITE or region.shared):
            return None if not self.around else False
        return False

    def _may_be_around(self, region: Region, page: int) -> bool:
        """Could another fault have mapped this page of a file?"""
        if region.file is None:
            return False
        index = region.index(page)
        return index < region.file.pages and index in region.file.frames

    def _is_behind_end(
        self, region: Region, page: int, access: int, old: Entry | None
    ) -> bool:
        if region.file is None or old is not None:
            return False
        return region.index(page) >= region.file.pages

    def _resolve(
        self, space: Space, region: Region, page: int, access: int, faulted: bool
    ) -> Entry:
        """The entry that there is after an access that is allowed."""
        old = space.entries.get(page)
        if old and not faulted:
            return old
        kind, new = self._kind(space, region, page, access)
        if faulted:
            space.stats[kind] += 1
            space.stats["minor"] += 1
        if new is not old:
            space.show(page, new)
        if kind == "file" and self.around:
            self._map_around(space, region, page, access)
        return new

    def _kind(
        self, space: Space, region: Region, page: int, access: int
    ) -> tuple[str, Entry]:
        old = space.entries.get(page)
        writes = bool(region.prot & PROT_WRITE)
        if old is None and region.file is not None:
            shown = region.file.frame(region.index(page))
            if access == WRITE and not region.shared:
                return "cow", self._own(space, region, page, shown.copy())
            return "file", Entry(shown, writes and region.shared)
        if old is None and access != WRITE:
            return "zero", Entry(self.zero)
        if old is None or old.frame is self.zero:
            return "anonymous", self._own(space, region, page, Frame())
        if not region.shared and (old.frame.cached or len(old.frame.users) > 1):
            return "cow", self._own(space, region, page, old.frame.copy())
        old.writable = True
        return "reuse", old

    def _own(self, space: Space, region: Region, page: int, frame: Frame) -> Entry:
        frame.home, frame.family = region.home_of(page), space.family
        return Entry(frame, bool(region.prot & PROT_WRITE))

    def _map_around(self, space: Space, region: Region, page: int, access: int) -> None:
        """The neighbours that come with a page that was read, where each of them is there."""
        if access == WRITE:
            return
        low = max(page & -AROUND, region.start)
        high = min((page & -AROUND) + AROUND, region.end)
        for near in range(low, high, PAGE):
            if near not in space.entries and self._may_be_around(region, near):
                assert region.file
                writes = region.shared and bool(region.prot & PROT_WRITE)
                space.show(near, Entry(region.file.frames[region.index(near)], writes))

    # -- entries --

    def _judge(self, space: Space, page: int, entry: int) -> None:
        """The entry of a page after an access that failed: it is as it was."""
        region = space.find(page)
        old = space.entries.get(page)
        if old is None and entry and not (region and self._may_be_around(region, page)):
            raise ModelError(f"there must be no entry, but it is {entry:#x}")
        if old is not None and region:
            self._learn(space, region, page, old, entry)

    def _learn(
        self, space: Space, region: Region, page: int, now: Entry, entry: int
    ) -> None:
        """Compare an entry with what it must be, and take from it what the model cannot know."""
        if problem := self.problem_of(region, now, entry):
            raise ModelError(f"the entry of {page:#x} is {entry:#x}: {problem}")
        pfn = (entry & ADDRESS) // PAGE
        if now.frame.pfn is None:
            if owner := self.owner_of(pfn):
                raise ModelError(f"it got frame {pfn:#x}, which is {owner}")
            now.frame.pfn = pfn
        now.writable = bool(entry & WRITABLE)
        now.dirty = bool(entry & DIRTY)

    def problem_of(self, region: Region, now: Entry, entry: int) -> str | None:
        """What is wrong with an entry of level 0, if anything."""
        if not entry:
            return "nothing is there"
        if now.frame.pfn is not None and (entry & ADDRESS) // PAGE != now.frame.pfn:
            return f"it leads to another frame than {now.frame.pfn:#x}"
        if not region.prot:
            return None if entry & HIDDEN and not entry & PRESENT else "it must be hidden"
        if not entry & PRESENT or not entry & USER:
            return "the program may not use it"
        if now.writable is not None and bool(entry & WRITABLE) != now.writable:
            return "it must allow writing" if now.writable else "it must not allow writing"
        if entry & WRITABLE and not region.prot & PROT_WRITE:
            return "the region does not allow writing"
        if entry & WRITABLE and not region.shared and len(now.frame.users) > 1:
            return f"it allows to write to what {len(now.frame.users)} entries show"
        if bool(entry & NO_EXEC) != (not region.prot & PROT_EXEC):
            return "the right to execute is not that of its region"
        if now.accessed and not entry & ACCESSED:
            return "it does not say that the page was used"
        if now.dirty is not None and bool(entry & DIRTY) != now.dirty:
            return "it must say that the page was written to" if now.dirty else (
                "it says that the page was written to"
            )
        return None

    def owner_of(self, pfn: int) -> str | None:
        """Who has a frame, if anybody."""
        if pfn == self.zero.pfn:
            return "the page of zeroes"
        for space in self.spaces.values():
            for page, entry in space.entries.items():
                if entry.frame.pfn == pfn:
                    return f"the page {page:#x} of the space {space.address:#x}"
        for file in self.files:
            for index, frame in file.frames.items():
                if frame.pfn == pfn:
                    return f"page {index} of file {file.number}"
        return None


def _expect_result(expected: int, result: int) -> None:
    if expected != result:
        names = [
            RESULT_NAMES[r] if r < len(RESULT_NAMES) else "a fault that changes nothing"
            for r in (expected, result)
        ]
        raise ModelError(f"the result must be {names[0]}, but is {names[1]}")
