# SPDX-License-Identifier: MIT
"""Names and addresses of a kernel's ELF file.

Read with struct rather than pyelftools: this happens in every run, and takes a few
milliseconds this way. What needs DWARF is in debuginfo.py.
"""

import bisect
import functools
import struct
from dataclasses import dataclass
from pathlib import Path

from .debuginfo import DebugInfo
from .errors import GradingError, GuestError

_PT_LOAD = 1
_PF_W = 2
_SHT_SYMTAB = 2
_STT_NOTYPE, _STT_OBJECT, _STT_FUNC = 0, 1, 2
_STB_LOCAL = 0

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")


@dataclass(frozen=True)
class Segment:
    """A piece of the image: [vaddr, vaddr + size) is loaded at paddr."""

    vaddr: int
    paddr: int
    size: int


class Image:
    """A kernel as linked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments: list[Segment] = []
        self.constant: list[tuple[int, bytes]] = []  # physical address, what cannot change
        self.symbols: dict[str, int] = {}
        self._functions: list[tuple[int, int, str]] = []  # address, size, name; sorted
        try:
            data = path.read_bytes()
        except OSError as error:
            raise GradingError(
                f"cannot read the kernel {path}: {error.strerror}; build it with: make kernel"
            ) from error
        try:
            self._read(data)
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            raise GradingError(f"{path} is not a 64-bit ELF file with symbols ({error})") from error

    def _read(self, data: bytes) -> None:
        header = _HEADER.unpack_from(data)
        if header[0][:5] != b"\x7fELF\x02":
            raise ValueError("wrong magic number")
        phoff, shoff, phentsize, phnum, shentsize, shnum = (
            header[5], header[6], header[9], header[10], header[11], header[12],
        )  # fmt: skip
        for i in range(phnum):
            program = _PROGRAM.unpack_from(data, phoff + i * phentsize)
            if program[0] == _PT_LOAD:
                self.segments.append(Segment(program[3], program[4], program[6]))
                if not program[1] & _PF_W:
                    content = data[program[2] : program[2] + program[5]]
                    self.constant.append((program[4], content))
        sections = [_SECTION.unpack_from(data, shoff + i * shentsize) for i in range(shnum)]
        for section in sections:
            if section[1] == _SHT_SYMTAB:
                names = sections[section[6]]
                self._read_symbols(
                    data[section[4] : section[4] + section[5]],
                    data[names[4] : names[4] + names[5]],
                )
        self._functions.sort()

    def _read_symbols(self, table: bytes, names: bytes) -> None:
        for name_at, info, _, section, value, size in _SYMBOL.iter_unpack(table):
            kind, binding = info & 15, info >> 4
            if kind > _STT_FUNC or section == 0 or not name_at:
                continue
            name = names[name_at : names.index(b"\0", name_at)].decode()
            # Of several static symbols of one name the first stands; a global one wins.
            if binding != _STB_LOCAL or name not in self.symbols:
                self.symbols[name] = value
            if kind == _STT_FUNC:
                self._functions.append((value, size, name))

    @functools.cached_property
    def debug(self) -> DebugInfo:
        """Structures and source lines; read when first asked for."""
        return DebugInfo.of(self.path)

    def address(self, name: str) -> int:
        """The virtual address of a symbol."""
        try:
            return self.symbols[name]
        except KeyError:
            raise GuestError(f"the kernel has no symbol {name}") from None

    def to_physical(self, vaddr: int) -> int | None:
        """Where an address of the image was loaded; None if it is not of the image."""
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.vaddr + segment.size:
                return vaddr - segment.vaddr + segment.paddr
        return None

    def function_at(self, address: int) -> str | None:
        """The function that an address lies in."""
        i = bisect.bisect_right(self._functions, (address, 1 << 64, "")) - 1
        if i >= 0:
            start, size, name = self._functions[i]
            if address < start + max(size, 1):
                return name
        return None
