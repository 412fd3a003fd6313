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
from .ring import FRAME_BITS, Record
from .spaces import Spaces

_TEMPLATE = Path(__file__).resolve().parent / "template"
_STYLE = "page.css"
_SCRIPTS = ("data.js", "state.js", "palette.js", "map.js", "chart.js", "spaces.js", "page.js")


def document(
    histories: list[History],
    names: Names,
    title: str,
    notes: list[str],
    unit: str,
    spaces: Spaces | None = None,
) -> str:
    """unit: what a tick of the clock is, "ns" or "cycles"."""
    callers: dict[int, int] = {}
    data = {
        "title": title,
        "notes": notes,
        "unit": unit,
        "arenas": [_arena(history, names, callers) for history in histories],
        "spaces": _spaces(spaces) if spaces and spaces.records else None,
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
    records = history.records
    kinds = bytes(
        record.event | (0x80 if number in history.contradictions else 0)
        for number, record in enumerate(records)
    )
    who = [callers.setdefault(record.caller, len(callers)) for record in records]
    return {
        **_times(records),
        "kind": _base64(kinds),
        "order": _base64(bytes(record.order for record in records)),
        "cpu": _base64(bytes(min(record.cpu, 255) for record in records)),
        "frame": _array("I", (record.pfn - history.first for record in records)),
        "caller": _array("H", (min(index, 0xFFFF) for index in who)),
    }


def _times(records: list[Record]) -> dict[str, Any]:
    """As differences, in units of 2^shift ticks so that the largest fits in 32 bits."""
    start = records[0].time
    times = [max(record.time - start, 0) for record in records]
    gaps = [max(now - before, 0) for before, now in zip([0, *times], times)]
    shift = max(max(gaps).bit_length() - 32, 0)
    return {"start": start, "shift": shift, "gap": _array("I", (gap >> shift for gap in gaps))}


def _spaces(spaces: Spaces) -> dict[str, Any]:
    """Address spaces. A page's number has 35 bits: its upper three are a column of their own."""
    records = spaces.records
    return {
        "count": len(records),
        **_times(records),
        "spaces": [
            {
                "name": space.name,
                "owners": space.owners,
                "parent": space.parent,
                "born": space.born,
                "died": space.died,
                "at": _array("I", (number for number, _, _ in space.series)),
                "pages": _array("I", (pages for _, pages, _ in space.series)),
                "shared": _array("I", (shared for _, _, shared in space.series)),
            }
            for space in spaces.all
        ],
        "kind": _base64(bytes(record.event for record in records)),
        "cpu": _base64(bytes(min(record.cpu, 255) for record in records)),
        "space": _array("H", (min(number, 0xFFFF) for number in spaces.of)),
        "page": _array("I", (record.pfn >> FRAME_BITS & 0xFFFFFFFF for record in records)),
        "above": _base64(bytes(record.pfn >> FRAME_BITS + 32 & 7 for record in records)),
        "frame": _array("I", (record.pfn & (1 << FRAME_BITS) - 1 for record in records)),
        "sharedFrames": _array("I", spaces.shared),
    }


def _array(kind: str, values: Iterable[int]) -> str:
    return _base64(array(kind, values).tobytes())


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
