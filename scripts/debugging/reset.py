# SPDX-License-Identifier: MIT
"""Why a machine reset itself.

A processor that cannot deliver an exception raises a double fault, and one that cannot deliver
that gives up: a triple fault. QEMU's log of exceptions has all three; the first is the cause.
"""

import os
import re

from grading.errors import GradingError
from grading.machine import Machine
from grading.symbols import Image

from .emulator import Emulator

_EXCEPTION = re.compile(r"^ *\d+: v=([0-9a-f]{2}) .* pc=([0-9a-f]{16}) ", re.MULTILINE)
_CHAIN = 3


def explain(machine: Machine, limit_s: float) -> str:
    """Run the machine once more and say what made it reset, and where."""
    with open(os.devnull, "wb") as nowhere:
        with Emulator(machine, nowhere.fileno(), ["-d", "int,cpu_reset"]) as emulator:
            emulator.wait(limit_s)
            log = emulator.log()
    before, fault, _ = log.rpartition("Triple fault")
    exceptions = _EXCEPTION.findall(before)[-_CHAIN:]
    if not fault or not exceptions:
        return "the machine reset or switched itself off"
    vector, pc = (int(text, 16) for text in exceptions[0])
    place = _place(Image(machine.kernel), pc)
    return f"the machine reset itself: exception {vector} {place} could not be delivered"


def _place(image: Image, pc: int) -> str:
    function = image.function_at(pc)
    if function is None:
        return f"at {pc:#x}"
    try:
        line = image.debug.line_at(pc)
    except (GradingError, ImportError):  # then the function must do
        line = None
    return f"in {function} ({line})" if line else f"in {function}"
