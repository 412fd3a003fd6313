# SPDX-License-Identifier: MIT
"""One graded case: boot it, judge what it did, explain what is wrong.

A printed "ok" earns nothing by itself. A case passes when the runner says ok, the exit
status agrees, and the oracle accepts the transcript that the run left in memory.
"""

import re
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import addresses, backtrace, evidence, ktap, oracle
from .errors import GuestError
from .guest import Guest
from .lab import Case, Lab
from .machine import (
    DEFAULT_QEMU,
    STATUS_FAIL,
    STATUS_PANIC,
    STATUS_PASS,
    Ended,
    Limits,
    Machine,
    Run,
    boot,
)
from .result import Result, Status
from .symbols import Image

EVIDENCE_SIZE = "4M"
# A case that passes takes three boots' time; the watchdog ends one that hangs within a hundred.
LIMITS = Limits(boots=120)

# The kernel's first line; anything of it on the serial line means that the kernel ran.
_BANNER = re.compile(r"^IKOS\b", re.MULTILINE)
# KTAP that says nothing by itself.
_FRAME_OF_KTAP = re.compile(r"\s*(KTAP version 1|1\.\.\d+|# Subtest: .*)")
_TAIL_LINES = 4
_FIRST_NOTES = 4  # what follows on the first mistakes rarely helps
_MAX_OUTPUT_LINES = 16
_MAX_LINE = 400


@dataclass(frozen=True)
class Grader:
    """All that the cases of one grading run share."""

    lab: Lab
    image: Image
    oracles: dict[str, oracle.Case]
    qemu: str = DEFAULT_QEMU
    limits: Limits = LIMITS
    stop: threading.Event = field(default_factory=threading.Event)
    ref: str = ""  # earlier labs of which the kernel has the reference's objects, "1,2"
    initrd: Path | None = None  # for the cases that are booted with it

    def grade(self, case: Case, seed: int) -> Result:
        """Boot the case with that seed and judge it."""
        machine = Machine(
            kernel=self.image.path,
            append=command_line(self.lab, case, seed),
            qemu=self.qemu,
            cpus=case.cpus,
            memory_mib=case.memory_mib,
            initrd=self.initrd if case.initrd else None,
        )
        run = boot(machine, self.limits, self.stop)
        try:
            results = ktap.parse(run.serial.splitlines())
            status, lines = self._judge(case, run, results, seed)
        finally:
            run.ram.close()
        lines = [addresses.explain(line, self.image) for line in lines]
        measured = [r.virtual_ns for r in results.cases(case.name) if r.virtual_ns is not None]
        return make_result(
            self.lab, case, status, lines, seed,
            virtual_ms=round(sum(measured) / 1e6, 3) if measured else None, ref=self.ref,
        )  # fmt: skip

    def _judge(
        self, case: Case, run: Run, results: ktap.Ktap, seed: int
    ) -> tuple[Status, list[str]]:
        registered = self.oracles.get(case.name)
        if registered is None:
            return Status.UNGRADED, [f"{self.lab.oracle} has no oracle for the case {case.name}"]
        if run.ended in (Ended.BROKEN, Ended.TOO_SLOW, Ended.STOPPED):
            return Status.UNGRADED, [f"{run.ended.value}: {run.error}".rstrip(": ")]

        serial = run.serial.splitlines()
        lines = results.cases(case.name)
        passed = bool(lines) and all(line.ok and line.skip is None for line in lines)
        if run.ended is Ended.EXIT and run.status == STATUS_PASS and passed:
            return self._consult(registered, run, seed)
        panic = backtrace.find_panic(serial)
        if panic and (registered.panic is None or not lines):
            return self._panicked(panic, registered, results)
        started = results.started or bool(_BANNER.search(run.serial))
        if run.ended is not Ended.EXIT:
            return _cut_short(run, self.limits, started, results)
        if not started:
            return Status.NOBOOT, [f"the kernel did not boot: {_exit(run)}", *_tail(serial)]
        if not lines:
            why = [*results.pending, *_tail(serial)]
            return Status.FAIL, [f"the case was not reached or did not end: {_exit(run)}", *why]
        return Status.FAIL, _failures(lines) or [f"the case says ok, but {_exit(run)}"]

    def _panicked(
        self, panic: backtrace.Panic, registered: oracle.Case, results: ktap.Ktap
    ) -> tuple[Status, list[str]]:
        where = backtrace.explain(panic, self.image)
        if panic.todo is not None:
            return Status.TODO, [f"not written yet: {panic.todo}", *where]
        lines = [*results.pending, f"panic: {panic.message}", *where]
        if registered.panic is not None:
            lines.insert(0, f'expected the panic "{registered.panic}...", but another one came')
        return (Status.HANG if panic.is_hang else Status.PANIC), lines

    def _consult(
        self, registered: oracle.Case, run: Run, seed: int
    ) -> tuple[Status, list[str]]:
        guest = Guest(run.ram, self.image)
        try:
            guest.check_image()
            oracle.check(registered, guest, evidence.read(guest), seed)
        except oracle.Refused as refused:
            return Status.FAIL, [
                "the case says ok, but what the kernel did is not what a correct one does:",
                str(refused),
            ]
        except (oracle.Forged, GuestError) as error:
            return Status.CHEAT, [f'"ok" was printed, but the work was not done: {error}']
        except Exception:  # a fault of the oracle must not become the student's
            return Status.UNGRADED, ["the oracle failed:", *traceback.format_exc(-2).splitlines()]
        return Status.PASS, []


