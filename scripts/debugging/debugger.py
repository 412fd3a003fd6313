# SPDX-License-Identifier: MIT
"""GDB, with the commands of scripts/gdb, on this terminal."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from .errors import DebuggingError

_COMMANDS = Path(__file__).resolve().parent.parent / "gdb/ikos.py"
_PROGRAMS = ("gdb", "x86_64-elf-gdb", "gdb-multiarch")


def run(kernel: Path, target: str | Path, begin: str = "") -> int:
    """Attach to a target and run until GDB is left. Returns its exit status.

    begin is Python for GDB, run before the first prompt. On a terminal GDB is the only process
    that keys reach. Otherwise Ctrl-C, which is meant for the guest, would also end the make
    that this was started by.
    """
    words = [_program(), "-q", "-x", str(_COMMANDS), str(kernel), "-ex", f"target remote {target}"]
    if begin:
        words += ["-ex", f"python {begin}"]
    if not sys.stdin.isatty():
        return subprocess.call(words)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we give the terminal away, and take it back
    process = subprocess.Popen(words, preexec_fn=_take_terminal)
    try:
        return _wait(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with contextlib.suppress(OSError):  # it may be gone
            _give_terminal(os.getpgrp())


def _program() -> str:
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    raise DebuggingError("there is no gdb: run scripts/setup")


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        # Ctrl-Z: stop as well, so that the shell takes over, until "fg".
        _give_terminal(os.getpgrp())
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        _give_terminal(process.pid)
        os.killpg(process.pid, signal.SIGCONT)


def _take_terminal() -> None:
    """In the child: a process group of its own, which has the terminal."""
    os.setpgid(0, 0)
    _give_terminal(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _give_terminal(group: int) -> None:
    os.tcsetpgrp(sys.stdin.fileno(), group)
