# SPDX-License-Identifier: MIT
"""ikos-who-wrote: backwards to the instruction that wrote something.

QEMU replays a recorded run instruction by instruction, and goes back in time by going to a
snapshot before the place wanted and running forward from there. A watchpoint in reverse
therefore costs one run over the recording, or a part of it, and finds every write, also
one that did not change the value.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import gdb
from kernel import DIRECT_MAP_BASE, Memory, evaluate, source_line
from page import to_physical

_CALLERS = 4

_FORWARD = """this session only runs forward. Two ways to find who writes here:
  - record the case, and go back from where it fails:
      make replay LAB=... CASE=... SEED=... REVERSE=1
  - or stop at every write from now on:  watch -l {expression}
    then "continue", and "continue" again until the value is the wrong one"""


def position() -> int | None:
    """Instructions executed since the recording began; None if this is no recording."""
    try:
        answer = gdb.execute("monitor info replay", to_string=True)
    except gdb.error:
        return None
    found = re.search(r"Replaying execution .*instruction count = (\d+)", answer, re.DOTALL)
    return int(found[1]) if found else None


@contextmanager
def quietly() -> Iterator[None]:
    """Without GDB's words on where the machine stops, which no setting of GDB turns off."""
    gdb.flush(gdb.STDOUT)
    output = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        gdb.flush(gdb.STDOUT)
        os.dup2(output, 1)
        os.close(output)
        os.close(nowhere)


@contextmanager
def breakpoints_off() -> Iterator[None]:
    """With none of the breakpoints that there are."""
    enabled = [point for point in gdb.breakpoints() if point.enabled]
    for point in enabled:
        point.enabled = False
    try:
        yield
    finally:
        for point in enabled:
            if point.is_valid():
                point.enabled = True


def go_forward_to(target: int) -> None:
    """Run a recording on to the instruction of that number."""
    if position() == target:
        return
    with breakpoints_off(), quietly():
        gdb.execute(f"monitor replay_break {target}", to_string=True)
        gdb.execute("continue", to_string=True)


class LastStop:
    """Why the machine stopped last."""

    def __init__(self) -> None:
        self.by_user = False
        gdb.events.stop.connect(self._stopped)

    def _stopped(self, event: gdb.StopEvent) -> None:
        self.by_user = isinstance(event, gdb.SignalEvent) and event.stop_signal == "SIGINT"


last_stop = LastStop()


class Watched:
    """Something in memory, by an expression for it, or by its address."""

    def __init__(self, expression: str) -> None:
        value = evaluate(expression)
        if value.address is not None:
            self.type = value.type
            self.address = int(value.address) & (1 << 64) - 1
        elif value.type.strip_typedefs().code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_PTR):
            self.type = gdb.lookup_type("unsigned long")
            self.address = int(value) & (1 << 64) - 1
        else:
            raise gdb.GdbError(f"{expression} is not in memory, so nobody wrote it there")
        if not Memory().is_readable(self.address, self.type.sizeof):
            raise gdb.GdbError(f"{expression}: address {self.address:#x} is not mapped")

    def addresses(self) -> Iterator[int]:
        """Where it is written: at its own address, or through the direct map."""
        yield self.address
        alias = DIRECT_MAP_BASE + to_physical(self.address)
        if alias != self.address:
            yield alias

    def text(self) -> str:
        value = gdb.Value(self.address).cast(self.type.pointer()).dereference()
        if self.type.strip_typedefs().code == gdb.TYPE_CODE_INT:
            return f"{int(value):#x} ({int(value)})"
        return value.format_string(symbols=True, raw=True)


class IkosWhoWrote(gdb.Command):
    """Go back to the last write of something and say who made it.

    ikos-who-wrote EXPR

    EXPR is anything that lies in memory (the_lab.buddy.nonempty, $page(0x5810)->link.next), or an
    address, which stands for the 8 bytes there. The machine goes back to just before the
    instruction that wrote: the old value is still there, "stepi" makes the write, and
    ikos-who-wrote again finds the write before it. A write through the direct map is found
    too. It needs a recorded run: make replay LAB= CASE= SEED= REVERSE=1
    """

    def __init__(self) -> None:
        super().__init__("ikos-who-wrote", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("ikos-who-wrote: who wrote what? Give an expression or an address")
        Memory()  # says if there is no machine
        start = position()
        if start is None:
            raise gdb.GdbError(_FORWARD.format(expression=argument))
        watched = Watched(argument)
        with breakpoints_off(), quietly():
            new = self._go_back(watched)
        if new is None:
            by_user = last_stop.by_user
            go_forward_to(start)
            if by_user:
                print(f"interrupted; you are at instruction {start} again")
            else:
                print(f"nothing wrote {argument} before instruction {start}, where you are")
        else:
            self._report(argument, start, watched.text(), new)

    @staticmethod
    def _go_back(watched: Watched) -> str | None:
        """Go to just before the last write. Returns what was written; None if none was found."""
        # QEMU does not look at the instruction that was executed last: so that comes first.
        new = watched.text()
        gdb.execute("reverse-stepi", to_string=True)
        if watched.text() != new:
            return new
        gdb.execute("stepi", to_string=True)
        points = []
        try:
            for address in watched.addresses():
                spec = f"*(unsigned char (*)[{watched.type.sizeof}]) {address:#x}"
                points.append(gdb.Breakpoint(spec, gdb.BP_WATCHPOINT, gdb.WP_WRITE, True))
            gdb.execute("reverse-continue", to_string=True)
        finally:
            for point in points:
                point.delete()
        if last_stop.by_user or position() == 0:
            return None
        new = watched.text()
        gdb.execute("reverse-stepi", to_string=True)
        return new

    @staticmethod
    def _report(what: str, start: int, old: str, new: str) -> None:
        here = position()
        frame = gdb.newest_frame()
        line = source_line(frame.find_sal())
        where = f"{frame.name()}() at {line}" if line else frame.name() or "unknown code"
        print(f"{what} was last written in {where}")
        print(f"  old value    {old}")
        print(f"  new value    {new}" + (" (the same)" if old == new else ""))
        print(f"  instruction  {here}, {start - here} before where you were")
        print("  " + gdb.execute("x/i $pc", to_string=True).strip())
        print(gdb.execute(f"backtrace {_CALLERS}", to_string=True).rstrip())


IkosWhoWrote()
