# SPDX-License-Identifier: MIT
"""A history as Chrome trace events in JSON, for ui.perfetto.dev and chrome://tracing.

Each event of an allocator is an instant on the row of its CPU. Free frames and free blocks
of each order are counters; they change where an operation has ended, so that the steps inside
it do not show as needles. Times are in microseconds, as the format wants.

An allocator is a process and a CPU one of its threads. Perfetto takes the thread that has the
number of its process for the main one, and shows it first: that is CPU 0.
"""

from collections.abc import Iterator
from typing import Any

from .blocks import Blocks
from .history import History
from .names import Names
from .ring import MAX_ORDER, Event

_THREADS = 1000  # more than there are CPUs

# What can follow in the same operation.
_STEPS = {Event.SPLIT: {Event.SPLIT, Event.ALLOC}, Event.FREE: {Event.MERGE},
          Event.MERGE: {Event.MERGE}, Event.ADD: {Event.MERGE}}  # fmt: skip


def document(histories: list[History], names: Names, title: str) -> dict[str, Any]:
    start = min(h.records[0].time for h in histories)
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
