# SPDX-License-Identifier: MIT
"""From records to histories: one for each allocator, from its first event to its last.

An allocator announces its frames with INIT; that one lies inside another's frames is usual,
for tests make theirs where the kernel's own has none. Allocators that share their frames, as
the groups of a zone do, have one history: a frame goes from one to the other. An event belongs
to the allocator that announced its frame last. If the ring has lost the announcement, the
kernel says in its memory where the allocators are.

How memory looked before the first event that the ring kept is found by going backwards from
how it looks at the end, which the kernel's struct page array says. Where that cannot be read,
frames are taken for reserved until an event says otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from grading import pageview
from grading.errors import GuestError
from grading.guest import Guest

from .blocks import ALLOCATED, FREE, RESERVED, TAIL, Blocks
from .ring import Event, Record, Trace, is_about_blocks

_LARGEST = 1 << 10  # frames
_STATES = {pageview.PAGE_FREE: FREE, pageview.PAGE_ALLOCATED: ALLOCATED}


@dataclass
class History:
    """What happened to the frames [first, end) of one allocator."""

    first: int
    end: int
    made_by: int = 0  # return address, 0 if unknown
    guessed: bool = False  # nobody said that there is an allocator here, or how far it goes
    records: list[Record] = field(default_factory=list)
    contradictions: set[int] = field(default_factory=set)  # numbers of records that do not fit
    initial: bytes = b""  # cells before the first record
    final: bytes = b""  # after the last

    @property
    def frames(self) -> int:
        return self.end - self.first


def build(trace: Trace, guest: Guest | None = None) -> list[History]:
    """All allocators that have events, the last announced first: a test's before the kernel's."""
    known = _known_arenas(guest) if guest else []
    records = [record for record in trace.records if is_about_blocks(record.event)]
    histories = [h for h in _assign(records, known) if h.records]
    for history in histories:
        history.initial = _initial(history, guest)
        _run(history)
    return histories


# ---- Which allocator ------------------------------------------------------------------


def _known_arenas(guest: Guest) -> list[tuple[int, int]]:
    """Where the kernel's frames and the test arena are, as far as that can be read."""
    found = []
    for read in (_frames_of_lab1, _frames_of_zones, _test_arena):
        try:
            first, end = read(guest)
        except GuestError:
            continue
        if first < end <= first + (1 << 32):
            found.append((first, end))
    return found


def _span(guest: Guest, address: int, struct: str) -> tuple[int, int]:
    return guest.member(address, struct, "first"), guest.member(address, struct, "end")


def _frames_of_lab1(guest: Guest) -> tuple[int, int]:
    return _span(guest, guest.image.address("mm_frames"), "buddy")


def _frames_of_zones(guest: Guest) -> tuple[int, int]:
    """From the first zone of the machine's node to the last: its groups share their frames."""
    zones, size = guest.image.debug.member("node", "zone"), guest.image.debug.size_of("zone")
    address = guest.image.address("machine") + zones.offset
    first, _ = _span(guest, address, "zone")
    _, end = _span(guest, address + zones.size - size, "zone")
    return first, end


def _test_arena(guest: Guest) -> tuple[int, int]:
    return _span(guest, guest.image.address("arena"), "frame_range")


def _assign(records: Sequence[Record], known: list[tuple[int, int]]) -> list[History]:
    made: dict[tuple[int, int], History] = {}
    newest: list[History] = []  # the last announced is the last

    def announce(first: int, end: int, by: int = 0, guessed: bool = False) -> None:
        history = made.setdefault((first, end), History(first, end, guessed=guessed))
        history.made_by = history.made_by or by
        if history in newest:
            newest.remove(history)
        newest.append(history)

    for first, end in known:
        announce(first, end)
    for group in _grouped(records):
        if group[0].event == Event.INIT:
            announce(group[0].pfn, _end_of(group), group[0].caller)
        for record in group:
            history = _owner(newest, record)
            if history is None:
                first = record.pfn & -_LARGEST
                end = max(first + _LARGEST, record.pfn + (1 << record.order))
                announce(first, end, guessed=True)
                history = newest[-1]
            history.records.append(record)
    return _joined(newest[::-1])


def _grouped(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Each record by itself, but INITs together that make one piece.

    A large range is announced in several, and the groups of a node's zones one after the other:
    those of one zone share their frames, and the next zone begins where it ends.
    """
    group: list[Record] = []
    for record in records:
        continues = (
            group
            and record.event == group[-1].event == Event.INIT
            and group[0].pfn <= record.pfn <= _end_of(group)
            and record.caller == group[-1].caller
        )
        if group and not continues:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _end_of(group: list[Record]) -> int:
    return max(record.pfn + (1 << record.order) for record in group)


def _owner(newest: list[History], record: Record) -> History | None:
    last = record.pfn + (1 << record.order)
    for history in reversed(newest):
        if history.first <= record.pfn and last <= history.end:
            return history
    return None


def _joined(histories: list[History]) -> list[History]:
    """The guessed ones last, with neighbours among them put together: they are likely one."""
    result: list[History] = []
    for history in sorted(histories, key=lambda h: (h.guessed, h.first if h.guessed else 0)):
        before = result[-1] if result and result[-1].guessed and history.guessed else None
        if before and before.end == history.first:
            before.end = history.end
            before.records = sorted(before.records + history.records, key=lambda r: r.sequence)
        else:
            result.append(history)
    return result


# ---- How memory looked ------------------------------------------------------------------


def _initial(history: History, guest: Guest | None) -> bytes:
    if history.records[0].event == Event.INIT:
        return bytes(history.frames)
    at_end = final_cells(history, guest) if guest else None
    blocks = Blocks(history.first, history.frames, at_end)
    for record in reversed(history.records):
        blocks.undo(record.event, record.pfn, record.order)
    blocks.join_buddies()
    return bytes(blocks.cells)


def _run(history: History) -> None:
    blocks = Blocks(history.first, history.frames, history.initial)
    for number, record in enumerate(history.records):
        if not blocks.apply(record.event, record.pfn, record.order):
            history.contradictions.add(number)
    history.final = bytes(blocks.cells)


def final_cells(history: History, guest: Guest) -> bytes | None:
    """How the kernel's struct page array describes the frames; None if it cannot be read."""
    try:
        pages = pageview.read_pages(guest, history.first, history.end)
    except GuestError:
        return None
    cells = bytearray(history.frames)
    for at, (state, order) in enumerate(zip(pages.state, pages.order)):
        if state == pageview.PAGE_TAIL:
            cells[at] = TAIL
        elif state in _STATES and order <= 10:
            cells[at] = _STATES[state] | order
    return bytes(cells)


def agrees(history: History, guest: Guest) -> bool | None:
    """Do the events lead to what is in memory now? None if that cannot be read.

    Only frames that the history knows to be in blocks are compared: what is reserved here may
    belong to another allocator.
    """
    truth = final_cells(history, guest)
    if truth is None:
        return None
    return all(
        ours == theirs for ours, theirs in zip(history.final, truth) if ours != RESERVED
    )
