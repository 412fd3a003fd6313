# SPDX-License-Identifier: MIT
"""What GDB needs to know to debug IKOS.

    gdb -x scripts/gdb/ikos.py build/gcc-debug/kernel.elf

Loads the commands and printers of this directory, and finds the sources from wherever GDB was
started. "ikos" lists the commands, "help ikos-buddy" explains one.
"""

import sys
from pathlib import Path

import gdb

_HERE = Path(__file__).resolve().parent
_COMMANDS = (
    "ikos-buddy", "ikos-zones", "ikos-check", "ikos-page", "ikos-memmap", "ikos-threads",
    "ikos-slabs", "ikos-object", "ikos-processes", "ikos-regions", "ikos-pagewalk", "ikos-fault",
    "ikos-program", "ikos-who-wrote",
)  # fmt: skip


class Ikos(gdb.Command):
    """List the commands that know IKOS."""

    def __init__(self) -> None:
        super().__init__("ikos", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        for name in _COMMANDS:
            text = gdb.execute(f"help {name}", to_string=True).splitlines()
            usage = next(line.strip() for line in text if line.strip().startswith(name))
            print(f"{usage:<32} {text[0]}")
        print('"help NAME" explains one. print knows page, buddy, zone, thread, list_head, ...')


def _settings() -> None:
    gdb.execute(f"directory {_HERE.parent.parent}", to_string=True)
    gdb.execute("set pagination off")  # it would stop a session's beginning, too
    gdb.execute("set print pretty on")
    gdb.execute("set max-value-size unlimited")  # a struct node has the lists of all CPUs
    gdb.execute("set breakpoint pending off")  # nothing is loaded later
    gdb.execute("set remotetimeout 60")  # seconds: the emulator may have to wait for the host
    try:
        gdb.execute("set debuginfod enabled off")  # nobody serves a student's own kernel
    except gdb.error:  # a GDB without debuginfod
        pass


sys.path.insert(0, str(_HERE))
sys.dont_write_bytecode = True

import buddy  # noqa: E402, F401
import check  # noqa: E402, F401
import faults  # noqa: E402, F401
import history  # noqa: E402, F401
import page  # noqa: E402, F401
import pagewalk  # noqa: E402, F401
import printers  # noqa: E402, F401
import processes  # noqa: E402, F401
import programs  # noqa: E402, F401
import regions  # noqa: E402, F401
import session  # noqa: E402, F401
import slab  # noqa: E402, F401
import threads  # noqa: E402, F401
import unwind  # noqa: E402, F401
import zones  # noqa: E402, F401

_settings()
Ikos()
