# SPDX-License-Identifier: MIT
"""A history as Chrome trace events in JSON, for ui.perfetto.dev and chrome://tracing.

Each event of an allocator is an instant on the row of its CPU. Free frames and free blocks
of each order are counters; they change where an operation has ended, so that the steps inside
it do not show as needles. Times are in microseconds, as the format wants.

Address spaces are the threads of one more process: a slice from a space's beginning to its end,
the faults in it by kind, an arrow where fork() made it of another; and counters of pages that are
mapped, and of frames that several spaces share.

An allocator is a process and a CPU one of its threads. Perfetto takes the thread that has the
number of its process for the main one, and shows it first: that is CPU 0.
"""

from collections.abc import Iterator
from typing import Any

from .blocks import Blocks
from .history import History
from .names import Names
from .ring import MAX_ORDER, Event, Record
from .spaces import FAULTS, RESULTS, Space, Spaces, frame_of, page_of

_THREADS = 1000  # more than there are CPUs
_POINTS = 2000  # of a counter of an address space, where there could be hundreds of thousands

# What can follow in the same operation.
_STEPS = {Event.SPLIT: {Event.SPLIT, Event.ALLOC}, Event.FREE: {Event.MERGE},
          Event.MERGE: {Event.MERGE}, Event.ADD: {Event.MERGE}}  # fmt: skip


def document(
    histories: list[History], names: Names, title: str, spaces: Spaces | None = None
) -> dict[str, Any]:
    firsts = [history.records[0].time for history in histories]
    if spaces and spaces.records:
        firsts.append(spaces.records[0].time)
    start = min(firsts)
    events: list[dict[str, Any]] = []
    for number, history in enumerate(histories, 1):
        pid = number * _THREADS
        frames = f"frames {history.first:#x} to {history.end:#x}"
        made = f", made by {names.function(history.made_by)}" if history.made_by else ""
        events.append(_metadata("process_name", pid, 0, name=f"buddy allocator: {frames}{made}"))
        events.append(_metadata("process_sort_index", pid, 0, sort_index=number))
        for cpu in sorted({record.cpu for record in history.records}):
            events.append(_metadata("thread_name", pid, cpu, name=f"CPU {cpu}"))
            events.append(_metadata("thread_sort_index", pid, cpu, sort_index=cpu))
        events += _history(history, pid, start, names)
    if spaces and spaces.records:
        events += _spaces(spaces, (len(histories) + 1) * _THREADS, start)
    about = {"title": title}
    return {
        "displayTimeUnit": "ns", "otherData": about, "metadata": about, "traceEvents": events,
    }  # fmt: skip


