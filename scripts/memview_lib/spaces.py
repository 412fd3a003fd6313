# SPDX-License-Identifier: MIT
"""From records to address spaces: who came from whom, what each has mapped, and with whom.

A frame is known by its number, a page of a space by its address. The kernel tells of a mapping more
than once where that costs it less than to find out that it has told of it before; and where it
takes a mapping away it names the frame only. template/spaces.js draws what is found here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .ring import FRAME_BITS, Event, Record, Trace, is_about_blocks

# Faults that end with a page that was not there before.
_MAPPING = {Event.FAULT_FRESH, Event.FAULT_FILE, Event.FAULT_COPY, Event.SPACE_MAP}
FAULTS = tuple(event for event in Event if event.name.startswith("FAULT_"))

# enum fault_result
RESULTS = ("done", "nothing is mapped there", "the mapping forbids it", "stack overflow",
           "behind the end of the file", "no memory")  # fmt: skip


def page_of(record: Record) -> int:
    """Number of the page that a record is about."""
    return record.pfn >> FRAME_BITS


def frame_of(record: Record) -> int:
    return record.pfn & ((1 << FRAME_BITS) - 1)


@dataclass
class Space:
    """One address space, from its first event to its last."""

    number: int  # in the order of their beginning
    parent: int | None  # number of the one that fork() copied
    born: int  # number of the event
    died: int | None = None
    owners: list[tuple[int, int, str]] = field(default_factory=list)  # event, process id, name
    # What it has mapped, where that changed: number of the event, pages, shared pages.
    series: list[tuple[int, int, int]] = field(default_factory=list)
    faults: Counter[int] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """Of the processes that had it: "3 sh", "3 sh, 4 ls"."""
        names = [f"{pid} {name}".rstrip() for _, pid, name in self.owners]
        return ", ".join(dict.fromkeys(names)) or f"space {self.number}"


class Spaces:
    """All of them, after all records; and which record is about which."""

    def __init__(self, trace: Trace) -> None:
        self.records = [r for r in trace.records if not is_about_blocks(r.event)]
        self.all: list[Space] = []
        self.of: list[int] = []  # the number of the space, for each record
        self.shared: list[int] = []  # frames that several spaces have, after each record
        self._here: dict[int, Space] = {}  # by address
        self._pages: dict[int, dict[int, int]] = {}  # by space: page -> frame
        self._places: dict[tuple[int, int], set[int]] = {}  # by space and frame: pages
        self._holders: dict[int, Counter[int]] = {}  # by frame: space -> its mappings
        self._shared_in: Counter[int] = Counter()  # by space: mappings of frames that others have
        self._nr_shared = 0
        for number, record in enumerate(self.records):
            self._take(number, record)

    # ---- Spaces come and go ------------------------------------------------------------

    def _space(self, number: int, address: int) -> Space:
        """The one at an address; one that was there before the first record begins with it."""
        if address not in self._here:
            self._begin(number, address)
        return self._here[address]

    def _begin(self, number: int, address: int) -> Space:
        if old := self._here.pop(address, None):  # its end was lost
            self._end(number, old)
        space = Space(len(self.all), None, number)
        self.all.append(space)
        self._here[address] = space
        self._pages[space.number] = {}
        return space

    def _end(self, number: int, space: Space) -> None:
        for page in list(self._pages[space.number]):
            self._take_out(number, space, page)
        space.died = number

    # ---- Mappings ------------------------------------------------------------------------

    def _map(self, number: int, space: Space, page: int, frame: int) -> None:
        pages = self._pages[space.number]
        if pages.get(page) == frame:
            return
        if page in pages:
            self._take_out(number, space, page)
        pages[page] = frame
        self._places.setdefault((space.number, frame), set()).add(page)
        self._change(number, frame, space, 1)

    def _unmap(self, number: int, space: Space, page: int, frame: int) -> None:
        places = self._places.get((space.number, frame))
        if places:  # where it was need not be told
            self._take_out(number, space, page if page in places else min(places))

    def _take_out(self, number: int, space: Space, page: int) -> None:
        frame = self._pages[space.number].pop(page)
        places = self._places[space.number, frame]
        places.remove(page)
        if not places:
            del self._places[space.number, frame]
        self._change(number, frame, space, -1)

    def _change(self, number: int, frame: int, space: Space, step: int) -> None:
        """One mapping more or less, and who shares what after it."""
        holders = self._holders.setdefault(frame, Counter())
        touched = {space.number, *holders}
        if len(holders) > 1:
            self._nr_shared -= 1
            self._shared_in.subtract(holders)
        holders[space.number] += step
        if not holders[space.number]:
            del holders[space.number]
        if len(holders) > 1:
            self._nr_shared += 1
            self._shared_in.update(holders)
        if not holders:
            del self._holders[frame]
        self._note(number, touched)

    def _note(self, number: int, spaces: Iterable[int]) -> None:
        for at in spaces:
            now = number, len(self._pages[at]), self._shared_in[at]
            series = self.all[at].series
            if series and series[-1][0] == number:
                series[-1] = now
            else:
                series.append(now)

    # ---- Records -------------------------------------------------------------------------

    def _take(self, number: int, record: Record) -> None:
        event = record.event
        if event == Event.SPACE_NEW:
            space = self._begin(number, record.caller)
        else:
            space = self._space(number, record.caller)
        if event == Event.SPACE_FORK and record.pfn in self._here:
            space.parent = self._here[record.pfn].number
        elif event == Event.SPACE_OWNER:
            space.owners.append((number, record.pfn, ""))
        elif event == Event.SPACE_NAME and space.owners:
            at, pid, name = space.owners[-1]
            raw = record.pfn.to_bytes(8, "little").partition(b"\0")[0]
            space.owners[-1] = at, pid, name + raw.decode("ascii", "replace")
        elif event in _MAPPING:
            self._map(number, space, page_of(record), frame_of(record))
        elif event == Event.SPACE_UNMAP:
            self._unmap(number, space, page_of(record), frame_of(record))
        elif event == Event.SPACE_GONE:
            self._end(number, space)
            del self._here[record.caller]
        if event in FAULTS:
            space.faults[event] += 1
        self.of.append(space.number)
        self.shared.append(self._nr_shared)
