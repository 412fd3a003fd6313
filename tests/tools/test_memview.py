# SPDX-License-Identifier: MIT
"""scripts/memview: the ring, the reconstruction of memory, and the page in a browser."""

from __future__ import annotations

import html
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "scripts"))

from grading import evidence  # noqa: E402
from grading.errors import GradingError, GuestError  # noqa: E402
from grading.guest import Guest  # noqa: E402
from grading.symbols import Image  # noqa: E402
from memview_lib import history, page, perfetto, record, ring  # noqa: E402
from memview_lib.blocks import ALLOCATED, FREE, RESERVED, TAIL, Blocks  # noqa: E402
from memview_lib.names import Names  # noqa: E402
from memview_lib.ring import FRAME_BITS, Event, Record, Trace  # noqa: E402
from memview_lib.spaces import FAULTS, Spaces  # noqa: E402

BASE = 0x4800  # a multiple of the largest block
FRAMES = 4096
EV_ARENA = 64


class Script:
    """Makes records, numbered and timed."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def __call__(self, event: Event, pfn: int, order: int, caller: int = 0x1000) -> None:
        number = len(self.records)
        self.records.append(Record(1000 + 10 * number, caller, pfn, event, order, 0, number))


def simulate(seed: int, operations: int) -> tuple[list[Record], list[int], dict[int, int]]:
    """A buddy allocator at work.

    Returns its records, the places between operations, and at the end its blocks:
    head -> order, or ~order if it is allocated.
    """
    rng, emit = random.Random(seed), Script()
    free: dict[int, int] = {}
    held: dict[int, int] = {}
    places = []

    def release(pfn: int, order: int) -> None:
        while order < 10 and free.get(pfn ^ 1 << order) == order:
            del free[pfn ^ 1 << order]
            pfn &= ~(1 << order)
            order += 1
            emit(Event.MERGE, pfn, order)
        free[pfn] = order

    emit(Event.INIT, BASE, 11)
    emit(Event.INIT, BASE + 2048, 11)
    for pfn in range(BASE, BASE + FRAMES, 1024):
        emit(Event.ADD, pfn, 10)
        release(pfn, 10)
    for _ in range(operations):
        places.append(len(emit.records))
        wanted = rng.choice([0, 0, 0, 1, 2, 3, 6])
        fitting = [pfn for pfn, order in free.items() if order >= wanted]
        if held and (rng.random() < 0.5 or not fitting):
            pfn = rng.choice(list(held))
            order = held.pop(pfn)
            emit(Event.FREE, pfn, order)
            release(pfn, order)
        elif fitting:
            pfn = min(fitting, key=lambda p: free[p])
            order = free.pop(pfn)
            while order > wanted:
                emit(Event.SPLIT, pfn, order)
                order -= 1
                free[pfn + (1 << order)] = order
            emit(Event.ALLOC, pfn, wanted)
            held[pfn] = wanted
    return emit.records, places, {**free, **{pfn: ~order for pfn, order in held.items()}}


def cells_of(blocks: dict[int, int]) -> bytes:
    cells = bytearray([TAIL]) * FRAMES
    for pfn, order in blocks.items():
        cells[pfn - BASE] = FREE | order if order >= 0 else ALLOCATED | ~order
    return bytes(cells)


# ---- The ring ------------------------------------------------------------------------


class FakeGuest:
    """Memory that begins with a trace area, and with the ring at RING."""

    RING = 4096

    def __init__(self, memory: bytes) -> None:
        self.memory = memory
        self.image = self

    def address(self, symbol: str) -> int:
        assert symbol == "trace_area"
        return 0

    def to_physical(self, address: int) -> int:
        return address

    def read_physical(self, paddr: int, size: int) -> bytes:
        return self.memory[paddr : paddr + size]


def guest_with(written: list[Record], capacity: int, **changes: int) -> FakeGuest:
    """What the kernel would have left after writing these."""
    slots = [bytes(ring.RECORD.size)] * capacity
    for number, one in enumerate(written):
        slots[number % capacity] = ring.RECORD.pack(*one)
    area = {"magic": ring.MAGIC, "version": 1, "size": 32, "records": FakeGuest.RING}
    area |= {"capacity": capacity, "written": len(written), "base": 0} | changes
    return FakeGuest(ring.AREA.pack(*area.values()).ljust(FakeGuest.RING, b"\0") + b"".join(slots))


def some_records(count: int) -> list[Record]:
    emit = Script()
    for number in range(count):
        emit(Event.ALLOC, number, 0)
    return emit.records


def test_ring_that_is_not_full() -> None:
    records = some_records(5)
    assert ring.from_guest(guest_with(records, 8)) == Trace(records, 0)


def test_full_ring_keeps_the_newest_in_order() -> None:
    records = some_records(21)
    assert ring.from_guest(guest_with(records, 8)) == Trace(records[-8:], 13)


@pytest.mark.parametrize(
    "change",
    [{"event": 0}, {"event": 23}, {"sequence": 77}, {"order": 11}, {"order": 3}, {"pfn": 1 << 50},
     {"event": Event.SPLIT}],
)  # fmt: skip
def test_damaged_record_is_left_out(change: dict[str, int]) -> None:
    records = some_records(6)
    good = [one for one in records if one.sequence != 3]
    records[3] = records[3]._replace(**change)
    assert ring.from_guest(guest_with(records, 8)) == Trace(good, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"magic": 1}, "magic"), ({"version": 9}, "version 9"), ({"records": 0}, "trace=buddy")],
)
def test_what_is_no_trace_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(GuestError, match=message):
        ring.from_guest(guest_with(some_records(2), 8, **changes))


def test_file_from_com2(tmp_path: Path) -> None:
    file = tmp_path / "com2"
    records = some_records(9)
    file.write_bytes(ring.pack(records))
    assert ring.from_file(file) == Trace(records, 0)
    file.write_bytes(ring.pack(records)[:-40])  # the line went dead
    assert ring.from_file(file) == Trace(records[:7], 2)
    file.write_bytes(b"x")
    with pytest.raises(GuestError, match="trace_out=com2"):
        ring.from_file(file)
    with pytest.raises(GradingError, match="cannot read"):
        ring.from_file(tmp_path / "none")


# ---- Blocks ---------------------------------------------------------------------------


def test_events_lead_to_the_blocks_of_the_allocator() -> None:
    records, _, final = simulate(seed=1, operations=800)
    blocks = Blocks(BASE, FRAMES)
    assert all(blocks.apply(one.event, one.pfn, one.order) for one in records)
    assert bytes(blocks.cells) == cells_of(final)
    assert blocks.free == blocks.counts(FREE)


@pytest.mark.parametrize("seed", range(5))
def test_going_backwards_finds_the_beginning(seed: int) -> None:
    """Without the first half of the events, from the end alone."""
    records, places, final = simulate(seed, operations=400)
    cut = places[len(places) // 2]
    forward = Blocks(BASE, FRAMES)
    for one in records[:cut]:
        forward.apply(one.event, one.pfn, one.order)
    backward = Blocks(BASE, FRAMES, cells_of(final))
    for one in reversed(records[cut:]):
        backward.undo(one.event, one.pfn, one.order)
    backward.join_buddies()
    assert backward.cells == forward.cells
    assert backward.free == forward.free


def test_part_of_a_block_is_given_out() -> None:
    """As for an exact number of frames, here 5 of 8: what is left over is free at once."""
    blocks = Blocks(0, 8)
    blocks.apply(Event.ADD, 0, 3)
    assert blocks.apply(Event.ALLOC, 0, 2) and blocks.apply(Event.ALLOC, 4, 0)
    assert list(blocks.cells) == [ALLOCATED | 2, TAIL, TAIL, TAIL, ALLOCATED, FREE, FREE | 1, TAIL]


def test_reserved_range_leaves() -> None:
    blocks = Blocks(0, 4096)
    for pfn in range(0, 4096, 1024):
        blocks.apply(Event.ADD, pfn, 10)
    assert blocks.apply(Event.RESERVE, 2048, 11)
    assert blocks.apply(Event.RESERVE, 0, 1)
    assert not any(blocks.cells[2048:]) and not any(blocks.cells[:2])
    assert blocks.free == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("event", "pfn", "order"),
    [
        (Event.ALLOC, 0, 2),  # given out already
        (Event.ALLOC, 4, 3),  # half of it is reserved
        (Event.FREE, 0, 1),  # another order
        (Event.FREE, 4, 2),  # free already
        (Event.FREE, 2, 0),  # inside a block
        (Event.MERGE, 0, 3),  # with an allocated buddy
        (Event.ADD, 4, 2),  # belongs to it already
        (Event.RESERVE, 0, 0),  # in use
    ],
)
def test_what_cannot_be_is_noticed(event: Event, pfn: int, order: int) -> None:
    blocks = Blocks(0, 16)
    blocks.apply(Event.ADD, 0, 3)
    blocks.apply(Event.ALLOC, 0, 2)
    assert not blocks.apply(event, pfn & -(1 << order) if event != Event.FREE else pfn, order)
    assert blocks.free == blocks.counts(FREE)


# ---- Histories --------------------------------------------------------------------------


def test_allocator_inside_another() -> None:
    emit = Script()
    emit(Event.INIT, 0, 15, caller=1)
    emit(Event.ADD, 0, 10)
    emit(Event.INIT, 0x5000, 12, caller=2)
    emit(Event.INIT, 0x6000, 11, caller=2)
    emit(Event.ADD, 0x5400, 10)
    emit(Event.ALLOC, 0, 3)
    inner, outer = history.build(Trace(emit.records, 0))
    assert (inner.first, inner.end, inner.made_by) == (0x5000, 0x6800, 2)
    assert (outer.first, outer.end, outer.made_by) == (0, 0x8000, 1)
    assert [one.pfn for one in inner.records] == [0x5000, 0x6000, 0x5400]
    assert not inner.contradictions and not outer.contradictions


def test_groups_of_zones_share_their_frames() -> None:
    """Two zones of three groups each: a block leaves one group and is added to another."""
    emit = Script()
    for first, order in (0, 10), (0x400, 10):
        for _ in range(3):
            emit(Event.INIT, first, order, caller=1)
    emit(Event.ADD, 0x400, 10)
    emit(Event.RESERVE, 0x400, 10)
    emit(Event.ADD, 0x400, 10)
    emit(Event.ADD, 0, 10)
    emit(Event.INIT, 0x400, 10, caller=2)  # a test's, within
    emit(Event.ADD, 0x400, 10)
    inner, machine = history.build(Trace(emit.records, 0))
    assert (machine.first, machine.end, machine.made_by) == (0, 0x800, 1)
    assert (inner.first, inner.end, inner.made_by) == (0x400, 0x800, 2)
    assert len(machine.records) == 10 and not machine.contradictions


def test_allocator_made_again_starts_anew() -> None:
    emit = Script()
    for _ in range(2):
        emit(Event.INIT, 0x400, 10)
        emit(Event.ADD, 0x400, 9)
    [one] = history.build(Trace(emit.records, 0))
    assert not one.contradictions
    assert one.final[0] == FREE | 9 and one.final[512] == RESERVED


def test_frames_of_an_unknown_allocator() -> None:
    """Nobody said where it is: neighbouring frames are taken for one allocator."""
    emit = Script()
    emit(Event.ALLOC, 0x1000, 2)
    emit(Event.FREE, 0x1400, 0)
    emit(Event.ALLOC, 0x9000, 0)
    low, high = history.build(Trace(emit.records, 3))
    assert (low.first, low.end) == (0x1000, 0x1800)
    assert (high.first, high.end) == (0x9000, 0x9400)
    assert low.initial[0] == FREE | 2 and low.initial[0x400] == ALLOCATED
    assert not low.contradictions


def test_contradictions_are_counted() -> None:
    records, _, _ = simulate(seed=2, operations=50)
    last = next(one for one in reversed(records) if one.event == Event.ALLOC)
    records.append(last._replace(sequence=len(records), time=records[-1].time + 1))
    [one] = history.build(Trace(records, 0))
    assert one.contradictions == {len(records) - 1}


# ---- Address spaces ------------------------------------------------------------------------


class SpaceScript(Script):
    """Records about spaces, which are numbers here."""

    def about(self, event: Event, space: int, page: int = 0, frame: int = 0) -> None:
        self(event, page << FRAME_BITS | frame, 0, caller=space)

    def named(self, space: int, pid: int, name: bytes) -> None:
        self(Event.SPACE_OWNER, pid, 0, caller=space)
        for at in (0, 8):
            part = int.from_bytes(name[at : at + 8].ljust(8, b"\0"), "little")
            self(Event.SPACE_NAME, part, 0, caller=space)


def forked() -> SpaceScript:
    """A process that writes a page and reads two, forks, and whose child writes."""
    emit = SpaceScript()
    emit.about(Event.SPACE_NEW, 1)
    emit.named(1, 7, b"a_program_named")
    emit.about(Event.FAULT_FRESH, 1, page=0x7FFFFFFFE, frame=100)
    emit.about(Event.FAULT_ZERO, 1, page=50, frame=3)
    emit.about(Event.FAULT_FILE, 1, page=60, frame=200)
    emit.about(Event.SPACE_MAP, 1, page=61, frame=201)
    emit.about(Event.SPACE_NEW, 2)
    emit(Event.SPACE_FORK, 1, 0, caller=2)
    emit.about(Event.SPACE_MAP, 2, page=0x7FFFFFFFE, frame=100)
    emit.named(2, 8, b"a_program_named")
    return emit


def test_fork_shares_until_somebody_writes() -> None:
    emit = forked()
    spaces = Spaces(Trace(emit.records, 0))
    parent, child = spaces.all
    assert (parent.name, child.name) == ("7 a_program_named", "8 a_program_named")
    assert parent.parent is None and child.parent == parent.number
    assert parent.series[-1][1:] == (3, 1) and child.series[-1][1:] == (1, 1)
    assert spaces.shared[-1] == 1
    emit.about(Event.SPACE_UNMAP, 2, page=0x7FFFFFFFE, frame=100)
    emit.about(Event.FAULT_COPY, 2, page=0x7FFFFFFFE, frame=101)
    emit.about(Event.FAULT_REUSE, 1, page=0x7FFFFFFFE, frame=100)
    parent, child = Spaces(Trace(emit.records, 0)).all
    assert parent.series[-1][1:] == (3, 0) and child.series[-1][1:] == (1, 0)
    assert parent.faults == {
        Event.FAULT_FRESH: 1, Event.FAULT_ZERO: 1, Event.FAULT_FILE: 1, Event.FAULT_REUSE: 1
    }  # fmt: skip


def test_mappings_are_told_twice_and_taken_by_frame() -> None:
    emit = forked()
    for _ in range(2):
        emit.about(Event.SPACE_MAP, 1, page=61, frame=201)  # known already
    emit.about(Event.SPACE_MAP, 1, page=70, frame=201)  # the same page of the file elsewhere
    emit.about(Event.SPACE_UNMAP, 1, frame=201)
    emit.about(Event.SPACE_UNMAP, 1, frame=999)  # nothing is known of it
    [parent, _] = (spaces := Spaces(Trace(emit.records, 0))).all
    assert parent.series[-1][1] == 3 and spaces.shared[-1] == 1
    emit.about(Event.SPACE_GONE, 1)
    emit.about(Event.SPACE_NEW, 1)  # at the same address
    spaces = Spaces(Trace(emit.records, 0))
    assert [space.died is None for space in spaces.all] == [False, True, True]
    assert spaces.all[0].series[-1][1:] == (0, 0) and spaces.shared[-1] == 0


def test_spaces_from_before_the_ring() -> None:
    """The beginning was lost: what is told of it afterwards is shown all the same."""
    emit = SpaceScript()
    emit.about(Event.FAULT_FRESH, 5, page=1, frame=1)
    emit(Event.SPACE_FORK, 99, 0, caller=6)
    emit.about(Event.SPACE_GONE, 5)
    first, second = Spaces(Trace(emit.records, 9)).all
    assert (first.name, second.name) == ("space 0", "space 1")
    assert (first.died, second.died, second.parent) == (2, None, None)


def test_blocks_and_spaces_in_one_ring() -> None:
    records, _, _ = simulate(seed=8, operations=30)
    emit = forked()
    mixed = [
        one._replace(sequence=number) for number, one in enumerate([*records, *emit.records])
    ]
    guest = guest_with(mixed, len(mixed))
    trace = ring.from_guest(guest)
    assert trace.lost == 0
    [only] = history.build(trace)
    assert len(only.records) == len(records) and not only.contradictions
    assert len(Spaces(trace).records) == len(emit.records)


def random_spaces(seed: int, rounds: int) -> list[Record]:
    """Processes that touch, fork, copy and end."""
    rng, emit = random.Random(seed), SpaceScript()
    alive: dict[int, dict[int, int]] = {}
    frames = iter(range(1, 1 << 20))
    for number in range(1, rounds + 1):
        parent = rng.choice([0, *alive])
        emit.about(Event.SPACE_NEW, number)
        alive[number] = {}
        if parent:
            emit(Event.SPACE_FORK, parent, 0, caller=number)
            alive[number] = dict(alive[parent])
            for page, frame in alive[number].items():
                emit.about(Event.SPACE_MAP, number, page, frame)
        emit.named(number, number, b"random")
        for space in rng.sample(list(alive), min(3, len(alive))):
            for _ in range(rng.randrange(12)):
                page, frame = rng.randrange(1, 40), next(frames)
                if page in alive[space]:
                    emit.about(Event.SPACE_UNMAP, space, page, alive[space][page])
                    emit.about(Event.FAULT_COPY, space, page, frame)
                else:
                    emit.about(Event.FAULT_FRESH, space, page, frame)
                alive[space][page] = frame
        if rng.random() < 0.4:
            dead = rng.choice(list(alive))
            for frame in alive.pop(dead).values():
                emit.about(Event.SPACE_UNMAP, dead, 0, frame)
            emit.about(Event.SPACE_GONE, dead)
    return emit.records


# ---- What is written -----------------------------------------------------------------------


def test_timeline_is_what_perfetto_reads() -> None:
    records, _, final = simulate(seed=3, operations=200)
    histories = history.build(Trace(records, 0))
    document = json.loads(json.dumps(perfetto.document(histories, Names(None), "a title")))
    events = document["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "i", "C"}
    assert all({"name", "pid"} <= event.keys() for event in events)
    instants = [event for event in events if event["ph"] == "i"]
    assert len(instants) == len(records)
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times) and times[0] == 0
    last = {event["name"]: event["args"] for event in events if event["ph"] == "C"}
    for order in range(11):
        expected = sum(1 for value in final.values() if value == order)
        assert last[f"order {order:2}, free"] == {"blocks": expected}
    assert document["metadata"] == {"title": "a title"}
    order = {e["name"]: e["args"]["sort_index"] for e in events if "sort_index" in e["args"]}
    assert order == {"process_sort_index": 1, "thread_sort_index": 0}
    # Every row has a name, and no number serves a process and another thread.
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    assert {event["tid"] for event in events if event["ph"] != "M"} == named
    assert named == {event["pid"] for event in events}  # all of it ran on CPU 0


def test_timeline_has_rows_for_spaces() -> None:
    records = random_spaces(seed=1, rounds=20)
    spaces = Spaces(Trace(records, 0))
    document = json.loads(json.dumps(perfetto.document([], Names(None), "a title", spaces)))
    events = document["traceEvents"]
    rows = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert sorted(rows.values()) == sorted(space.name for space in spaces.all)
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == len(spaces.all) and all(event["dur"] >= 0 for event in slices)
    arrows = [(e["ph"], e["id"]) for e in events if e["ph"] in "sf"]
    forks = sum(space.parent is not None for space in spaces.all)
    assert forks > 3 and len(arrows) == 2 * forks
    faults = [event for event in events if event["ph"] == "i"]
    assert len(faults) == sum(space.faults.total() for space in spaces.all)
    assert {event["name"] for event in faults} == {"fresh", "copy"}
    last = [e["args"]["frames"] for e in events if e["name"] == "shared frames"][-1]
    assert last == spaces.shared[-1]
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times) and times[0] == 0


def test_page_needs_nothing_else() -> None:
    histories = history.build(Trace(simulate(seed=4, operations=20)[0], 0))
    text = page.document(histories, Names(None), "</script><b>", ["a note"], "ns")
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|\bimport\b|\bsrc=|\bhref=|url\(|\{\{", text)
    assert "</script><b>" not in text
    assert text.count("</script>") == 2


# ---- In a browser ---------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a browser: install the package chromium (scripts/setup)"
)


def browse(file: Path, fragment: str, profile: Path, *more: str) -> dict[str, Any]:
    """Open the page and return what it reports of itself."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={profile}", "--window-size=1400,900", "--dump-dom",
        *more, f"file://{file}#{fragment}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="report" hidden="">(.*?)</pre>', done.stdout)
    assert found, f"the page did not report: {done.stderr[-2000:]}"
    return json.loads(html.unescape(found[1]))


