# SPDX-License-Identifier: MIT
"""What a submission's object files must not hold.

A solution of a lab calls a handful of functions, and consists of code and data of the plain
kinds. An object that reaches for more, say for the transcript, the test runner or the exit
device, was not written to solve the lab. This is no proof of innocence, for code in a kernel
can compute any address; what earns marks is the transcript. But it names an attempt, with the
symbol or instruction and its line.
"""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .screen import Finding

MAX_MEMORY = 16 << 20

_SECTIONS = re.compile(
    r"(\.text|\.data|\.bss|\.rodata)(\..+)?|(\.rela)?trace_sites|\.comment"
    r"|\.note\..+|\.debug_.+|\.eh_frame"
    r"|\.symtab|\.strtab|\.shstrtab|\.symtab_shndx|\.group|\.llvm_addrsig"
)

# Instructions by the names that objdump gives them. Those of the kernel's inline functions
# (cli, sti, pause, rdtsc, the flags, atomics) are not here.
_PREFIXES = {"lock", "rep", "repz", "repnz", "data16", "addr32", "notrack", "bnd"}
_PREFIXES |= {"cs", "ds", "es", "fs", "gs", "ss"}
_FORBIDDEN = re.compile(
    r"in|out|insb|insw|insl|outsb|outsw|outsl|inb|inw|inl|outb|outw|outl|hlt|monitor|mwait"
    r"|lidt|lgdt|lldt|ltr|lmsw|clts|invd|wbinvd|invlpg|invpcid|xsetbv|wrmsr|rdmsr|rdpmc|swapgs"
    r"|int|int1|int3|into|icebp|iretq?|iretl|iretw|syscall|sysretq?|sysretl|sysenter|sysexitq?|rsm"
    r"|ljmp.*|lcall.*|lret.*|vm[a-z]+|wr[fg]sbase.*"
)
_SYSTEM_REGISTER = re.compile(r"%(cr|db|dr)\d+\b|,%(ds|es|fs|gs|ss|cs)$")

# What the compiler itself uses, in functions that have arrays: see kernel/x86_64/stack_guard.c.
_OF_COMPILER = {"__stack_chk_fail", "__stack_chk_guard"}

_LINE = re.compile(r"(?P<file>\S+):(?P<line>\d+)(?: \(discriminator \d+\))?")
_INSTRUCTION = re.compile(r" +[0-9a-f]+:\t(?P<text>.*)")
_RELOCATION = re.compile(r"\t+[0-9a-f]+: R_X86_64_\S+\t(?P<symbol>[^\s+-]+)(?:[+-]0x[0-9a-f]+)?")
_ADDRESS = re.compile(r"0xffffffff[89a-f][0-9a-f]{7}\b")


@dataclass(frozen=True)
class Rules:
    """What the objects of a submission are held to."""

    symbols: Collection[str]  # of other files, that may be used
    kernel: Collection[str]  # global symbols of all other files
    sections: Collection[str]  # of the reference's objects
    image: range  # addresses of the kernel


class TooLarge(Exception):
    """The object does not fit into a kernel."""


def disassemble(path: str) -> list[str]:
    """The command whose output check() wants."""
    return ["objdump", "--disassemble", "--line-numbers", "--reloc", "--no-show-raw-insn", path]


@dataclass(frozen=True)
class Object:
    """The object file of one source."""

    source: str
    path: Path
    listing: str  # see disassemble()
    names: Mapping[str, int]  # the lines where names stand first in the source


def check(compiled: Object, own: Collection[str], rules: Rules) -> Finding | None:
    """The first thing that an object must not hold. Raises TooLarge.

    own: global symbols of the whole submission.
    """
    return next(_check_all(compiled, own, rules), None)


def defined_symbols(path: Path) -> set[str]:
    """The global symbols that an object file defines."""
    return {
        name
        for name, defined, bound in _symbols(_open(path))
        if defined and bound != "STB_LOCAL"
    }


def sections(path: Path) -> set[str]:
    """The names of the sections of an object file."""
    return {section.name for section in _open(path).iter_sections()}


def _check_all(compiled: Object, own: Collection[str], rules: Rules) -> Iterator[Finding]:
    name = compiled.source
    elf = _open(compiled.path)
    memory = 0
    for section in elf.iter_sections():
        plain = _SECTIONS.fullmatch(re.sub(r"^\.rela?(?=\.)", "", section.name))
        if section.name and not plain and section.name not in rules.sections:
            what = f"something in the section {section.name}, which a solution does not need"
            yield Finding(name, 0, what)
        if section["sh_flags"] & 2:  # SHF_ALLOC
            memory += section["sh_size"]
    if memory > MAX_MEMORY:
        raise TooLarge(f"{name}: its data take {memory >> 20} MiB of memory: no kernel can have it")

    lines = _Lines(name, compiled.listing)
    allowed = {*rules.symbols, *own, *_OF_COMPILER}
    for symbol, defined, bound in _symbols(elf):
        line = compiled.names.get(symbol) or lines.uses.get(symbol, 0)
        if defined and bound != "STB_LOCAL" and symbol in rules.kernel:
            yield Finding(name, line, f"defines {symbol}, which another file of the kernel has")
        # What nobody defines is a mistake that the linker reports.
        if not defined and symbol in rules.kernel and symbol not in allowed:
            yield Finding(name, line, f"uses {symbol}, which a solution does not need")
    for line, text in lines.instructions:
        what = _check_instruction(text, rules.image)
        if what:
            yield Finding(name, line, what)


def _check_instruction(text: str, image: range) -> str | None:
    text = text.partition("#")[0].strip()
    words = text.split()
    while words and (words[0] in _PREFIXES or words[0].startswith("rex")):
        words.pop(0)
    if not words:
        return None
    mnemonic, operands = words[0], " ".join(words[1:])
    if _FORBIDDEN.fullmatch(mnemonic) or (
        mnemonic.startswith("mov") and _SYSTEM_REGISTER.search(operands)
    ):
        return f"the instruction {' '.join(words)}, which a solution does not need"
    for match in _ADDRESS.finditer(operands):
        if int(match[0], 16) in image:
            return f"the number {match[0]}, an address of the kernel's image"
    return None


class _Lines:
    """A disassembly: instructions and uses of symbols, with their lines in the source."""

    def __init__(self, name: str, listing: str) -> None:
        self.instructions: list[tuple[int, str]] = []
        self.uses: dict[str, int] = {}
        line = 0
        for row in listing.splitlines():
            if match := _INSTRUCTION.fullmatch(row):
                self.instructions.append((line, match["text"]))
            elif match := _RELOCATION.fullmatch(row):
                self.uses.setdefault(match["symbol"], line)
            elif match := _LINE.fullmatch(row):
                # An instruction of an inline function counts for the line before it.
                if match["file"].removeprefix("./") == name:
                    line = int(match["line"])


def _open(path: Path) -> Any:
    from elftools.elf.elffile import ELFFile  # slow to import, and often not needed

    return ELFFile(io.BytesIO(path.read_bytes()))


def _symbols(elf: Any) -> Iterator[tuple[str, bool, str]]:
    """Name, whether it is defined, binding; of all symbols that have a name."""
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        if symbol.name and symbol["st_info"]["type"] not in ("STT_FILE", "STT_SECTION"):
            yield symbol.name, symbol["st_shndx"] != "SHN_UNDEF", symbol["st_info"]["bind"]
