# SPDX-License-Identifier: MIT
"""ikos-regions: an address space as a table, and whether regions and page tables agree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import gdb
from kernel import PAGE_SIZE, Memory, plural
from spaces import Region, Space, UserPages, find_space
from walk import PRESENT, WRITE, Step

_PROT_WRITE, _PROT_ANY = 2, 7
_MAX_SHOWN = 20


def amount(size: int) -> str:
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size >> 10} KiB"


@dataclass
class Census:
    """Entries of page tables, counted by region, and what contradicts."""

    there: Counter[int] = field(default_factory=Counter)  # by the region's start
    shared: Counter[int] = field(default_factory=Counter)
    anonymous: int = 0
    of_files: int = 0
    zeroes: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def resident(self) -> int:
        return self.anonymous + self.of_files


def pages_of(address: int, step: Step) -> Iterator[tuple[int, Step]]:
    """The page of an entry; of a huge one, which is of level 1, all that it maps."""
    count = 512 if step.level == 1 else 1
    for i in range(count):
        at = i * PAGE_SIZE
        yield address + at, replace(step, entry=step.entry + at)


class Counting:
    """Walks the tables of a space once."""

    def __init__(self, space: Space) -> None:
        self._pages = UserPages(space.memory)
        self.census = Census()
        regions = iter(space.regions)
        region = next(regions, None)
        for address, step in space.tables.entries():
            while region and region.end <= address:
                region = next(regions, None)
            if step is None:
                self._error(f"the table for {address:#x} on lies where no memory is")
            else:
                here = region if region and region.holds(address) else None
                for page, one in pages_of(address, step):
                    self._count(page, one, here)

    def _error(self, text: str) -> None:
        self.census.errors.append(text)

    def _count(self, address: int, step: Step, region: Region | None) -> None:
        census, page = self.census, self._pages.at(step.frame // PAGE_SIZE)
        if step.level > 1:
            self._error(f"{address:#x} is mapped by an entry of level {step.level}")
            return
        if page is None or page.use not in ("zero", "anonymous", "file"):
            what = page or f"frame {step.frame // PAGE_SIZE:#x}, which is no memory"
            self._error(f"{address:#x} leads to {what}")
            return
        census.zeroes += page.use == "zero"
        census.anonymous += page.use == "anonymous"
        census.of_files += page.use == "file"
        if region is None:
            self._error(f"{address:#x} is mapped, but in no region")
            return
        if page.use != "zero":
            census.there[region.start] += 1
            census.shared[region.start] += page.mappings > 1
        if step.entry & PRESENT and not region.prot & _PROT_ANY:
            self._error(f"{address:#x} can be accessed, but its region {region} forbids it")
        if step.entry & WRITE and not region.prot & _PROT_WRITE:
            self._error(f"{address:#x} can be written, but its region {region} forbids it")
        elif step.entry & WRITE and page.use == "zero":
            self._error(f"{address:#x} can be written, and is the page of zeroes")
        elif step.entry & WRITE and region.is_private and page.use == "file":
            self._error(f"{address:#x} can be written, and is a page of the file itself")
        elif step.entry & WRITE and region.is_private and page.mappings > 1:
            self._error(f"{address:#x} can be written, and {page.mappings} entries lead to it")


def contradictions(space: Space, census: Census) -> Iterator[str]:
    yield from space.errors
    yield from census.errors
    for name, counted in (
        ("nr_resident", census.resident), ("nr_anonymous", census.anonymous),
        ("nr_mapped", sum(region.pages for region in space.regions)),
    ):  # fmt: skip
        if (said := space.view.number(name)) != counted:
            yield f"{name} says {said}, but it is {counted}"


class IkosRegions(gdb.Command):
    """Show the regions of a process: what it may expect where, and how much of it is there.

    ikos-regions PID

    In place of PID, an address space or a pointer to one will do, such as "space" in a function
    of mm/. A line is a region, as in /proc/PID/maps: addresses, rights (p private, s shared),
    the first page of the file, pages, how many of them are there and how many of these other
    entries lead to as well, what it is. Between regions stand the gaps. Then the sums, recounted
    from the page tables, and all contradictions between regions, tables and counters.
    """

    def __init__(self) -> None:
        super().__init__("ikos-regions", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("use: ikos-regions PID")
        space = find_space(Memory(), argument.strip())
        census = Counting(space).census
        mapped = sum(region.pages for region in space.regions)
        print(
            f"{space.name}: {plural(len(space.regions), 'region')},"
            f" {amount(mapped * PAGE_SIZE)} mapped"
        )
        self._show_regions(space, census)
        size = amount(census.resident * PAGE_SIZE)
        print(
            f"  there (RSS)  {plural(census.resident, 'page')}, {size}:"
            f" {census.anonymous} anonymous, {census.of_files} of files;"
            f" besides {plural(census.zeroes, 'page')} of zeroes"
        )
        tables = space.view.number("table.nr_tables")
        cpus = [str(n) for n in range(64) if space.view.number("users.cpus") >> n & 1]
        print(f"  page tables  {plural(tables, 'frame')}; used by CPU {', '.join(cpus) or '-'}")
        self._show_errors(space, census)

    @staticmethod
    def _show_regions(space: Space, census: Census) -> None:
        print("  start        end          rights  page of file  pages  there  shared")
        before = None
        for region in space.regions:
            if before is not None and region.start > before:
                print(f"  {'':27}gap of {amount(region.start - before)}")
            remarks = [space.describe(region)]
            remarks += ["locked"] if region.is_locked else []
            remarks += [f"may grow down to {region.lowest:#x}"] if region.is_stack else []
            remarks += [f"moved here from {region.home << 12:#x}"] if region.is_moved else []
            print(
                f"  {region.start:012x} {region.end:012x} {region.rights}"
                f"  {region.offset if region.object else 0:12}  {region.pages:7}"
                f" {census.there[region.start]:6}  {census.shared[region.start]:6}"
                f"  {', '.join(word for word in remarks if word)}".rstrip()
            )
            before = region.end

    @staticmethod
    def _show_errors(space: Space, census: Census) -> None:
        errors = list(contradictions(space, census))
        for error in errors[:_MAX_SHOWN]:
            print(f"  {error}")
        if len(errors) > _MAX_SHOWN:
            print(f"  and {len(errors) - _MAX_SHOWN} more")
        if not errors:
            print("  no contradiction")
            return
        print(f"  {plural(len(errors), 'contradiction')}")
        if space.is_locked():
            print("  somebody holds its lock: this is the middle of a change, which may explain it")


IkosRegions()