def write_page(directory: Path, records: list[Record]) -> tuple[Path, history.History]:
    histories = history.build(Trace(records, 0))
    file = directory / "memview.html"
    file.write_text(page.document(histories, Names(None), "test", [], "ns"))
    return file, histories[0]


@needs_browser
def test_page_agrees_at_any_event(tmp_path: Path) -> None:
    """The page's reconstruction against this one, beyond its first checkpoints too."""
    records, _, _ = simulate(seed=5, operations=1500)
    file, written = write_page(tmp_path, records)
    blocks = Blocks(written.first, written.frames, written.initial)
    wanted = {0, 1, 700, 2001, len(records)}
    for number in range(len(records) + 1):
        if number in wanted:
            report = browse(file, f"t={number}&report", tmp_path / "profile")
            assert report["at"] == number and report["count"] == len(records)
            assert report["free"] == blocks.free
            assert report["allocated"] == blocks.counts(ALLOCATED)
        if number < len(records):
            one = records[number]
            blocks.apply(one.event, one.pfn, one.order)


@needs_browser
def test_page_agrees_about_spaces_at_any_event(tmp_path: Path) -> None:
    records = random_spaces(seed=2, rounds=40)
    spaces = Spaces(Trace(records, 0))
    file = tmp_path / "memview.html"
    file.write_text(page.document([], Names(None), "test", [], "ns", spaces))
    for number in (0, 1, len(records) // 3, len(records) // 2, len(records)):
        report = browse(file, f"spaces&t={number}&report", tmp_path / "profile")
        assert (report["at"], report["count"]) == (number, len(records))
        then = Spaces(Trace(records[:number], 0))
        assert report["sharedFrames"] == (then.shared[-1] if number else 0)
        alive = {space.number: space for space in then.all if space.died is None}
        assert {row[0] for row in report["spaces"]} == set(alive)
        for at, name, pages, shared in report["spaces"]:
            assert [pages, shared] == list(alive[at].series[-1][1:] if alive[at].series else (0, 0))
            assert name == (alive[at].name if alive[at].owners else f"space {at}")
        for event in FAULTS:
            told = report["faults"][event.name.removeprefix("FAULT_").lower()]
            assert told == sum(space.faults[event] for space in then.all)


@needs_browser
def test_frames_and_spaces_in_turn(tmp_path: Path) -> None:
    """The key A goes from one to the other, and each keeps its place in time."""
    records, _, _ = simulate(seed=9, operations=20)
    spaces = Spaces(Trace(random_spaces(seed=3, rounds=10), 0))
    histories = history.build(Trace(records, 0))
    file = tmp_path / "memview.html"
    text = page.document(histories, Names(None), "test", [], "ns", spaces)
    user = """<script>
      const seen = [];
      window.onerror = (message) => seen.push("error: " + message);
      const press = (key) => {
        document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        seen.push([key, document.body.className, timeline.at]);
      };
      for (const key of ["End", "a", "ArrowRight", "v", "a", "Home", "a", "d", "End"]) press(key);
      seen.push($("#spaceTable").offsetHeight > 0, $("#map").offsetHeight);
      const made = element("pre", JSON.stringify({ seen }));
      made.id = "report";
      made.hidden = true;
      document.body.append(made);
    </script></body>"""
    file.write_text(text.replace("</body>", user))
    report = browse(file, "", tmp_path / "profile")
    count, of_spaces = len(records), len(spaces.records)
    assert report["seen"] == [
        ["End", "", count], ["a", "spaces", 0], ["ArrowRight", "spaces", 1], ["v", "spaces", 1],
        ["a", "", count], ["Home", "", 0], ["a", "spaces", 1], ["d", "spaces", 1],
        ["End", "spaces", of_spaces], True, 0,
    ]  # fmt: skip


@needs_browser
def test_page_opens_a_hundred_thousand_events(tmp_path: Path) -> None:
    records, _, _ = simulate(seed=6, operations=30000)
    while len(records) < 100_000:  # the same again, with an allocator made anew
        start = len(records)
        records += [
            one._replace(sequence=start + i, time=start * 10 + one.time)
            for i, one in enumerate(records[: 100_000 - start])
        ]
    file, _ = write_page(tmp_path, records)
    began = time.monotonic()
    report = browse(file, "t=last&report", tmp_path / "profile")
    assert report["at"] == 100_000
    assert time.monotonic() - began < 60
    assert file.stat().st_size < 3 << 20


# Presses keys and clicks, and notes after each what the page shows.
USER = """<script>
const seen = [];
window.onerror = (message) => seen.push("error: " + message);
const press = (key, shiftKey = false) => {
  document.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true }));
  seen.push([key, timeline.at]);
};
press("End"); press("ArrowLeft"); press("ArrowRight"); press("ArrowRight"); press("Home");
press("ArrowRight"); press("ArrowRight", true); press("ArrowLeft", true); press("PageDown");
for (const key of ["v", "d", "v"]) press(key);
press("End");
const at = map.layout.rect(map.shown.from + 5, 0);
const box = map.canvas.getBoundingClientRect();
const point = { clientX: box.left + at.x + 2, clientY: box.top + at.y + 2 };
map.canvas.dispatchEvent(new MouseEvent("mousemove", point));
seen.push(["frame", view.hovered, $("#block").textContent]);
map.canvas.dispatchEvent(new MouseEvent("click", point));
seen.push(["pinned", view.pinned]);
press("Escape");
seen.push(["pinned", view.pinned]);
press("Home");
$("#speed").value = 12;
press(" ");
setTimeout(() => {
  seen.push(["played", timeline.at]);
  const { theme } = document.documentElement.dataset;
  const text = element("pre", JSON.stringify({ seen, theme }));
  text.id = "report";
  text.hidden = true;
  document.body.append(text);
}, 2000);
</script>
</body>"""


@needs_browser
def test_keys_and_pointer(tmp_path: Path) -> None:
    emit = Script()
    emit(Event.INIT, BASE, 10)
    emit(Event.ADD, BASE, 10)
    for order in range(10, 2, -1):
        emit(Event.SPLIT, BASE, order)
    emit(Event.ALLOC, BASE, 2)
    emit(Event.FREE, BASE, 2)
    count = len(emit.records)
    file, _ = write_page(tmp_path, emit.records)
    file.write_text(file.read_text().replace("</body>", USER))
    report = browse(file, "theme=light", tmp_path / "profile", "--virtual-time-budget=8000")
    assert report["theme"] == "dark"
    expected = [
        ["End", count], ["ArrowLeft", count - 1], ["ArrowRight", count], ["ArrowRight", count],
        ["Home", 0], ["ArrowRight", 1], ["ArrowRight", 2], ["ArrowLeft", 1], ["PageDown", 2],
        ["v", 2], ["d", 2], ["v", 2], ["End", count],
    ]  # fmt: skip
    assert report["seen"][: len(expected)] == expected
    hovered, pinned, escape, unpinned, home, space, played = report["seen"][len(expected) :]
    assert hovered[:2] == ["frame", 5] and "Order 2, free" in hovered[2]
    assert (pinned, unpinned) == (["pinned", 5], ["pinned", -1])
    assert (escape, home, space) == (["Escape", count], ["Home", 0], [" ", 0])
    assert played == ["played", count]


# ---- With the kernel ---------------------------------------------------------------------------

Recorded = tuple[record.Recording, list[history.History], Path]


@pytest.fixture(scope="module")
def recorded(kernel: Path) -> Recorded:
    machine = record.machine_for_case(TREE, kernel, "buddy", "pressure", 7)
    recording = record.record(machine, Image(kernel))
    return recording, history.build(recording.trace, recording.guest), kernel


def kernel_counts(guest: Guest) -> list[int]:
    """nr_free of each order in the case's struct buddy, whose address is in the transcript."""
    [arena] = [one for one in evidence.read(guest).records if one.kind == EV_ARENA]
    debug = guest.image.debug
    area = debug.member("buddy", "area")
    size = debug.size_of("free_area")
    areas = [arena.c + area.offset + order * size for order in range(11)]
    return [guest.member(address, "free_area", "nr_free") for address in areas]


def test_events_of_the_kernel(recorded: Recorded) -> None:
    recording, histories, kernel = recorded
    assert recording.ending is None and recording.trace.lost == 0
    assert {one.event for one in histories[0].records} >= {
        Event.INIT, Event.ADD, Event.ALLOC, Event.FREE, Event.SPLIT, Event.MERGE
    }  # fmt: skip
    assert not any(one.contradictions for one in histories)
    assert all(history.agrees(one, recording.guest) for one in histories)
    counts = kernel_counts(recording.guest)
    assert [histories[0].final.count(FREE | order) for order in range(11)] == counts
    names = Names(Image(kernel))
    callers = {names.function(one.caller) for one in histories[0].records}
    assert "lab_alloc" in callers and not any(name.startswith("buddy_") for name in callers)
    assert names.place(histories[0].made_by).startswith("labs/lab1-buddy/tests/lab.c:")


@needs_browser
def test_page_ends_where_the_kernel_did(recorded: Recorded, tmp_path: Path) -> None:
    recording, histories, kernel = recorded
    file = tmp_path / "memview.html"
    file.write_text(page.document(histories, Names(Image(kernel)), "test", [], "ns"))
    report = browse(file, "t=last&report", tmp_path / "profile")
    assert report["free"] == kernel_counts(recording.guest)
    assert report["arena"] == histories[0].first


def test_a_small_ring_is_completed_from_memory(kernel: Path) -> None:
    """Most events are lost, yet what is shown before the first is right."""
    machine = record.machine_for(kernel, "ktest=buddy.mixed seed=3 trace_size=32K")
    recording = record.record(machine, Image(kernel))
    histories = history.build(recording.trace, recording.guest)
    assert len(recording.trace.records) == 1024 and recording.trace.lost > 1000
    assert not histories[0].contradictions
    assert history.agrees(histories[0], recording.guest)


def test_all_zones_are_one_machine(kernel: Path) -> None:
    """Its frames are known even if the ring has lost who announced them."""
    words = "ktest=memory.every_frame_can_be_used seed=3 trace_size=32K"
    machine = record.machine_for(kernel, words)
    recording = record.record(machine, Image(kernel))
    [only] = history.build(recording.trace, recording.guest)
    assert recording.trace.lost > 0 and not only.guessed
    assert only.first == 0 and only.frames > 2 * 0x1000  # DMA's are 0x1000
    assert not only.contradictions and history.agrees(only, recording.guest)


def boot(kernel: Path, words: str, *more: str, typed: str = "") -> str:
    """Boot with the console on standard input and output.

    What comes before the kernel has set up its line may be lost: so empty lines come first.
    """
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "128", "-nodefaults",
        "-display", "none", "-no-reboot", "-serial", "stdio", *more,
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", str(kernel), "-append", words,
    ]  # fmt: skip
    done = subprocess.run(
        command, input="\r" * 4 + typed, capture_output=True, text=True, timeout=180, check=False
    )
    return done.stdout.replace("\r", "")


