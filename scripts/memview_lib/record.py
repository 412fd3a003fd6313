# SPDX-License-Identifier: MIT
"""A run of the kernel with tracing on, and what it leaves in memory."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

from grading import initrd, lab
from grading.guest import Guest
from grading.machine import STATUS_PASS, Limits, Machine, Run, boot
from grading.symbols import Image
from grading.verdict import command_line

from . import ring

_RING_SIZE = "16M"  # half a million events: every case of labs 1 to 3 fits
_LIMITS = Limits(charged_s=120, wall_s=600)


@dataclass
class Recording:
    trace: ring.Trace
    guest: Guest
    ending: str | None  # how the run ended, if it did not end well


def machine_for_case(tree: Path, kernel: Path, lab_name: str, case_name: str, seed: int) -> Machine:
    """The machine on which the grader runs a case, with its command line."""
    the_lab = lab.find(tree, lab_name)
    [case] = the_lab.select([case_name])
    words = command_line(the_lab, case, seed)
    machine = machine_for(kernel, words, case.cpus, case.memory_mib)
    return replace(machine, initrd=initrd.needed([case], tree, build=True))


def machine_for(
    kernel: Path, words: str, cpus: int = 1, memory_mib: int = 256, initrd: Path | None = None
) -> Machine:
    # The words last: they may ask for a ring of another size, or for fewer events.
    append = f"trace=all trace_size={_RING_SIZE} {words}"
    return Machine(kernel=kernel, append=append, cpus=cpus, memory_mib=memory_mib, initrd=initrd)


def record(machine: Machine, image: Image) -> Recording:
    """Boot, wait for the end, and take the ring out of the memory that the guest leaves."""
    run = boot(machine, _LIMITS, threading.Event())
    guest = Guest(run.ram, image)
    return Recording(ring.from_guest(guest), guest, _ending(run))


def _ending(run: Run) -> str | None:
    if run.status == STATUS_PASS:
        return None
    last = [line for line in run.serial.splitlines() if line.strip()][-1:]
    return f"the machine {run.ended.value}, status {run.status}: {' '.join(last)}".rstrip(": ")
