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
from memview_lib.ring import Event, Record, Trace  # noqa: E402

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
    [{"event": 0}, {"event": 8}, {"sequence": 77}, {"order": 11}, {"order": 3}, {"pfn": 1 << 50},
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
        command, input="\r" * 4 + typed, capture_output=True, text=True, timeout=60, check=False
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
    ],
)
def test_mistakes_are_explained(kernel: Path, arguments: list[str], message: str) -> None:
    command = [TREE / "scripts/memview", "--kernel", kernel, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("memview: ") and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
