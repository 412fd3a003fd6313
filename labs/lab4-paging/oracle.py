# SPDX-License-Identifier: MIT
"""Lab 4: what address spaces must do, case by case, seen from outside the guest.

Each case mirrors its C function in tests/: the same random draws, the same calls and accesses. What
these must come to, the model in grading/space_model.py says. When a case has ended, the page
tables of all spaces that are left are walked in the guest's memory, and every frame is looked at.
"""

import enum
from collections.abc import Callable, Generator

from grading.errors import GuestError
from grading.evidence import Record
from grading.oracle import Context, Expect, Refused, Script, case
from grading.pageview import MEMMAP_BASE
from grading.space_check import ADDRESS, PAGE, Frames, walk
from grading.space_model import (
    EXECUTE,
    READ,
    STACK_START,
    USER_END,
    WRITE,
    Entry,
    File,
    Frame,
    Region,
    Space,
    Spaces,
)
from grading.space_view import View, tables_for

SPACES, FILES, ARENA_PAGES, FILE_PAGES = 6, 2, 96, 48
ANON = FILES
NONE, RO, WO, RW, RX, ALL = 0, 1, 2, 3, 5, 7
SHARED, PRIVATE = True, False
NO_PAGE = 1
TRACE_MAP, TRACE_PROTECT, TRACE_FILES, TRACE_FORK, TRACE_DISCARD, TRACE_TOUCH = (
    1 << bit for bit in range(6)
)
ENOMEM = 12


class Ev(enum.IntEnum):
    """enum lab4_record in tests/lab.h."""

    SPACE = 64
    PUT = 65
    FILE = 66
    FILE_PAGE = 67
    MAP = 68
    UNMAP = 69
    PROTECT = 70
    ADVISE = 71
    MOVE = 72
    ACCESS = 73
    FAULT = 74
    FORK = 75
    REGION = 76
    REGIONS_END = 77
    COUNTS = 78
    CHECK = 79
    STATS = 80
    FRAMES = 81
    FAULTS = 82
    TABLE = 83
    ROW = 84
    ENTRY = 85
    LOOKUP = 86
    PRUNE = 87
    LINK = 88
    FOUND = 89
    PART = 90
    HOME = 91
    OBJECT = 92
    STACK = 93
    GUARD = 94
    COST = 95
    WORKER = 96
    HELD = 97
    PROGRAM = 98


Done = Generator[Expect, Record, None]
Step = Generator[Expect, Record, bool]
One = Generator[Expect, Record, Record]


def error_of(record: Record) -> int:
    """The error number of a call: 0, or ENOMEM and so on."""
    return -record.arg & 0xFFFF_FFFF


