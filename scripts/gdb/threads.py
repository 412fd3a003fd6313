# SPDX-License-Identifier: MIT
"""ikos-threads: all threads of the kernel, and where each of them is.

A thread that is on a CPU has that CPU's registers, and GDB knows CPUs as its own threads. Of
all others arch_switch() has left the registers on their stacks: from there the chain of frame
pointers leads through the callers, as it does in a panic's backtrace.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import gdb
from kernel import (
    ListBroken,
    Memory,
    address_of,
    evaluate,
    follow_list,
    kernel_type,
    offset_of,
    plural,
    source_line,
)

# What arch_switch() pushes below its return address: see kernel/x86_64/switch.S.
_RBP_AT, _RETURN_AT = 5 * 8, 6 * 8

_MAX_THREADS = 10000
_MAX_FRAMES = 32
_CALLERS_SHOWN = 3
# How a thread stops is the same for all and tells nothing.
_SWITCHING = {"arch_switch", "sched_switch_locked", "yield_locked", "wait_locked"}
_TRAP = "trap_entry"


@dataclass(frozen=True)
class Place:
    """A function that has not returned yet."""

    pc: int
    function: str
    line: str  # FILE:LINE, or "" in a function that was inlined into this one's callee

    def __str__(self) -> str:
        return f"{self.function} ({self.line})" if self.line else self.function


def symbol_at(pc: int) -> tuple[str, int] | None:
    """The name before an instruction, and how many bytes before."""
    text = gdb.execute(f"info symbol {pc:#x}", to_string=True)
    found = re.match(r"(\w+)(?: \+ (\d+))? in section", text)
    return (found[1], int(found[2] or 0)) if found else None


def places_at(pc: int) -> Iterator[Place]:
    """The function at an instruction, and before it those that were inlined there."""
    line = source_line(gdb.find_pc_line(pc))
    try:
        block = gdb.block_for_pc(pc)
    except RuntimeError:
        block = None
    name = None
    while block is not None and not (block.is_static or block.is_global):
        if block.function is not None:
            name = block.function.name
            yield Place(pc, name, line)
            line = ""
        block = block.superblock
    symbol = symbol_at(pc)
    if name is None and symbol:  # written in assembly
        yield Place(pc, symbol[0], line)


def chain(memory: Memory, sp: int) -> Iterator[Place]:
    """The callers of arch_switch() in a thread whose stack pointer it left at sp."""
    if not memory.is_readable(sp, _RETURN_AT + 8):
        return
    rbp, pc = memory.word(sp + _RBP_AT), memory.word(sp + _RETURN_AT)
    # A return address belongs to the call before it. What is no return address: the start of
    # a new thread's function, and the instruction that was interrupted by a trap.
    exact = (symbol_at(pc) or ("", 1))[1] == 0
    for _ in range(_MAX_FRAMES):
        if pc == 0:
            return
        here = list(places_at(pc if exact else pc - 1))
        if not here:
            return
        yield from here
        if rbp % 8 or not memory.is_readable(rbp, 16):
            return
        rbp, pc = memory.word(rbp), memory.word(rbp + 8)
        exact = here[-1].function == _TRAP


def running_places(cpu: int) -> Iterator[Place]:
    """What a CPU is doing. QEMU's CPUs are GDB's threads, counted from 1."""
    selected = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        if thread.num != cpu + 1:
            continue
        thread.switch()
        try:
            frame = gdb.newest_frame()
            while frame is not None and frame.is_valid():
                if name := frame.name():
                    yield Place(frame.pc(), name, source_line(frame.find_sal()))
                frame = frame.older()
        except gdb.error:
            return  # the stack is damaged; what was found stands
        finally:
            selected.switch()


class Thread:
    """A struct thread."""

    def __init__(self, value: gdb.Value) -> None:
        self.value = value
        self.id = int(value["id"])
        self.name = value["name"].string(errors="replace")
        self.state = str(value["state"]).removeprefix("THREAD_").lower()
        self.cpu = int(value["cpu"])
        self.bound = int(value["cpus"]).bit_count() == 1

    def on_cpu(self) -> bool:
        """Is it still there? Its state changes some way before it leaves."""
        current = evaluate("arch_cpus")[self.cpu]["current"]
        return address_of(current) == address_of(self.value.address)

    def places(self, memory: Memory) -> list[Place]:
        if self.on_cpu():
            return list(running_places(self.cpu))
        return list(chain(memory, address_of(self.value["sp"])))


def all_threads(memory: Memory) -> Iterator[Thread]:
    thread_type = kernel_type("struct thread").pointer()
    at = offset_of("struct thread", "all")
    head = address_of(evaluate("&all_threads"))
    if memory.word(head) == 0:
        raise gdb.GdbError("there are no threads yet: sched_init() makes the first")
    try:
        for link in follow_list(memory, head, _MAX_THREADS):
            yield Thread(gdb.Value(link - at).cast(thread_type).dereference())
    except ListBroken as broken:
        print(f"the list all_threads is broken: {broken}")


class IkosThreads(gdb.Command):
    """List the kernel's threads: state, CPU, and where each of them is.

    ikos-threads [ID]

    For a thread that waits, "where" is who called the function that waits, and its callers;
    for one that runs, what it is doing. With an ID, all of the thread's callers are shown.
    The other CPUs' registers are those of GDB's own threads: "info threads", "thread N".
    """

    def __init__(self) -> None:
        super().__init__("ikos-threads", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        memory = Memory()
        threads = sorted(all_threads(memory), key=lambda thread: thread.id)
        if argument.strip():
            self._show_one(memory, threads, int(evaluate(argument)))
            return
        print("  id  state    cpu  bound  name              where")
        for thread in threads:
            print(
                f"{thread.id:4}  {thread.state:<7}  {thread.cpu:3}"
                f"  {'one' if thread.bound else 'any':<5}  {thread.name:<16}"
                f"  {self._where(thread, thread.places(memory))}"
            )
        print(plural(len(threads), "thread"))

    @staticmethod
    def _where(thread: Thread, places: list[Place]) -> str:
        functions = [place.function for place in places]
        preempted = _TRAP in functions and not thread.on_cpu()
        if preempted:
            places = places[functions.index(_TRAP) + 1 :]
        places = [place for place in places if place.function not in _SWITCHING]
        if not places:
            return "unknown"
        callers = [place.function for place in places[1 : _CALLERS_SHOWN + 1]]
        return ("preempted in " if preempted else "") + " < ".join([str(places[0]), *callers])

    @staticmethod
    def _show_one(memory: Memory, threads: list[Thread], wanted: int) -> None:
        for thread in threads:
            if thread.id != wanted:
                continue
            print(f'thread {thread.id}, "{thread.name}", {thread.state}, CPU {thread.cpu}')
            for number, place in enumerate(thread.places(memory)):
                print(f"#{number:<2} {place.pc:#x} in {place}")
            return
        raise gdb.GdbError(f"there is no thread {wanted}: see ikos-threads")


IkosThreads()
