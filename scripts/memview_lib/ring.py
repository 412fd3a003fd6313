# SPDX-License-Identifier: MIT
"""The trace ring that the kernel writes: see include/trace.h."""

import enum
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from grading.errors import GradingError, GuestError
from grading.guest import Guest

MAGIC = 0x45434152544F4B49
VERSION = 1
AREA = struct.Struct("<QIIQQQQ")
RECORD = struct.Struct("<QQQBBHI")


class Event(enum.IntEnum):
    INIT = 1
    ADD = 2
    RESERVE = 3
    ALLOC = 4
    FREE = 5
    SPLIT = 6
    MERGE = 7
    # About address spaces: the caller is the space, the frame what the kernel's header says.
    SPACE_NEW = 8
    SPACE_FORK = 9
    SPACE_GONE = 10
    SPACE_OWNER = 11
    SPACE_NAME = 12
    FAULT_ZERO = 13
    FAULT_FRESH = 14
    FAULT_FILE = 15
    FAULT_COPY = 16
    FAULT_REUSE = 17
    FAULT_SPURIOUS = 18
    FAULT_STACK = 19
    FAULT_REFUSED = 20
    SPACE_MAP = 21
    SPACE_UNMAP = 22


def is_about_blocks(event: int) -> bool:
    return event <= Event.MERGE


FRAME_BITS = 29  # TRACE_FRAME_BITS: below the number of the page


# These take any order: they are about ranges, not about blocks.
RANGES = {Event.INIT, Event.RESERVE}
MAX_ORDER = 10


class Record(NamedTuple):
    time: int
    caller: int
    pfn: int
    event: int
    order: int
    cpu: int
    sequence: int


class Trace(NamedTuple):
    records: list[Record]  # in the order in which they happened
    lost: int  # earlier ones that the ring had no room for, and damaged ones


class _Area(NamedTuple):
    magic: int
    version: int
    record_size: int
    records: int
    capacity: int
    written: int
    base: int

    def check(self) -> None:
        if self.magic != MAGIC:
            raise GuestError("there is no trace here: the magic number is wrong")
        if (self.version, self.record_size) != (VERSION, RECORD.size):
            raise GuestError(f"the trace has version {self.version}, and {VERSION} is understood")
        if not self.records or not self.capacity:
            raise GuestError("the kernel was not tracing: start it with trace=buddy or space")

    @property
    def kept(self) -> int:
        return min(self.written, self.capacity)


def from_guest(guest: Guest) -> Trace:
    """The ring in the memory of a guest that has ended."""
    address = guest.image.to_physical(guest.image.address("trace_area"))
    if address is None:
        raise GuestError("the symbol trace_area is not in the kernel image")
    area = _Area._make(AREA.unpack(guest.read_physical(address, AREA.size)))
    area.check()
    raw = guest.read_physical(area.records, area.kept * RECORD.size)
    oldest = area.written % area.capacity * RECORD.size if area.written > area.capacity else 0
    return _trace(area, raw[oldest:] + raw[:oldest])


def from_file(path: Path) -> Trace:
    """What the kernel sent over COM2: the header, and the records from the oldest on."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise GradingError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) < AREA.size:
        raise GuestError(f"{path} is too short for a trace: was the kernel told trace_out=com2?")
    area = _Area._make(AREA.unpack_from(raw))
    area.check()
    body = raw[AREA.size : AREA.size + area.kept * RECORD.size]
    return _trace(area, body[: len(body) // RECORD.size * RECORD.size])


def _trace(area: _Area, raw: bytes) -> Trace:
    """Records from the oldest on, without those that are not what belongs in their place."""
    first = area.written - area.kept
    records = [
        record
        for number, record in enumerate(map(Record._make, RECORD.iter_unpack(raw)), first)
        if record.sequence == number & 0xFFFFFFFF and is_valid(record)
    ]
    return Trace(records, area.written - len(records))


def is_valid(record: Record) -> bool:
    """Does it say something that can be true of a block, or of an address space?"""
    if not Event.INIT <= record.event <= Event.SPACE_UNMAP:
        return False
    if not is_about_blocks(record.event):
        return record.caller != 0 and record.order == 0
    limit = 40 if record.event in RANGES else MAX_ORDER
    smallest = 1 if record.event in (Event.SPLIT, Event.MERGE) else 0
    aligned = record.pfn & ((1 << min(record.order, 63)) - 1) == 0
    return smallest <= record.order <= limit and aligned and record.pfn < 1 << 40


def pack(records: Iterable[Record]) -> bytes:
    """A file as from_file() reads it."""
    body = b"".join(RECORD.pack(*record) for record in records)
    count = len(body) // RECORD.size
    return AREA.pack(MAGIC, VERSION, RECORD.size, 1, max(count, 1), count, 0) + body