def test_without_looking_into_memory(kernel: Path, tmp_path: Path) -> None:
    """Over the second serial line, as from Bochs or a real machine."""
    file = tmp_path / "com2"
    boot(kernel, "ktest=buddy.split trace=all trace_out=com2", "-serial", f"file:{file}")
    [split, _] = history.build(ring.from_file(file))
    assert not split.contradictions
    assert {one.event for one in split.records} >= {Event.ADD, Event.SPLIT, Event.ALLOC}

    out = tmp_path / "out"
    command = [TREE / "scripts/memview", "--from", file, "--kernel", kernel, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "events" in done.stdout
    assert (out / "memview.html").stat().st_size > 10_000
    assert json.loads((out / "trace.json").read_text())["traceEvents"]


def test_no_second_line(kernel: Path) -> None:
    shown = boot(kernel, "ktest=buddy.split trace=buddy trace_out=com2")
    assert "trace: no second serial line: nothing was sent" in shown


@pytest.mark.parametrize("words", ["trace=cats", "trace=", "trace=buddy,cats", "trace_out=com9"])
def test_bad_options_are_reported(kernel: Path, words: str) -> None:
    shown = boot(kernel, words, typed="trace\rpoweroff\r")
    key, _, value = words.partition("=")
    assert f'cmdline: bad value "{value}" for "{key}"' in shown
    assert "trace: off; start the kernel with trace=buddy" in shown


def test_console_command(kernel: Path) -> None:
    shown = boot(kernel, "trace=buddy", typed="trace\rtrace dump 2\rtrace cats\rpoweroff\r")
    found = re.search(r"trace: (\d+) events, 0 lost", shown)
    assert found and int(found[1]) > 2
    assert len(re.findall(r"^ +\d+ +\d+ +0  \w+ +0x\w+ +\d+  0xffff\w+", shown, re.M)) == 2
    assert "trace: use: trace, or trace dump" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--case", "cats"], "has no case cats"),
        (["--from", "/nonexistent"], "cannot read /nonexistent"),
        (["--kernel", "/nonexistent"], "cannot read the kernel"),
        (["--from", "/dev/null"], "too short for a trace"),
        (["--program", "forks"], "give its path in the initrd"),
        (["--program", "/bin/forks", "--initrd", "/nonexistent"], "there is no initrd"),
    ],
)
def test_mistakes_are_explained(kernel: Path, arguments: list[str], message: str) -> None:
    command = [TREE / "scripts/memview", "--kernel", kernel, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("memview: ") and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
