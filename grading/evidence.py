# SPDX-License-Identifier: MIT
"""The transcript that a graded case leaves in guest memory: see include/evidence.h."""

import enum
import struct
from typing import NamedTuple

from .errors import GuestError
from .guest import Guest

_MAGIC = 0x45434E4544495645
_VERSION = 1
_AREA = struct.Struct("<QIIQQQ")
_RECORD = struct.Struct("<HHIQQQ")


class Kind(enum.IntEnum):
    """The kinds that belong to the test runner; a lab's begin at LAB."""

    CASE_BEGIN = 1
    CASE_END = 2
    PANIC = 3
    SKIP = 4
    LAB = 64


class Record(NamedTuple):
    kind: int
    cpu: int
    arg: int
    a: int
    b: int
    c: int

    def text(self) -> str:
        """The string in a, b and c, as EV_PANIC has it."""
        raw = struct.pack("<QQQ", self.a, self.b, self.c)
        return raw.split(b"\0")[0].decode(errors="replace")


class Transcript(NamedTuple):
    records: list[Record]
    lost: int  # records that did not fit


def read(guest: Guest) -> Transcript:
    """Find the area by its symbol and read it. Raises GuestError when there is none."""
    area = guest.image.to_physical(guest.image.address("evidence"))
    if area is None:
        raise GuestError("the symbol evidence is not in the kernel image")
    magic, version, record_size, records, capacity, written = _AREA.unpack(
        guest.read_physical(area, _AREA.size)
    )
    if magic != _MAGIC or version != _VERSION or record_size != _RECORD.size:
        raise GuestError("the evidence area has not been set up")
    if records == 0:
        raise GuestError("no evidence was recorded")
    raw = guest.read_physical(records, min(written, capacity) * _RECORD.size)
    return Transcript(
        records=[Record._make(fields) for fields in _RECORD.iter_unpack(raw)],
        lost=max(0, written - capacity),
    )
