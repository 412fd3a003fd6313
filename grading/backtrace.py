# SPDX-License-Identifier: MIT
"""A panic as the kernel prints it: the message, and addresses turned into source lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import GradingError
from .symbols import Image

_PANIC = re.compile(r"panic: (?P<message>.*)")
_BACKTRACE = re.compile(r"backtrace:(?P<addresses>(?: 0x[0-9a-f]+)+)\s*")
_HANG = re.compile(r"hang: .*")
_TODO = re.compile(r"lab \d+: TODO: (?P<what>.*)")

# Printed when the panic comes from a trap: the first address is then the instruction that
# trapped. Otherwise it is a return address like all the others.
_FROM_TRAP = "registers: rax="
# What calls a case, below which a backtrace is always the same.
_RUNNER = re.compile(r"(\./)?kernel/test/")
_MAX_FRAMES = 8


@dataclass(frozen=True)
class Panic:
    message: str
    addresses: tuple[int, ...]
    from_trap: bool = False

    @property
    def is_hang(self) -> bool:
        """The watchdog's panic, at the end of the virtual time allowed."""
        return bool(_HANG.fullmatch(self.message))

    @property
    def todo(self) -> str | None:
        """What the student has not written yet, if that is what the panic says."""
        match = _TODO.fullmatch(self.message)
        return match["what"] if match else None


def find_panic(lines: Sequence[str]) -> Panic | None:
    """The first panic in a serial log, with the addresses that follow it."""
    for number, line in enumerate(lines):
        if match := _PANIC.fullmatch(line):
            addresses: list[int] = []
            from_trap = False
            for later in lines[number + 1 :]:
                if _PANIC.fullmatch(later):
                    break
                from_trap = from_trap or later.startswith(_FROM_TRAP)
                if backtrace := _BACKTRACE.fullmatch(later):
                    addresses += [int(word, 16) for word in backtrace["addresses"].split()]
            return Panic(match["message"], tuple(addresses), from_trap)
    return None


def is_backtrace(line: str) -> bool:
    return bool(_BACKTRACE.fullmatch(line))


def describe(address: int, image: Image) -> str | None:
    """An instruction's place, "FUNCTION (FILE:LINE)"; None if it is in no function."""
    function = image.function_at(address)
    if function is None:
        return None
    place = _line_at(image, address)
    return f"{function} ({place})" if place else function


def explain(panic: Panic, image: Image) -> list[str]:
    """Lines "in FUNCTION (FILE:LINE)", "called from ...", innermost first."""
    lines: list[str] = []
    repeated = 0  # of the last line: recursion
    for number, address in enumerate(panic.addresses):
        # The call is the instruction before the one it returns to, perhaps of another function.
        at = address if number == 0 and panic.from_trap else address - 1
        function = image.function_at(at)
        if function is None:
            continue
        place = _line_at(image, at)
        if place and _RUNNER.match(place) and lines:
            break
        if function == "lab_todo":
            continue
        verb = "called from" if lines else "in"
        line = f"{verb} {function} ({place})" if place else f"{verb} {function}"
        if lines and lines[-1] == line:
            repeated += 1
            continue
        if repeated:
            lines[-1] += f", {repeated + 1} times"
            repeated = 0
        if len(lines) == _MAX_FRAMES:
            break
        lines.append(line)
    if repeated:
        lines[-1] += f", {repeated + 1} times"
    return lines


def _line_at(image: Image, address: int) -> str | None:
    try:
        return image.debug.line_at(address)
    except GradingError:  # no debugging information: the function's name must do
        return None
