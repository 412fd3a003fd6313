# SPDX-License-Identifier: MIT
"""How a session begins: called by scripts/debug and scripts/replay before the first prompt."""

import contextlib
import os
import signal
import threading
import time

import gdb
from history import breakpoints_off, position, quietly
from kernel import evaluate

# Where a case shows that it fails: a panic of the kernel's own, one about interrupted code, an
# expectation of the case, and one of the runner.
FAILURES = ("panic", "panic_frame", "ktest_fail", "fail_run")

# What runs between a trap and the first function in C.
_ENTRY = ("trap_stubs", "trap_entry")

# A step back runs a recording again from the last snapshot before it. So there is one for each
# so many instructions, and later for each such part of what lies before.
_SPACING = 20_000_000
_SNAPSHOTS = 16

_REACH_LIMIT_S = 120.0
_TELL_EVERY_S = 2.0


class EndOfRun(gdb.Breakpoint):
    """The last moment of the machine: behind it there is nothing to look at."""

    def __init__(self) -> None:
        super().__init__("power_off")

    def stop(self) -> bool:
        print("ikos: the kernel switches the machine off here: this is the end of the run.")
        return True


class NoWatchdog(gdb.Breakpoint):
    """Gives the watchdog patience for ever.

    Every stop moves virtual time on to the next timer, also one at a breakpoint whose condition
    is not met. After a few hundred of them the watchdog would think that the kernel hangs.
    """

    def __init__(self) -> None:
        super().__init__("*watchdog_arm", internal=True)

    def stop(self) -> bool:
        gdb.parse_and_eval(f"$rdi = {1 << 62}")  # its argument
        return False


class _Limit:
    """Presses Ctrl-C, so to speak, when what is done within it takes too long."""

    def __init__(self) -> None:
        self.over = False
        self._timer = threading.Timer(_REACH_LIMIT_S, self._interrupt)
        self._timer.daemon = True

    def _interrupt(self) -> None:
        self.over = True
        os.kill(os.getpid(), signal.SIGINT)

    def __enter__(self) -> "_Limit":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _breakpoints(*functions: str) -> None:
    """There, and wherever a case may fail or end. They are the user's to delete."""
    for name in (*functions, *FAILURES):
        gdb.execute(f"break {name}", to_string=True)
    with quietly():
        EndOfRun()


def _function() -> str:
    return str(gdb.newest_frame().name())


def _what_stopped(limit: _Limit) -> str:
    function = _function()
    if function in FAILURES:
        return f"this is where it fails, in {function}()"
    if function == "power_off":
        return "this is the end of the run: it did not fail"
    why = f"{_REACH_LIMIT_S:g} s are over" if limit.over else "stopped on the way"
    return f"{why}, in {function}()"


def _leave_reporting_functions() -> None:
    """Select the frame that is to blame for a failure, not the one that reports it."""
    frame = gdb.newest_frame()
    while frame is not None and frame.name() in (*FAILURES, "lab_todo"):
        frame = frame.older()
    if frame is not None and frame != gdb.newest_frame():
        frame.select()


def _own_machine() -> None:
    """The machine is this session's: leaving GDB ends it, and needs no question."""
    gdb.execute("set confirm off")
    gdb.execute("define hook-quit\npython session.end()\nend")


def end() -> None:
    """End the machine, if it is still there: GDB would let it run on instead."""
    with contextlib.suppress(gdb.error):
        gdb.execute("kill", to_string=True)


def begin_boot() -> None:
    """Run to the kernel's first function in C."""
    _own_machine()
    NoWatchdog()
    with _Limit(), quietly():
        EndOfRun()
        gdb.execute("tbreak kernel_main", to_string=True)
        gdb.execute("continue", to_string=True)
    print(f"ikos: the kernel has just started, in {_function()}(). Nothing is set up yet:")
    print('ikos: break PLACE, continue. Ctrl-C stops it; "ikos" lists the commands for memory.')
    gdb.execute("frame")


def begin_case(function: str) -> None:
    """Run to the first line of the case."""
    _own_machine()
    _breakpoints(function)
    NoWatchdog()
    with _Limit(), quietly():
        gdb.execute("continue", to_string=True)
    if _function() == function:
        print(f"ikos: at the beginning of {function}. Go on with next, step, break, continue.")
        print('ikos: continue stops where the case fails; "ikos" lists the commands for memory.')
        print("ikos: the watchdog is off: if the case hangs, press Ctrl-C to see where.")
    else:
        print(f"ikos: stopped before the case began, in {_function()}().")
    _leave_reporting_functions()
    gdb.execute("frame")


def begin_failure() -> None:
    """Run to where the case fails, without a stop before."""
    _own_machine()
    _breakpoints()
    print("ikos: every stop changes how several CPUs go on. So none is made before this one:")
    with _Limit() as limit, quietly():
        gdb.execute("continue", to_string=True)
    print(f"ikos: {_what_stopped(limit)}. ikos-threads shows who was where.")
    _leave_reporting_functions()
    gdb.execute("frame")


def begin_recording(function: str) -> None:
    """Run a recording to where the case fails, leaving snapshots on the way."""
    _own_machine()
    _breakpoints(function)
    print("ikos: going to where the case fails ...", flush=True)
    told = time.monotonic()
    with _Limit() as limit:
        while _run_some(function) and not limit.over:
            if time.monotonic() > told + _TELL_EVERY_S:
                told = time.monotonic()
                print(f"ikos: at {position() // 1_000_000} million instructions ...", flush=True)
    stopped = _what_stopped(limit)
    if _function() == "panic_frame":
        _go_back_to_trap()
    print(f"ikos: {stopped}, at instruction {position()} of the recording")
    print(f"""\
  who wrote it?   ikos-check and ikos-buddy find what is damaged,
                  ikos-who-wrote EXPR finds the instruction that wrote it last
  back            reverse-next, reverse-finish, reverse-stepi;
                  watch -l EXPR or break PLACE, then reverse-continue
  forward         next, stepi, continue; the case begins in {function}""")
    _leave_reporting_functions()
    gdb.execute("frame")


def _go_back_to_trap() -> None:
    """From a panic about interrupted code to the instruction that was interrupted.

    Not with a breakpoint there: in a loop it would be passed millions of times.
    """
    place = int(evaluate("frame->rip")) & (1 << 64) - 1
    try:
        gdb.block_for_pc(place)
    except RuntimeError:
        return  # a jump to nowhere: no instruction was executed there
    with breakpoints_off(), quietly():
        point = gdb.Breakpoint("trap_entry", internal=True)
        gdb.execute("reverse-continue", to_string=True)
        point.delete()
        while _function() in _ENTRY:
            gdb.execute("reverse-stepi", to_string=True)
        # The trap counts as no instruction, so QEMU may have gone back one too far.
        if gdb.newest_frame().pc() != place:
            gdb.execute("stepi", to_string=True)


def _run_some(function: str) -> bool:
    """Run to the next snapshot. Returns false when something else came first."""
    here = position() or 0
    target = here + max(_SPACING, here // _SNAPSHOTS)
    with quietly():
        gdb.execute(f"monitor replay_break {target}", to_string=True)
        gdb.execute("continue", to_string=True)
        gdb.execute("monitor replay_delete_break", to_string=True)
    here = position()
    if here != target and _function() != function:
        return False
    gdb.execute(f"monitor savevm at-{here}", to_string=True)
    return True