class Lab:
    """The other side of struct lab."""

    def __init__(self, ctx: Context) -> None:
        self.ctx, self.prng = ctx, ctx.prng
        shift = (21, 30, 39)[self.prng.below(3)]
        self.arena = (1 + self.prng.below(100) << shift) - ARENA_PAGES // 2 * PAGE
        guest = ctx.guest
        zero = guest.read_uint(guest.image.address("zero_page")) - MEMMAP_BASE
        self.model = Spaces(zero // guest.image.debug.size_of("page"))
        self.spaces: dict[int, Space] = {}
        self.files: dict[int, File] = {}
        self.number = 0
        self.refused = 0  # requests for frames, on purpose
        self.free: int | None = None  # frames, as they were counted last

    def page(self, page: int) -> int:
        return self.arena + page * PAGE

    # -- spaces and files --

    def space(self, i: int) -> Done:
        record = yield Expect(Ev.SPACE, what="make an address space")
        self.spaces[i] = self.model.create(record.a, record.b)

    def fork(self, source: int, to: int) -> Step:
        parent = self.spaces[source]
        record = yield Expect(Ev.FORK, a=parent.address, what=f"fork space {source}")
        if error_of(record):
            self.ctx.check(
                self.model.failing and error_of(record) == ENOMEM,
                f"it failed with error {error_of(record)}",
            )
            for entry in parent.entries.values():
                entry.writable = None if entry.writable else entry.writable
            return False
        self.spaces[to] = self.model.fork(parent, record.b, record.c)
        return True

    def put(self, i: int) -> Done:
        space = self.spaces.pop(i)
        yield Expect(Ev.PUT, a=space.address, what=f"end space {i}")
        self.model.put(space)

    def file(self, i: int, pages: int) -> Done:
        record = yield Expect(Ev.FILE, arg=pages, what="make a file")
        file = File(i, record.a, pages)
        self.files[i] = file
        self.model.files.append(file)
        for index in range(pages):
            if self.prng.below(4):
                record = yield Expect(Ev.FILE_PAGE, arg=index, a=file.address, what="fill a page")
                file.frames[index] = Frame(record.b, file=(i, index), cached=True)

    def object(self, i: int) -> Done:
        """The file's list has each region that shows it, and it has a reference for each."""
        file = self.files[i]
        nr = sum(r.file is file for space in self.spaces.values() for r in space.regions)
        yield Expect(Ev.OBJECT, arg=nr, a=file.address, b=nr, what=f"regions of file {i}")

    # -- calls --

    def map(
        self,
        i: int,
        page: int,
        pages: int,
        prot: int,
        file: int = ANON,
        offset: int = 0,
        shared: bool = PRIVATE,
        max_prot: int = ALL,
    ) -> Done:
        space, start, length = self.spaces[i], self.page(page), pages * PAGE
        what = f"map {pages} pages at {start:#x} in space {i}"
        record = yield Expect(Ev.MAP, a=space.address, b=start, c=length, what=what)
        if self.may_fail(record):
            return
        shown = self.files[file] if file != ANON else None
        self.model.map(
            space,
            Region(
                start, start + length, prot, max_prot if shown else ALL, shared, file=shown,
                offset=offset if shown else 0, home=start // PAGE,
            ),
        )  # fmt: skip

    def may_fail(self, record: Record) -> bool:
        """Did the call fail for want of memory, as it may just now? Other errors are none."""
        error = error_of(record)
        self.ctx.check(
            error == 0 or (self.model.failing and error == ENOMEM), f"it failed with error {error}"
        )
        return error != 0

    def unmap(self, i: int, page: int, pages: int) -> Done:
        space, start, length = self.spaces[i], self.page(page), pages * PAGE
        what = f"unmap {pages} pages at {start:#x} in space {i}"
        record = yield Expect(Ev.UNMAP, a=space.address, b=start, c=length, what=what)
        if not self.may_fail(record):
            space.unmap(start, start + length)

    def protect(self, i: int, page: int, pages: int, prot: int) -> Done:
        space, start, length = self.spaces[i], self.page(page), pages * PAGE
        what = f"give {pages} pages at {start:#x} the rights {prot} in space {i}"
        record = yield Expect(Ev.PROTECT, a=space.address, b=start, c=length, what=what)
        error = self.model.protect(space, start, start + length, prot)
        self.ctx.check(
            error_of(record) == error, f"it returned error {error_of(record)}, not {error}"
        )

    def discard(self, i: int, page: int, pages: int) -> Done:
        space, start, length = self.spaces[i], self.page(page), pages * PAGE
        what = f"discard {pages} pages at {start:#x} in space {i}"
        record = yield Expect(Ev.ADVISE, a=space.address, b=start, c=length, what=what)
        error = self.model.discard(space, start, start + length)
        self.ctx.check(
            error_of(record) == error, f"it returned error {error_of(record)}, not {error}"
        )

    def faults(self, every: int) -> Done:
        if every == 0:
            self.refused += (yield Expect(Ev.FAULTS, arg=1, what="refuse no more frames")).a
        yield Expect(Ev.FAULTS, arg=0, a=every, what="refuse frames")
        self.model.failing = every != 0

    # -- accesses --

    def access(self, i: int, address: int, access: int) -> Done:
        space = self.spaces[i]
        verb = ("read", "write", "execute")[access]
        what = f"{verb} {address:#x} in space {i}"
        record = yield Expect(Ev.ACCESS, a=address, what=what)
        done, result, faults = record.arg & 255, record.arg >> 8 & 255, record.arg >> 16
        self.ctx.check(done == access, "another access was made")
        if access == WRITE:
            self.number += 1
        frame = self.model.access(space, address, access, result, faults, record.c)
        if frame is None:
            return
        if access == WRITE:
            self.ctx.check(record.b == self.number << 8 | 1, "another value was written")
            frame.words[address % PAGE] = record.b
        elif access == READ:
            expected = frame.word(address % PAGE)
            self.ctx.check(record.b == expected, f"read {record.b:#x}, not {expected:#x}")

    def fault(self, i: int, address: int, access: int) -> Done:
        what = f"space_fault() at {address:#x} in space {i}"
        record = yield Expect(Ev.FAULT, a=address, b=0, what=what)
        self.ctx.check(record.arg & 255 == access, "another fault was made")
        self.model.access(self.spaces[i], address, access, record.arg >> 8, None, record.c)

    def word(self, page: int) -> int:
        return self.page(page) + self.prng.below(4) * 1000

    def write_page(self, i: int, page: int) -> Done:
        yield from self.access(i, self.word(page), WRITE)

    def read_page(self, i: int, page: int) -> Done:
        yield from self.access(i, self.word(page), READ)

    # -- what is logged --

    def regions(self, i: int) -> Done:
        space = self.spaces[i]
        for region in space.regions:
            file = region.file.number if region.file else ANON
            kind = region.shared << 8 | region.stack << 9 | region.locked << 10
            yield Expect(
                Ev.REGION,
                arg=region.prot | kind | file << 16,
                a=region.start,
                b=region.end,
                c=region.offset * PAGE if region.file else 0,
                what=f"the region {region.start:#x} of space {i}",
            )
        what = f"the number of regions of space {i}"
        yield Expect(Ev.REGIONS_END, a=len(space.regions), what=what)

    def counts(self, i: int) -> Done:
        space = self.spaces[i]
        record = yield Expect(Ev.COUNTS, what=f"what space {i} counts")
        zero = self.model.zero
        kinds = [(page, e.frame) for page, e in space.entries.items()]
        resident = {page for page, frame in kinds if frame is not zero}
        own = {page for page, frame in kinds if frame is not zero and not frame.cached}
        mapped = sum((r.end - r.start) // PAGE for r in space.regions)
        around = self._maybe_around(space)
        self.ctx.check(
            len(resident) <= record.a <= len(resident) + len(around),
            f"{record.a} pages are counted as resident, not {len(resident)}",
        )
        self.ctx.check(
            record.b == len(own), f"{record.b} are counted as anonymous, not {len(own)}"
        )
        self.ctx.check(record.c == mapped, f"{record.c} are counted as mapped, not {mapped}")
        least = 1 + len(tables_for(set(space.entries)))
        most = 1 + len(tables_for(space.entries.keys() | around))
        self.ctx.check(
            least <= record.arg <= most, f"there are {record.arg} page tables, not {least}"
        )
        yield Expect(Ev.CHECK, a=0, what=f"space_check() of space {i}")

    def _maybe_around(self, space: Space) -> set[int]:
        """Pages of files that may have come with others."""
        if self.model.around:
            return set()
        return {
            page
            for region in space.regions
            if region.file
            for page in range(region.start, region.end, PAGE)
            if page not in space.entries and region.index(page) in region.file.frames
        }

    def stats(self, i: int) -> Done:
        said = self.spaces[i].stats
        what = f"the faults that space {i} has counted"
        yield Expect(
            Ev.STATS, 0, said["zero"], said["anonymous"], said["cow"],
            f"{what}: of zeroes (a), anonymous (b), copies (c)",
        )  # fmt: skip
        yield Expect(
            Ev.STATS, 1, said["reuse"], said["file"], said["stack"],
            f"{what}: reuse (a), of files (b), of stacks (c)",
        )  # fmt: skip
        yield Expect(
            Ev.STATS, 2, said["spurious"], said["minor"], what=f"{what}: spurious (a), all (b)"
        )

    def frames(self, *, as_before: bool = False) -> Done:
        """Count the free frames; as_before: as many as when they were counted last."""
        expected = self.free if as_before else None
        record = yield Expect(Ev.FRAMES, a=expected, what="count the free frames of the machine")
        self.free = record.a

    def end(self, *, as_before: bool = False) -> Done:
        for i in sorted(self.spaces):
            yield from self.regions(i)
            yield from self.counts(i)
        yield from self.frames(as_before=as_before)

    # -- traces --

    def random_length(self) -> tuple[int, int]:
        """Where, and how many pages."""
        pages = 1 + self.prng.below(8 if self.prng.below(4) else 40)
        return self.prng.below(ARENA_PAGES + 1 - pages), pages

    def random_space(self) -> int:
        i = self.prng.below(SPACES)
        while i not in self.spaces:
            i = (i + 1) % SPACES
        return i

    def random_prot(self) -> int:
        return (RW, RW, RO, NONE, ALL, RX)[self.prng.below(6)]

    def map_something(self, i: int, kinds: int) -> Done:
        page, pages = self.random_length()
        prot = self.random_prot()
        shared = bool(self.prng.below(2))
        if not kinds & TRACE_FILES or self.prng.below(2):
            yield from self.map(i, page, pages, prot)
            return
        file = self.prng.below(FILES)
        yield from self.map(i, page, pages, prot, file, self.prng.below(FILE_PAGES), shared)

    def fork_or_end(self, i: int) -> Done:
        to = self.prng.below(SPACES)
        if to not in self.spaces:
            yield from self.fork(i, to)
        elif to != i:
            yield from self.put(to)

    def touch(self, i: int) -> Done:
        access = (READ, READ, WRITE, WRITE, WRITE, EXECUTE)[self.prng.below(6)]
        yield from self.access(i, self.word(self.prng.below(ARENA_PAGES)), access)

    def trace(self, rounds: int, kinds: int) -> Done:
        kind_of = (
            TRACE_MAP, TRACE_MAP, TRACE_MAP, TRACE_PROTECT, TRACE_PROTECT, TRACE_FORK,
            TRACE_DISCARD,
        )  # fmt: skip
        for _ in range(rounds):
            i = self.random_space()
            what = self.prng.below(20 if kinds & TRACE_TOUCH else 7)
            if what >= len(kind_of) or not kinds & kind_of[what]:
                yield from self.touch(i)
            elif what < 2:
                yield from self.map_something(i, kinds)
            elif what == 5:
                yield from self.fork_or_end(i)
            else:
                page, pages = self.random_length()
                if what == 2:
                    yield from self.unmap(i, page, pages)
                elif what == 6:
                    yield from self.discard(i, page, pages)
                else:
                    yield from self.protect(i, page, pages, self.random_prot())

    # -- memory --

    def refuse(self, problem: str | None) -> None:
        if problem:
            raise Refused(f"in memory, as the case left it: {problem}")

    def final(self) -> None:
        view = View(self.ctx.guest, self.model)
        self.refuse(view.check())
        if self.free is not None and (free := view.frames.free()) != self.free:
            self.refuse(f"{free} frames are free, but {self.free} were said to be")


def lab_case(script: Callable[[Lab], Done]) -> Callable[[Context], Script]:
    """Register a script on a Lab, with the look at memory behind it."""

    def run(ctx: Context) -> Script:
        lab = Lab(ctx)
        yield from script(lab)
        lab.final()

    run.__name__ = script.__name__.rstrip("_")
    return case(run)  # type: ignore[return-value]


# ---- trees of tables: tests/table_cases.c -----------------------------------------------


class Trees:
    """A tree by itself: which tables there are, by level and number, and which entries."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.ctx, self.prng = lab, lab.ctx, lab.prng
        self.tables: set[tuple[int, int]] = set()
        self.entries: dict[int, int] = {}
        self.root = 0

    def begin(self) -> Done:
        self.root = (yield Expect(Ev.TABLE, what="make a root")).a

    def spot(self) -> int:
        return self.lab.arena + sum(
            self.prng.below(most) << shift
            for shift, most in ((39, 3), (30, 3), (21, 4), (12, 512))
        )

    def span(self) -> int:
        shift = 12 + self.prng.below(30)
        return 1 + self.prng.below(8) << shift

    def row(self, start: int, end: int) -> tuple[int, int] | None:
        """The lowest row in [start, end): where it begins, and how many pages."""
        rows = sorted(number << 21 for level, number in self.tables if level == 0)
        for base in rows:
            low, high = max(base, start), min(base + (1 << 21), end)
            if low < high:
                return low, (high - low) // PAGE
        return None

    def make(self, start: int) -> Step:
        end = start + (1 + self.prng.below(700)) * PAGE
        record = yield Expect(Ev.ROW, what=f"make the row at {start:#x}")
        if error := error_of(record):
            self.ctx.check(
                self.lab.model.failing and error == ENOMEM, f"it failed with error {error}"
            )
            return False
        self.tables |= tables_for({start})
        pages = self.row(start, end)
        self.ctx.check(
            (record.a, record.b) == pages, f"the row is of {record.b} pages at {record.a:#x}"
        )
        for at in range(start, start + record.b * PAGE, PAGE):
            frame = 1 + self.prng.below(1 << 20)
            if at in self.entries or self.prng.below(3):
                continue
            entry = yield Expect(Ev.ENTRY, a=at, what=f"fill the entry of {at:#x}")
            self.ctx.check((entry.b & ADDRESS) // PAGE == frame, "another frame was entered")
            self.entries[at] = entry.b
        return True

    def scan(self, start: int, end: int) -> Done:
        what = f"the rows in [{start:#x}, {end:#x})"
        while (row := self.row(start, end)) is not None:
            yield Expect(Ev.ROW, 0, row[0], row[1], what=what)
            start = row[0] + row[1] * PAGE
        yield Expect(Ev.ROW, 0, 0, 0, 0, what=what)

    def clear(self, start: int, end: int, eighths: int) -> Done:
        for at in sorted(self.entries):
            if not start <= at < end or self.prng.below(8) >= eighths:
                continue
            yield Expect(Ev.ENTRY, a=at, b=0, what=f"clear the entry of {at:#x}")
            del self.entries[at]

    def prune(self, start: int, end: int) -> Done:
        needed = tables_for(set(self.entries))
        gone = {
            (level, number)
            for level, number in self.tables - needed
            if number << 21 + 9 * level < end and start < number + 1 << 21 + 9 * level
        }
        # One that holds a table that stays, stays.
        kept = {
            (upper, number >> 9 * (upper - level))
            for level, number in self.tables - gone
            for upper in range(level + 1, 3)
        }
        gone -= kept
        self.tables -= gone
        yield Expect(
            Ev.PRUNE, a=start, b=end, c=1 + len(self.tables),
            arg=None if self.lab.model.failing else len(gone),
            what=f"prune [{start:#x}, {end:#x}): tables out (arg) and left (c)",
        )  # fmt: skip

    def check(self, *, empty: bool = False) -> Done:
        """empty: there may be tables without entries, of which it complains."""
        yield Expect(
            Ev.CHECK, None, None if empty else 0, len(self.entries), 1 + len(self.tables),
            what="page_table_check(): contradictions (a), entries (b), tables (c)",
        )  # fmt: skip

    def finish(self) -> Done:
        yield from self.clear(0, USER_END, 8)
        yield from self.prune(0, USER_END)

    def final(self) -> None:
        """Walk it in memory."""
        try:
            tree = walk(self.ctx.guest, self.root)
        except GuestError as error:
            self.lab.refuse(str(error))
        for at in tree.entries.keys() ^ self.entries.keys():
            where = "is in no row" if at in self.entries else "should not be there"
            self.lab.refuse(f"the entry of {at:#x} {where}")
        for at, entry in self.entries.items():
            if tree.entries[at] != entry:
                self.lab.refuse(f"the entry of {at:#x} is {tree.entries[at]:#x}, not {entry:#x}")
        if len(tree.tables) != 1 + len(self.tables):
            self.lab.refuse(f"there are {len(tree.tables)} tables, not {1 + len(self.tables)}")
        frames = Frames(self.ctx.guest)
        for table in tree.tables:
            if frames.page(table.pfn).owner != table.used:
                self.lab.refuse(f"the table for {table.base:#x} does not count {table.used}")


@lab_case
def walk_(lab: Lab) -> Done:
    trees = Trees(lab)
    yield from trees.begin()
    yield from trees.scan(0, USER_END)
    for _ in range(120):
        what = lab.prng.below(4)
        if what == 0:
            yield from trees.make(trees.spot())
        elif what == 1:
            start = trees.spot()
            yield from trees.scan(start, start + trees.span())
        else:
            at = trees.spot()
            found = trees.entries.get(at, 0)
            yield Expect(Ev.LOOKUP, a=at, b=found, what=f"look {at:#x} up")
    yield from trees.scan(0, USER_END)
    yield from trees.check(empty=True)
    trees.final()


@lab_case
def prune(lab: Lab) -> Done:
    yield from lab.frames()
    trees = Trees(lab)
    yield from trees.begin()
    for i in range(40):
        yield from trees.make(trees.spot())
        start = trees.spot()
        end = start + trees.span()
        yield from trees.clear(start, end, 8 if lab.prng.below(2) else 4)
        yield from trees.prune(start, end)
        if i % 8 == 0:
            yield from trees.check(empty=True)
    yield from trees.scan(0, USER_END)
    yield from trees.finish()
    yield from lab.frames(as_before=True)


@lab_case
def table_shortage(lab: Lab) -> Done:
    yield from lab.frames()
    trees = Trees(lab)
    yield from trees.begin()
    yield from lab.faults(2)
    for _ in range(60):
        start = trees.spot()
        if not (yield from trees.make(start)):
            yield from trees.prune(start, start + PAGE)
    yield from lab.faults(0)
    yield from trees.check(empty=True)
    yield from trees.scan(0, USER_END)
    yield from trees.finish()
    yield from lab.frames(as_before=True)


# ---- regions: tests/region_cases.c --------------------------------------------------------


class Links:
    """Regions that are linked and unlinked by hand: of one page to nine, all over the arena."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.prng = lab, lab.prng

    @property
    def space(self) -> Space:
        return self.lab.spaces[0]

    def link_or_unlink(self, file: int) -> Done:
        pages = 1 + self.prng.below(9)
        page = self.prng.below(ARENA_PAGES + 1 - pages)
        start, end = self.lab.page(page), self.lab.page(page + pages)
        taken = next(self.space.inside(start, end), None)
        if taken is None:
            what = f"link a region at {start:#x}"
            yield Expect(Ev.LINK, b=start, c=end, what=what)
            shown = self.lab.files[file] if file != ANON else None
            self.space.insert(
                Region(
                    start, end, RW, shared=shown is not None, file=shown, offset=page,
                    home=start // PAGE,
                )
            )  # fmt: skip
            return
        what = f"unlink the region at {taken.start:#x}"
        yield Expect(Ev.LINK, b=taken.start, c=taken.end, what=what)
        self.space.regions.remove(taken)

    def found(self, which: int, address: int) -> Done:
        region = (self.space.find, self.space.find_from)[which](address)
        limits = (region.start, region.end) if region else (NO_PAGE, NO_PAGE)
        what = f"{('region_find', 'region_find_from')[which]}() of {address:#x}"
        yield Expect(Ev.FOUND, which, address, *limits, what=what)

    def find(self) -> Done:
        address = self.lab.page(self.prng.below(ARENA_PAGES))
        address += self.prng.below(2) * (PAGE - 1)
        yield from self.found(0, address)
        yield from self.found(1, address)


def linked_case(script: Callable[[Lab, Links], Done]) -> Callable[[Context], Script]:
    """A case whose regions are compared as far as it goes, and not in memory: nothing is given."""

    def run(ctx: Context) -> Script:
        lab = Lab(ctx)
        yield from script(lab, Links(lab))

    run.__name__ = script.__name__.rstrip("_")
    return case(run)  # type: ignore[return-value]


@linked_case
def lookup(lab: Lab, links: Links) -> Done:
    yield from lab.space(0)
    for _ in range(500):
        if lab.prng.below(2):
            yield from links.link_or_unlink(ANON)
        else:
            yield from links.find()
    yield from links.found(1, 0)
    yield from links.found(1, USER_END - 1)


@linked_case
def link(lab: Lab, links: Links) -> Done:
    yield from lab.space(0)
    yield from lab.file(0, FILE_PAGES)
    for i in range(120):
        yield from links.link_or_unlink(0 if lab.prng.below(3) else ANON)
        if i % 4 == 0:
            yield from links.find()
        yield from lab.object(0)


MAP_SHARED, MAP_PRIVATE, MAP_GROWSDOWN = 1, 2, 0x100


@linked_case
def split(lab: Lab, links: Links) -> Done:
    yield from lab.space(0)
    yield from lab.file(0, FILE_PAGES)
    space = lab.spaces[0]
    flags = (MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_GROWSDOWN)

    def part(region: Region) -> Done:
        kind = flags[2 if region.stack else 1 if region.shared else 0]
        file = 0 if region.file else ANON
        what = f"the part at {region.start:#x}"
        yield Expect(
            Ev.PART, file, region.start, region.end, region.offset, what=f"{what}: offset (c)"
        )
        yield Expect(
            Ev.HOME, RW | ALL << 8, region.home, region.lowest, kind,
            what=f"{what}: home (a), lowest (b), flags (c)",
        )  # fmt: skip

    for kind in range(3):
        offset = lab.prng.below(500)
        start = lab.page(32 * kind)
        lowest = start - (1 << 20) if kind == 2 else 0
        home = lab.page(offset) // PAGE + 7 * lab.prng.below(2)
        space.insert(
            Region(
                start, start + 32 * PAGE, RW, shared=kind == 1, stack=kind == 2,
                file=lab.files[0] if kind == 1 else None, offset=offset, home=home, lowest=lowest,
            )
        )  # fmt: skip
        for _ in range(12):
            at = start + lab.prng.below(32) * PAGE
            region = space.find(at)
            assert region
            if region.start != at:
                space.cut(at)
                yield from part(region)
                upper = space.find(at)
                assert upper
                yield from part(upper)
    for region in space.regions:
        yield from part(region)
    yield from lab.object(0)
    yield Expect(Ev.CHECK, a=0, what="range_tree_check() of the regions")


@lab_case
def cover(lab: Lab) -> Done:
    yield from lab.space(0)
    for _ in range(60):
        yield from lab.trace(2, TRACE_MAP)
        for _ in range(4):
            page, pages = lab.random_length()
            start, end = lab.page(page), lab.page(page + pages)
            covered = lab.spaces[0].covers(start, end)
            what = f"does something cover [{start:#x}, {end:#x})"
            yield Expect(Ev.FOUND, 2, start, int(covered), end, what=what)


@lab_case
def merge(lab: Lab) -> Done:
    yield from lab.space(0)
    yield from lab.file(0, FILE_PAGES)
    for _ in range(200):
        page = 8 * lab.prng.below(ARENA_PAGES // 8)
        prot = (RO, WO, RW)[lab.prng.below(3)]
        shared = bool(lab.prng.below(4))
        what = lab.prng.below(7)
        if what == 0:
            yield from lab.map(0, page, 8, prot)
        elif what in (1, 2):
            offset = page + (0 if lab.prng.below(4) else 8)
            most = ALL if lab.prng.below(4) else RW
            yield from lab.map(0, page, 8, prot, 0, offset, shared, most)
        elif what == 3:
            to = 8 * lab.prng.below(ARENA_PAGES // 8)
            yield from lab.map(0, page, 8, prot)
            if to != page:
                yield from move(lab, page, 8, to)
        elif what == 4:
            yield from dont_fork(lab, page, ARENA_PAGES - page, bool(lab.prng.below(2)))
        else:
            yield from lab.protect(0, page, 16 - page // (ARENA_PAGES - 8) * 8, prot)
        yield from lab.regions(0)
    yield from lab.object(0)
    yield from lab.end()


@lab_case
def unmap(lab: Lab) -> Done:
    yield from lab.frames()
    yield from lab.space(0)
    for i in range(FILES):
        yield from lab.file(i, FILE_PAGES)
    for _ in range(40):
        yield from lab.trace(12, TRACE_MAP | TRACE_FILES | TRACE_TOUCH)
        page, pages = lab.random_length()
        yield from lab.unmap(0, page, pages)
        yield from lab.regions(0)
        yield from lab.counts(0)
    yield from lab.object(0)
    yield from lab.end()


@lab_case
def protect(lab: Lab) -> Done:
    yield from lab.space(0)
    for i in range(FILES):
        yield from lab.file(i, FILE_PAGES)
    yield from lab.map(0, 0, 40, RW)
    yield from lab.map(0, 40, 20, RO, 0, 3, SHARED, RO)
    yield from lab.map(0, 64, 32, RW, 1, 0)
    for _ in range(30):
        yield from lab.trace(16, TRACE_PROTECT | TRACE_TOUCH)
        yield from lab.regions(0)
    yield from lab.end()


# ---- faults: tests/fault_cases.c ------------------------------------------------------------


@lab_case
def zero_page(lab: Lab) -> Done:
    yield from lab.space(0)
    yield from lab.map(0, 4, 60, RW)
    yield from lab.map(0, 70, 20, RO)
    for _ in range(120):
        page = 4 + lab.prng.below(60) if lab.prng.below(2) else 70 + lab.prng.below(20)
        yield from lab.read_page(0, page)
    for _ in range(30):
        yield from lab.write_page(0, 4 + lab.prng.below(60))
        yield from lab.read_page(0, 4 + lab.prng.below(60))
    yield from lab.end()


@lab_case
def anonymous(lab: Lab) -> Done:
    yield from lab.space(0)
    yield from lab.space(1)
    yield from lab.map(0, 0, ARENA_PAGES, RW)
    yield from lab.map(1, 10, 70, WO)
    for i in range(300):
        if lab.prng.below(3):
            yield from lab.write_page(0, lab.prng.below(ARENA_PAGES))
        else:
            yield from lab.read_page(0, lab.prng.below(ARENA_PAGES))
        if i % 4 == 0:
            yield from lab.write_page(1, 10 + lab.prng.below(70))
    yield from lab.end()


@lab_case
def refused(lab: Lab) -> Done:
    yield from lab.space(0)
    for i, prot in enumerate((NONE, RO, WO, RW, RX, ALL)):
        page = 10 * i + lab.prng.below(4)
        yield from lab.map(0, page, 1 + lab.prng.below(6), prot)
    for i in range(250):
        at = lab.page(lab.prng.below(72)) + lab.prng.below(512) * 8
        access = lab.prng.below(3)
        yield from (lab.access if i % 8 else lab.fault)(0, at, access)
    yield from lab.fault(0, USER_END, READ)
    yield from lab.fault(0, (1 << 64) - 1 - lab.prng.below(1 << 30), WRITE)
    yield from lab.fault(0, USER_END - 1, READ)
    yield from lab.fault(0, 0, READ)
    yield from lab.regions(0)
    yield from lab.end()


@lab_case
def file_shared(lab: Lab) -> Done:
    yield from lab.file(0, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.space(1)
    yield from lab.map(0, 4, 40, RW, 0, 3, SHARED)
    yield from lab.map(1, 50, 46, RW, 0, 0, SHARED)
    yield from lab.map(1, 0, 20, RO, 0, 20, SHARED, RO)
    for _ in range(200):
        yield from lab.trace(1, TRACE_TOUCH)
        yield from lab.write_page(0, 4 + lab.prng.below(40))
        yield from lab.read_page(1, lab.prng.below(ARENA_PAGES))
    yield from lab.object(0)
    yield from lab.end()


@lab_case
def file_private(lab: Lab) -> Done:
    yield from lab.file(0, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.space(1)
    yield from lab.map(0, 4, 44, RW, 0, 3)
    yield from lab.map(1, 40, 48, RW, 0, 0)
    yield from lab.map(1, 0, 40, RW, 0, 8, SHARED)
    for _ in range(150):
        yield from lab.trace(1, TRACE_TOUCH)
        yield from lab.write_page(0, 4 + lab.prng.below(44))
        yield from lab.read_page(0, 4 + lab.prng.below(44))
        yield from lab.write_page(1, lab.prng.below(88))
    yield from lab.end()


@lab_case
def around(lab: Lab) -> Done:
    lab.model.around = True
    offset = lab.prng.below(12)
    yield from lab.file(0, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.space(1)
    yield from lab.map(0, 30, 36, RW, 0, offset, SHARED)
    yield from lab.map(1, 26 + lab.prng.below(10), 30, RW, 0, offset)
    for _ in range(40):
        space = lab.prng.below(2)
        writes = lab.prng.below(5) == 0
        page = 26 + lab.prng.below(42)
        yield from (lab.write_page if writes else lab.read_page)(space, page)
    yield from lab.end()


@lab_case
def beyond_the_end(lab: Lab) -> Done:
    pages = 10 + lab.prng.below(8)
    yield from lab.file(0, pages)
    yield from lab.space(0)
    yield from lab.map(0, 0, 30, RW, 0, 0, SHARED)
    yield from lab.map(0, 44, 30, RW, 0, 0)
    for i in range(80):
        page = lab.prng.below(30)
        page += 44 * lab.prng.below(2)
        writes = bool(lab.prng.below(2))
        yield from (lab.write_page if writes else lab.read_page)(0, page)
        if i == 40:
            yield Expect(Ev.FILE, arg=24, a=lab.files[0].address, what="let the file grow")
            lab.files[0].pages = 24
    yield from lab.end()


@lab_case
def dirty(lab: Lab) -> Done:
    yield from lab.file(0, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.map(0, 0, 48, RW)
    yield from lab.map(0, 48, 48, RW, 0, 0, SHARED)
    for i in range(120):
        page = lab.prng.below(ARENA_PAGES)
        yield from (lab.write_page if i % 3 else lab.read_page)(0, page)
    for i in range(12):
        page, pages = lab.random_length()
        yield from lab.protect(0, page, pages, (RO, NONE, RW)[i % 3])
        yield from lab.read_page(0, lab.prng.below(ARENA_PAGES))
    yield from lab.protect(0, 0, ARENA_PAGES, RW)
    yield from lab.end()


@lab_case
def statistics(lab: Lab) -> Done:
    yield from lab.file(0, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.map(0, 0, 40, RW)
    yield from lab.map(0, 40, 24, RW, 0, 0)
    yield from lab.map(0, 70, 24, RW, 0, 10, SHARED)
    for i in range(40):
        page = lab.prng.below(40)
        yield from lab.trace(6, TRACE_TOUCH)
        if i % 8 == 7 and (yield from lab.fork(0, 1)):
            yield from lab.write_page(0, lab.prng.below(60))
            yield from lab.put(1)
            yield from lab.write_page(0, lab.prng.below(60))
        yield from lab.write_page(0, page)
        yield from lab.fault(0, lab.page(page), READ if i % 2 else WRITE)
        yield from lab.stats(0)
    yield from lab.end()


@lab_case
def stack(lab: Lab) -> Done:
    limit = 200 + lab.prng.below(400)
    top = 1200 + lab.prng.below(200)
    yield from lab.space(0)
    space = lab.spaces[0]
    for turn in range(4):
        end, size = lab.page(top), limit * PAGE
        yield Expect(Ev.STACK, 0, space.address, end, size, what=f"make a stack below {end:#x}")
        lowest = end - size
        start = max(end - STACK_START, lowest)
        lab.model.map(
            space, Region(start, end, RW, stack=True, home=start // PAGE, lowest=lowest)
        )
        space.guarded = turn != 2
        yield Expect(Ev.GUARD, int(space.guarded), space.address, what="keep a gap below stacks")
        if turn > 0:
            page = top - 40 - lab.prng.below(limit + 200)
            pages = 1 + lab.prng.below(3)
            yield from lab.map(0, page, pages, (NONE, RW, RO)[turn - 1])
        for i in range(24):
            reach = min(limit + 400, 60 + i * (limit + 400) // 20)
            page = top - 1 - lab.prng.below(reach)
            writes = bool(lab.prng.below(3))
            yield from (lab.write_page if writes else lab.read_page)(0, page)
        yield from lab.regions(0)
        yield from lab.counts(0)
        if turn < 3:
            yield from lab.unmap(0, 0, top)
    yield from lab.end()


@lab_case
def fault_shortage(lab: Lab) -> Done:
    for i in range(FILES):
        yield from lab.file(i, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.map(0, 0, 40, RW)
    yield from lab.map(0, 40, 40, RW, 0, 0)
    yield from lab.fork(0, 1)
    for i in range(6):
        yield from lab.faults(2 + i % 2)
        yield from lab.trace(50, TRACE_TOUCH)
        yield from lab.faults(0)
        yield from lab.counts(0)
        yield from lab.counts(1)
        yield from lab.trace(20, TRACE_MAP | TRACE_FILES | TRACE_DISCARD | TRACE_TOUCH)
    lab.ctx.check(lab.refused > 0, "no request for a frame was refused")
    yield from lab.end()


# ---- fork(): tests/fork_cases.c -----------------------------------------------------------------


def begin_fork(lab: Lab) -> Done:
    for i in range(FILES):
        yield from lab.file(i, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.map(0, 0, 50, RW)
    yield from lab.map(0, 50, 20, RW, 0, 0)
    yield from lab.map(0, 70, 16, RW, 1, 5, SHARED)
    yield from lab.trace(60, TRACE_TOUCH)


def move(lab: Lab, source: int, pages: int, to: int) -> Done:
    """mremap(): regions keep their homes, pages their frames."""
    space, start, length = lab.spaces[0], lab.page(source), pages * PAGE
    target = lab.page(to)
    yield Expect(Ev.MOVE, 0, space.address, start, target, what=f"move {start:#x}")
    space.unmap(target, target + length)
    space.cut(start, start + length)
    for region in list(space.inside(start, start + length)):
        region.start, region.end = region.start - start + target, region.end - start + target
    for page in [page for page in space.entries if start <= page < start + length]:
        entry = space.entries[page]
        space.forget(page)
        space.show(page - start + target, entry)
    space.regions.sort(key=lambda one: one.start)
    space.merge(target, target + length)


def dont_fork(lab: Lab, page: int, pages: int, dont: bool) -> Done:
    """madvise(MADV_DONTFORK) or MADV_DOFORK, of all that is mapped in a range."""
    space, start, end = lab.spaces[0], lab.page(page), lab.page(page + pages)
    what = "MADV_DONTFORK" if dont else "MADV_DOFORK"
    record = yield Expect(Ev.ADVISE, a=space.address, b=start, c=end - start, what=what)
    error = 0 if space.covers(start, end) else ENOMEM
    lab.ctx.check(error_of(record) == error, f"it returned error {error_of(record)}, not {error}")
    space.cut(start, end)
    for region in space.inside(start, end):
        region.no_fork = dont
    space.merge(start, end)


@lab_case
def fork(lab: Lab) -> Done:
    yield from begin_fork(lab)
    yield from lab.map(0, 4000, 8, RW, 0, 0)
    yield from lab.read_page(0, 4000)
    yield from lab.map(0, 90, 6, RW)
    for i in range(6):
        yield from lab.write_page(0, 90 + i)
    space = lab.spaces[0]
    yield from dont_fork(lab, 90 + lab.prng.below(3), 2, True)
    page = lab.prng.below(10)
    to = 200 + lab.prng.below(100)
    yield from move(lab, page, 8, to)
    start, end = lab.page(30), lab.page(34)
    space.cut(start, end)
    for region in space.inside(start, end):
        region.locked = True
    yield from lab.fork(0, 1)
    yield from lab.regions(0)
    yield from lab.regions(1)
    yield from lab.fork(1, 2)
    for i in range(8):
        yield from lab.write_page(1, to + i)
    yield from lab.object(0)
    yield from lab.object(1)
    yield from lab.end()


@lab_case
def copy_on_write(lab: Lab) -> Done:
    yield from begin_fork(lab)
    for i in range(4):
        yield from lab.fork(lab.prng.below(i + 1), i + 1)
        yield from lab.trace(50, TRACE_TOUCH)
    for i in range(4):
        yield from lab.trace(50, TRACE_TOUCH)
        yield from lab.put(i)
    yield from lab.trace(60, TRACE_TOUCH)
    yield from lab.end()


@lab_case
def generations(lab: Lab) -> Done:
    yield from begin_fork(lab)
    yield from lab.put(0)
    yield from lab.frames()
    yield from lab.space(0)
    yield from lab.map(0, 0, 60, RW)
    yield from lab.map(0, 60, 30, RW, 0, 0)
    for _ in range(20):
        yield from lab.trace(30, TRACE_FORK | TRACE_PROTECT | TRACE_DISCARD | TRACE_TOUCH)
        for k in sorted(lab.spaces):
            yield from lab.counts(k)
    for k in sorted(lab.spaces):
        yield from lab.put(k)
    yield from lab.object(0)
    yield from lab.end()


@lab_case
def fork_shortage(lab: Lab) -> Done:
    yield from begin_fork(lab)
    for i in range(12):
        yield from lab.frames()
        yield from lab.faults(2 + i)
        if (yield from lab.fork(0, 1)):
            yield from lab.put(1)
        yield from lab.faults(0)
        yield from lab.frames(as_before=True)
        yield from lab.counts(0)
        yield from lab.trace(10, TRACE_TOUCH)
    lab.ctx.check(lab.refused > 0, "no request for a frame was refused")
    yield from lab.end()


@lab_case
def mixed(lab: Lab) -> Done:
    yield from begin_fork(lab)
    kinds = TRACE_MAP | TRACE_PROTECT | TRACE_FILES | TRACE_FORK | TRACE_DISCARD | TRACE_TOUCH
    for _ in range(12):
        yield from lab.trace(60, kinds)
        for k in sorted(lab.spaces):
            yield from lab.regions(k)
    yield from lab.end()


# ---- processors: tests/tlb_cases.c -----------------------------------------------------------


@lab_case
def flush(lab: Lab) -> Done:
    lab.model.many = True
    yield from lab.file(0, FILE_PAGES)
    yield from lab.file(1, FILE_PAGES)
    yield from lab.space(0)
    yield from lab.map(0, 0, 60, RW)
    yield from lab.map(0, 60, 36, RW, 0, 0)
    for i in range(40):
        k = 0
        while k < ARENA_PAGES:
            yield from lab.read_page(0, k)
            k += 1 + lab.prng.below(12)
        if i % 4 == 0:
            yield from lab.fork(0, 1)
            for _ in range(20):
                yield from lab.write_page(0, lab.prng.below(ARENA_PAGES))
            yield from lab.put(1)
        yield from lab.trace(6, TRACE_MAP | TRACE_PROTECT | TRACE_DISCARD)
        for _ in range(6):
            yield from lab.write_page(0, lab.prng.below(ARENA_PAGES))
    yield from lab.end()


def access_on(lab: Lab, cpu: int) -> Done:
    page = lab.prng.below(32)
    address = lab.word(page)
    access = READ if lab.prng.below(3) else WRITE
    yield from lab.access(0, address, access)
    lab.ctx.check(lab.ctx.records[lab.ctx.index].cpu == cpu, "another CPU did that")


def change_something(lab: Lab, what: int) -> Done:
    page = lab.prng.below(24)
    pages = 1 + lab.prng.below(8)
    if what == 0:
        yield from lab.protect(0, page, pages, RO)
    elif what in (1, 5):
        yield from lab.unmap(0, page, pages)
        if what == 1:
            yield from lab.map(0, page, pages, RW)
    elif what == 2:
        yield from lab.discard(0, page, pages)
    elif what == 3:
        yield from lab.fork(0, 1)
        for k in range(16):
            yield from lab.access(0, lab.page((page + k) % 32), READ)
        for k in range(8):
            yield from lab.write_page(0, (page + 2 * k) % 32)
        yield from lab.put(1)
    else:
        yield from lab.protect(0, 0, 32, RW)


@lab_case
def shootdown(lab: Lab) -> Done:
    lab.model.many = True
    yield from lab.space(0)
    yield from lab.map(0, 0, 32, RW)
    for _ in range(48):
        for k in range(24):
            yield from access_on(lab, 1 + k % 3)
        yield from change_something(lab, lab.prng.below(6))
        for _ in range(24):
            yield from access_on(lab, lab.prng.below(4))
    yield from lab.map(0, 0, 32, RW)
    for i in range(6):
        page = lab.prng.below(32)
        cpu = 1 + lab.prng.below(3)
        yield from lab.access(0, lab.page(page), WRITE)
        frame = lab.spaces[0].entries[lab.page(page)].frame
        what = f"CPU {cpu} keeps a translation: its frame must not be free yet (arg)"
        yield Expect(Ev.HELD, arg=1, a=frame.pfn, what=what)
        yield from (lab.unmap if i % 2 else lab.discard)(0, page, 1)
        yield from lab.map(0, page, 1, RW)
    yield from lab.end()


@lab_case
def stress(lab: Lab) -> Done:
    pages = 48
    yield from lab.space(0)
    yield from lab.map(0, 0, pages, RW)
    for i in range(4):
        yield Expect(Ev.WORKER, arg=i, a=0, what=f"what worker {i} saw")
    space = lab.spaces[0]
    tree = walk(lab.ctx.guest, space.root)
    for page in range(pages):
        address = lab.page(page)
        words = {8 * n: n + 1 << 16 | page for n in range(4)}
        pfn = (tree.entries.get(address, 0) & ADDRESS) // PAGE
        frame = Frame(pfn, words, home=address // PAGE, family=space.family)
        space.show(address, Entry(frame, None, True))
    yield from lab.end()


# ---- costs: tests/cost_cases.c ----------------------------------------------------------------

# Instructions: what other designs take, too. To clear or to copy a frame takes 512 of them.
LOOKUP_LIMIT, LINK_LIMIT = (150, 300, 450), (1500, 2500, 4000)
FAULT_LIMITS = (800, 1600, 1600, 600, 400, 1550, 700, 250, 650)
FORK, CROWD = 4, 500
FAULT_KINDS = (
    "a fault on the page of zeroes", "writing where that was", "a fault on fresh memory",
    "a fault that is none", "fork(), a page", "a copy", "the last owner's write",
    "mprotect(), a page", "munmap(), a page",
)  # fmt: skip


def judge_cost(lab: Lab, phase: int, limit: int, what: str) -> Done:
    record = yield Expect(Ev.COST, arg=phase, what=f"instructions of {what}")
    lab.ctx.check(record.a > 0, "nothing was measured")
    lab.ctx.check(record.a <= limit, f"{record.a} instructions; the limit is {limit}")


@linked_case
def lookup_cost(lab: Lab, _links: Links) -> Done:
    yield from lab.space(0)
    lab.prng.below(1000)
    for i, nr in enumerate((10, 1000, 100000)):
        yield from judge_cost(lab, 10 + i, LINK_LIMIT[i], f"linking one of {nr} regions")
        yield from judge_cost(lab, i, LOOKUP_LIMIT[i], f"finding one of {nr} regions")


@linked_case
def fault_cost(lab: Lab, _links: Links) -> Done:
    lab.arena = (2 << 30) + lab.prng.below(1000) * (2 << 20)
    yield from lab.space(0)
    yield from lab.file(0, FILE_PAGES)
    for crowded in range(2):
        yield from lab.map(0, 0, 192, RW)
        for phase, (limit, what) in enumerate(zip(FAULT_LIMITS, FAULT_KINDS, strict=True)):
            if phase == FORK and crowded:  # 64 pages, and a region for each of the crowd
                limit += CROWD * LINK_LIMIT[1] // 64
            yield from judge_cost(lab, 20 * crowded + phase, limit, what)
        yield from lab.unmap(0, 0, 192)


# ---- programs: tests/program_cases.c ---------------------------------------------------------

CLD_EXITED = 1


def program(lab: Lab, what: str) -> Generator[Expect, Record, int]:
    """A program of the initrd has ended. Returns how many cases of its own went well."""
    record = yield Expect(Ev.PROGRAM, arg=CLD_EXITED << 8, b=0, what=what)
    lab.ctx.check(record.a == record.c, f"{record.a} of its {record.c} cases went well")
    return record.a


def totals(lab: Lab) -> Done:
    """All programs have ended: faults of each common kind were counted, and nothing is left."""
    what = "the faults of all programs"
    record = yield Expect(Ev.STATS, arg=0, what=f"{what}: of zeroes, anonymous, copies")
    kinds = min(record.a, record.b, record.c)
    record = yield Expect(Ev.STATS, arg=1, what=f"{what}: reuse, of files, of stacks")
    kinds = min(kinds, record.a, record.b)
    record = yield Expect(Ev.STATS, arg=2, a=0, c=0, what=f"{what}: pages left (a, c), all (b)")
    lab.ctx.check(0 < kinds < record.b, "programs cannot have run without faults of each kind")


@lab_case
def program_maps(lab: Lab) -> Done:
    passed = 0
    for name in ("mmap", "munmap", "mprotect", "brk"):
        passed += yield from program(lab, f"run /tests/{name}")
    lab.ctx.check(passed >= 40, f"only {passed} cases were tried")
    yield from totals(lab)
    yield from lab.end()


@lab_case
def program_forks(lab: Lab) -> Done:
    passed = 0
    for name in ("fork", "stack"):
        passed += yield from program(lab, f"run /tests/{name}")
    lab.ctx.check(passed >= 24, f"only {passed} cases were tried")
    yield from totals(lab)
    yield from lab.end()


@lab_case
def program_model(lab: Lab) -> Done:
    lab.prng.below(1000000)
    passed = yield from program(lab, "run /tests/vm_model")
    lab.ctx.check(passed == 1, "it did not say that there is no contradiction")
    yield from totals(lab)
    yield from lab.end()
