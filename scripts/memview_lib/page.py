# SPDX-License-Identifier: MIT
"""The page: one HTML file with its style, its code and its data, which loads nothing.

The data is one JSON object. What there is much of, the columns of the event tables, is in it
as base64 of little-endian arrays, so a browser has typed arrays at once: see
template/data.js, which reads what _columns() writes.
"""

import base64
import json
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .history import History
from .names import Names

_TEMPLATE = Path(__file__).resolve().parent / "template"
_STYLE = "page.css"
_SCRIPTS = ("data.js", "state.js", "palette.js", "map.js", "chart.js", "page.js")


def document(
    histories: list[History], names: Names, title: str, notes: list[str], unit: str
) -> str:
    """unit: what a tick of the clock is, "ns" or "cycles"."""
    callers: dict[int, int] = {}
    data = {
        "title": title,
        "notes": notes,
        "unit": unit,
        "arenas": [_arena(history, names, callers) for history in histories],
        "callers": [[names.function(caller), names.place(caller)] for caller in callers],
    }
    page = (_TEMPLATE / "page.html").read_text()
    parts = {
        "style": (_TEMPLATE / _STYLE).read_text(),
        "script": "\n".join((_TEMPLATE / name).read_text() for name in _SCRIPTS),
        "title": _escape(title),
        # "<" would end the element that holds the data.
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _arena(history: History, names: Names, callers: dict[int, int]) -> dict[str, Any]:
    return {
        "name": names.function(history.made_by) if history.made_by else "",
        "first": history.first,
        "frames": history.frames,
        "initial": _base64(history.initial) if any(history.initial) else "",
        "count": len(history.records),
        **_columns(history, callers),
    }


def _columns(history: History, callers: dict[int, int]) -> dict[str, Any]:
    """Times are differences, in units of 2^shift ticks so that the largest fits in 32 bits."""
    records = history.records
    start = records[0].time
    times = [max(record.time - start, 0) for record in records]
    gaps = [max(now - before, 0) for before, now in zip([0, *times], times)]
    shift = max(max(gaps).bit_length() - 32, 0)
    kinds = bytes(
        record.event | (0x80 if number in history.contradictions else 0)
        for number, record in enumerate(records)
    )
    who = [callers.setdefault(record.caller, len(callers)) for record in records]
    return {
        "start": start,
        "shift": shift,
        "kind": _base64(kinds),
        "order": _base64(bytes(record.order for record in records)),
        "cpu": _base64(bytes(min(record.cpu, 255) for record in records)),
        "frame": _array("I", (record.pfn - history.first for record in records)),
        "gap": _array("I", (gap >> shift for gap in gaps)),
        "caller": _array("H", (min(index, 0xFFFF) for index in who)),
    }


def _array(kind: str, values: Iterable[int]) -> str:
    return _base64(array(kind, values).tobytes())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
