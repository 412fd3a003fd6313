# SPDX-License-Identifier: MIT
"""Record a run of the machine, and run the recording, forwards and backwards.

QEMU writes what comes from outside (clock, interrupts' times, random numbers) to a file, and
the state at the start as a snapshot into a disk image that no device has. A replay that starts
from the snapshot with the same inputs does the same instructions.

Three things are not obvious. The APIC's optimisation for old Windows (vapic) makes QEMU wait
for itself for ever when it goes back, so it is switched off. Only a machine with one CPU can
be recorded. And the recorder must be ended with TERM, or the file is not closed properly.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from grading.machine import STATUS_FAIL, STATUS_PANIC, STATUS_PASS, Machine

from . import reset
from .emulator import Emulator, waiting_at
from .errors import DebuggingError

ENDINGS = {STATUS_PASS: "a pass", STATUS_FAIL: "a failure", STATUS_PANIC: "a panic"}


def _options(folder: Path) -> list[str]:
    return [
        "-global", "apic-common.vapic=off",
        "-drive", f"file={folder}/snapshots,format=qcow2,if=none,id=snapshots",
    ]  # fmt: skip


def _icount(folder: Path, what: str) -> str:
    return f"rr={what},rrfile={folder}/recording,rrsnapshot=start"


def record(machine: Machine, folder: Path, serial: int, limit_s: float) -> str:
    """Run the machine to its end. Returns in words what that was."""
    image = ["qemu-img", "create", "-q", "-f", "qcow2", str(folder / "snapshots"), "1G"]
    try:
        subprocess.run(image, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DebuggingError(f"cannot make a disk image: {error}; run scripts/setup") from error
    with Emulator(machine, serial, _options(folder), _icount(folder, "record")) as emulator:
        status = emulator.wait(limit_s)
        if status is None:
            raise DebuggingError(f"the run did not end in {limit_s:g} s")
        if status in ENDINGS:
            return ENDINGS[status]
        if status == 0:
            raise DebuggingError(
                f"{reset.explain(machine, limit_s)}. That is no moment to go back from:"
                " leave out REVERSE=1, and set a breakpoint before it"
            )
        raise DebuggingError(f"the run could not be recorded: {emulator.complaint()}")


@contextlib.contextmanager
def replayed(machine: Machine, folder: Path) -> Iterator[Path]:
    """The recorded machine at its start, stopped. Yields the socket on which it waits for GDB.

    What it prints is dropped: going back a step may print all of it again.
    """
    socket = folder / "gdb"
    options = [*_options(folder), *waiting_at(socket)]
    with open(os.devnull, "wb") as nowhere:
        icount = _icount(folder, "replay")
        with Emulator(machine, nowhere.fileno(), options, icount) as emulator:
            emulator.wait_for(socket)
            yield socket
