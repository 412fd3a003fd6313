# SPDX-License-Identifier: MIT
"""Symbols of the programs in user mode, of whichever runs where the machine stops.

At each stop the current process's name says which file of build/.../user it executes, the lowest
region that shows a file where it was loaded. GDB then gets its symbols at that place, and
loses them when the last process goes that had it there. So "break", "next" and "bt" know programs
like the kernel.

Addresses say nothing about whose they are: a breakpoint in one program also stops another that
has something at the same address. "if $_program("faults")" behind it avoids that.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import gdb
from history import quietly
from kernel import PAGE_SIZE, Memory
from spaces import (
    Process,
    all_processes,
    current_cpu,
    current_process,
    has_programs,
    object_size,
    split_arguments,
)

_NAME_LENGTH = 15  # of struct process, without its final 0
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_PT_LOAD = 1


@dataclass(frozen=True)
class Program:
    """A file that a process executes, where it was put."""

    file: Path
    base: int  # what is added to the addresses in the file
    text: int  # an address in it


def build_directory() -> Path | None:
    """Where the programs were built: beside the directory of the kernel that is debugged."""
    for objfile in gdb.objfiles():
        if objfile.filename and Path(objfile.filename).name.startswith("kernel"):
            directory = Path(objfile.filename).parent.parent / "user"
            return directory if directory.is_dir() else None
    return None


def candidates(name: str) -> list[Path]:
    directory = build_directory()
    if directory is None or not name:
        return []
    found = sorted(directory.rglob(f"{name}*"))
    return [path for path in found if path.name[:_NAME_LENGTH] == name and path.suffix != ".d"]


def segments(file: Path) -> list[tuple[int, int, int]]:
    """What is loaded of an ELF file: offset, address, flags. ValueError if it is none."""
    raw = file.read_bytes()
    if len(raw) < _HEADER.size or raw[:5] != b"\x7fELF\x02":
        raise ValueError(f"{file} is no program")
    header = _HEADER.unpack_from(raw)
    start, size, count = header[5], header[9], header[10]
    found = []
    for number in range(count):
        if start + number * size + _SEGMENT.size > len(raw):
            break
        kind, flags, offset, address, *_ = _SEGMENT.unpack_from(raw, start + number * size)
        if kind == _PT_LOAD:
            found.append((offset, address, flags))
    return found


def program_of(process: Process) -> Program | None:
    """What a process executes, if it is one of ours."""
    files = candidates(process.name)
    space = process.space() if files else None
    shown = next((region for region in space.regions if region.object), None) if space else None
    if space is None or shown is None:
        return None
    size = object_size(space.memory, shown.object)
    for file in files:
        if file.stat().st_size != size:
            continue  # another one of that name
        parts = segments(file)
        first = next((a for o, a, _ in parts if o // PAGE_SIZE == shown.offset), None)
        text = next((a for _, a, flags in parts if flags & 1), None)
        if first is not None and text is not None:
            base = shown.start - first // PAGE_SIZE * PAGE_SIZE
            return Program(file, base, base + text)
    return None


class Symbols:
    """Those that GDB has of programs."""

    def __init__(self) -> None:
        self.loaded: dict[Program, int] = {}  # the process that brought it

    def follow(self) -> None:
        """Have the current process's, and none whose process is gone."""
        if not has_programs():
            return
        memory = Memory()
        here = current_process(memory, current_cpu())
        wanted = program_of(here) if here else None
        if here and wanted and wanted not in self.loaded:
            self._load(wanted, here)
        if any(program != wanted for program in self.loaded):
            self._drop_stale(memory)

    def forget(self) -> None:
        """The machine is gone."""
        for program in list(self.loaded):
            self._remove(program)

    def _load(self, program: Program, process: Process) -> None:
        at = f" -o {program.base:#x}" if program.base else ""
        gdb.execute(f"add-symbol-file {program.file}{at}", to_string=True)
        self.loaded[program] = process.pid
        where = f", loaded at {program.base:#x}" if program.base else ""
        print(f"ikos: symbols of {program.file.name} are there{where}: {process} runs it")

    def _drop_stale(self, memory: Memory) -> None:
        processes, errors = all_processes(memory)
        if errors:
            return  # who is still there cannot be told
        names = {program.file.name[:_NAME_LENGTH] for program in self.loaded}
        alive = {program_of(process) for process in processes if process.name in names}
        for program in [program for program in self.loaded if program not in alive]:
            self._remove(program)
            print(f"ikos: symbols of {program.file.name} are gone: nobody runs it any more")

    def _remove(self, program: Program) -> None:
        del self.loaded[program]
        gdb.execute(f"remove-symbol-file -a {program.text:#x}", to_string=True)


SYMBOLS = Symbols()


def _on_stop(_event: gdb.StopEvent) -> None:
    """Never in the way: what cannot be read now may be at the next stop."""
    try:
        SYMBOLS.follow()
    except (gdb.error, gdb.GdbError, OSError, ValueError):
        pass


def _on_exit(_event: gdb.Event) -> None:
    try:
        SYMBOLS.forget()
    except gdb.error:
        pass


class RunsProgram(gdb.Function):
    """$_program("NAME"): does a process of that name run on this CPU, in user mode or for it?

    For conditions: break main if $_program("faults")
    """

    def __init__(self) -> None:
        super().__init__("_program")

    def invoke(self, name: gdb.Value) -> bool:
        process = current_process(Memory(), current_cpu())
        return process is not None and process.name == name.string()[:_NAME_LENGTH]


class _Begins(gdb.Breakpoint):
    """Where exec has made a new program ready: mm/ knows all of it, and nothing of it has run."""

    def __init__(self, name: str) -> None:
        super().__init__("arch_user_start", internal=True)
        self._name = name[:_NAME_LENGTH]
        self.process: Process | None = None

    def stop(self) -> bool:
        process = current_process(Memory(), current_cpu())
        if process is None or process.name != self._name:
            return False
        self.process = process
        return True


class IkosProgram(gdb.Command):
    """Run until a program begins, and stop with its symbols loaded.

    ikos-program NAME

    NAME is that of a file in user/, without its folder: faults, forks, mmap. The machine goes on
    until a process executes it, as when you type its name at the shell. Then "break FUNCTION" and
    "continue" stop in it. At every other stop, too, GDB has the symbols of the program that runs
    there; this command is for stopping before it has done anything. Ctrl-C ends the waiting.
    """

    def __init__(self) -> None:
        super().__init__("ikos-program", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        [name] = split_arguments(argument, "ikos-program NAME", 1, 1)
        if not has_programs():
            raise gdb.GdbError("this kernel runs no programs: they come with lab 4")
        if not candidates(name[:_NAME_LENGTH]):
            raise gdb.GdbError(f"there is no program {name} in {build_directory() or 'build/user'}")
        point = _Begins(name)
        try:
            with quietly():
                gdb.execute("continue", to_string=True)
        finally:
            point.delete()
        if point.process:
            print(f"ikos: {point.process}, begins on CPU {current_cpu()}; its symbols are loaded")
            print("ikos: break FUNCTION and continue stop in it")
        else:
            print(f"ikos: stopped before {name} began")


gdb.events.stop.connect(_on_stop)
gdb.events.exited.connect(_on_exit)
RunsProgram()
IkosProgram()