def command_line(lab: Lab, case: Case, seed: int) -> str:
    words = [f"ktest={lab.suite}.{case.name}", f"seed={seed}", f"evidence={EVIDENCE_SIZE}"]
    return " ".join([*words, case.options]).rstrip()


def make_result(
    lab: Lab,
    case: Case,
    status: Status,
    lines: Sequence[str],
    seed: int,
    virtual_ms: float | None = None,
    *,
    ref: str = "",
) -> Result:
    shown = [printable(line)[:_MAX_LINE] for line in lines]
    if len(shown) > _MAX_OUTPUT_LINES:
        shown[_MAX_OUTPUT_LINES:] = [f"({len(shown) - _MAX_OUTPUT_LINES} more lines)"]
    return Result(
        name=case.name,
        status=status,
        max_score=case.points,
        output="\n".join(shown),
        section=f"{lab.handout}#{case.section}",
        hint=case.hint,
        seed=seed,
        replay=f"make replay LAB={lab.name} CASE={case.name} SEED={seed}"
        + (f" REF={ref}" if ref else ""),
        virtual_ms=virtual_ms,
    )


def printable(text: str) -> str:
    """Text of a guest, with what could drive a terminal or break XML made visible."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def ungraded(lab: Lab, case: Case, seed: int, why: str) -> Result:
    return make_result(lab, case, Status.UNGRADED, [why], seed)


def _cut_short(
    run: Run, limits: Limits, started: bool, results: ktap.Ktap
) -> tuple[Status, list[str]]:
    """The verdict on a run that did not end through the exit device."""
    stage = "" if started else ", before the kernel's first line"
    tail = [*results.pending, *_tail(run.serial.splitlines())]
    if run.ended is Ended.STUCK:
        # At the most: the limit depends on the host, and what a report says must not.
        text = f"the machine did not end in {limits.charged_s:g} s, and its watchdog did not act"
        return Status.HANG, [text + stage, *tail]
    if run.ended is Ended.FLOOD:
        text = f"wrote more than {limits.serial_bytes >> 10} KiB to the serial line"
        return Status.FAIL, [text + stage, *tail]
    if run.ended is Ended.POWEROFF:
        text = "the machine was switched off before the case had ended"
        return (Status.FAIL if started else Status.NOBOOT), [text + stage, *tail]
    cause = "after a triple fault" if run.ended is Ended.TRIPLE_FAULT else "by its own doing"
    return Status.RESET, [f"the machine reset {cause}{stage}", *tail]


def _exit(run: Run) -> str:
    names = {STATUS_PASS: "a pass", STATUS_FAIL: "a failure", STATUS_PANIC: "a panic"}
    meaning = names.get(run.status, "nothing known")
    return f"the machine ended with status {run.status}, which says {meaning}"


def _failures(lines: Sequence[ktap.Result]) -> list[str]:
    """What the kernel's own checks say of a case that did not pass."""
    explained: list[str] = []
    for line in lines:
        if line.skip is not None:
            explained.append(f"{line.name} was skipped: {line.skip}")
        elif not line.ok:
            notes = [note for note in line.diagnostics if not note.startswith("replay:")]
            explained += notes[:_FIRST_NOTES] or [f"{line.name}: not ok, and no reason was printed"]
            if len(notes) > _FIRST_NOTES:
                explained.append(f"({len(notes) - _FIRST_NOTES} more)")
    return explained


def _tail(serial: Sequence[str]) -> list[str]:
    """The last lines of the serial log, for verdicts that need to show something."""
    telling = [line for line in serial if line.strip() and not _FRAME_OF_KTAP.fullmatch(line)]
    last = telling[-_TAIL_LINES:]
    return [f"last output: {line}" for line in last]