def _metadata(kind: str, pid: int, cpu: int, **values: str | int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": pid + cpu, "args": values}


def _history(history: History, pid: int, start: int, names: Names) -> Iterator[dict[str, Any]]:
    blocks = Blocks(history.first, history.frames, history.initial)
    shown = [-1] * (MAX_ORDER + 2)
    for number, record in enumerate(history.records):
        blocks.apply(record.event, record.pfn, record.order)
        time = (record.time - start) / 1000
        yield {
            "ph": "i", "s": "t", "ts": time, "pid": pid, "tid": pid + record.cpu,
            "name": f"{Event(record.event).name.lower()} order {record.order}",
            "args": {
                "frame": f"{record.pfn:#x}",
                "by": f"{names.function(record.caller)} {names.place(record.caller)}".rstrip(),
            },
        }  # fmt: skip
        following = history.records[number + 1] if number + 1 < len(history.records) else None
        if following and following.event in _STEPS.get(Event(record.event), ()):
            continue
        values = [sum(count << order for order, count in enumerate(blocks.free)), *blocks.free]
        for index, value in enumerate(values):
            if value != shown[index]:
                shown[index] = value
                yield _counter(pid, pid + record.cpu, time, index - 1, value)


def _counter(pid: int, tid: int, time: float, order: int, value: int) -> dict[str, Any]:
    """Shown by name and unit together: "free frames", "order  3, free blocks"."""
    name, unit = ("free", "frames") if order < 0 else (f"order {order:2}, free", "blocks")
    return {"ph": "C", "ts": time, "pid": pid, "tid": tid, "name": name, "args": {unit: value}}


# ---- Address spaces ---------------------------------------------------------------------


def _spaces(spaces: Spaces, pid: int, start: int) -> Iterator[dict[str, Any]]:
    yield _metadata("process_name", pid, 0, name="address spaces")
    yield _metadata("process_sort_index", pid, 0, sort_index=pid // _THREADS)
    last = len(spaces.records) - 1

    def time(number: int) -> float:
        return (spaces.records[number].time - start) / 1000

    for space in spaces.all:
        yield _metadata("thread_name", pid, space.number + 1, name=space.name)
        yield _metadata("thread_sort_index", pid, space.number + 1, sort_index=space.number)
    timed: list[tuple[float, dict[str, Any]]] = []
    for space in spaces.all:
        row = {"pid": pid, "tid": pid + space.number + 1}
        begin, end = time(space.born), time(last if space.died is None else space.died)
        timed.append((begin, {"ph": "X", "ts": begin, "dur": end - begin, "name": space.name, **row,
                              "args": _summary(spaces, space)}))  # fmt: skip
        timed += _fork_arrow(space, begin, pid)
        for number, pages, shared in _thinned(space.series):
            timed.append((time(number), {
                "ph": "C", "ts": time(number), "name": f"{space.name}: pages", **row,
                "args": {"its own": pages - shared, "shared": shared},
            }))  # fmt: skip
    before, step = -1, max(1, last // _POINTS)
    for number, record in enumerate(spaces.records):
        if record.event in FAULTS:
            row = {"pid": pid, "tid": pid + spaces.of[number] + 1}
            timed.append((time(number), _fault(record, time(number)) | row))
        if spaces.shared[number] != before and (number % step == 0 or number == last):
            before = spaces.shared[number]
            timed.append((time(number), {
                "ph": "C", "ts": time(number), "pid": pid, "tid": pid, "name": "shared frames",
                "args": {"frames": before},
            }))  # fmt: skip
    timed.sort(key=lambda pair: pair[0])
    yield from (event for _, event in timed)


def _thinned(series: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """As many points as a screen can show, among them the last."""
    step = max(1, len(series) // _POINTS)
    return [*series[:-1:step], *series[-1:]]


def _summary(spaces: Spaces, space: Space) -> dict[str, Any]:
    facts: dict[str, Any] = {_kind(event): count for event, count in sorted(space.faults.items())}
    if space.parent is not None:
        facts["copied from"] = spaces.all[space.parent].name
    return facts


def _fork_arrow(space: Space, at: float, pid: int) -> Iterator[tuple[float, dict[str, Any]]]:
    """From the parent's row to that of the child."""
    if space.parent is None:
        return
    arrow = {"cat": "fork", "name": "fork", "id": space.number, "ts": at}
    yield at, arrow | {"ph": "s", "pid": pid, "tid": pid + space.parent + 1}
    yield at, arrow | {"ph": "f", "bp": "e", "pid": pid, "tid": pid + space.number + 1}


def _kind(event: int) -> str:
    return Event(event).name.removeprefix("FAULT_").lower()


def _fault(record: Record, at: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"address": f"{page_of(record) << 12:#x}", "CPU": record.cpu}
    if record.event == Event.FAULT_REFUSED:
        facts["why"] = RESULTS[min(frame_of(record), len(RESULTS) - 1)]
    elif record.event != Event.FAULT_STACK:
        facts["frame"] = f"{frame_of(record):#x}"
    return {"ph": "i", "s": "t", "ts": at, "name": _kind(record.event), "args": facts}
