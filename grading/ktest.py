# SPDX-License-Identifier: MIT
"""The command "ktest": run the kernel's own test suites, for "make test".

The kernel is asked for the list of its cases. Each suite is one boot, and each case that
announces a panic a boot of its own, on every number of CPUs asked for. What counts is what
the list says must run: a case that a boot did not come to has failed.
"""

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import addresses, backtrace, ktap
from .cli import interrupt, positive, seed_number
from .errors import GradingError
from .machine import DEFAULT_QEMU, STATUS_PASS, Disk, Ended, Limits, Machine, Run, boot
from .scratch import scratch_disks
from .symbols import Image
from .verdict import printable

_LISTED = re.compile(r"# case: (?P<name>\S+) panic=(?P<panic>[01]) cpus=(?P<cpus>\d+) (?P<rest>.*)")
_LIMITS = Limits(charged_s=120, wall_s=600)
_TAIL_LINES = 8


@dataclass(frozen=True)
class Listed:
    """A case that the kernel has."""

    name: str  # SUITE.CASE or SUITE.CASE/PARAM
    panics: bool
    cpus: int  # needed
    disks: bool = False  # needed: the scratch disks

    @property
    def suite(self) -> str:
        return self.name.partition(".")[0]

    def is_named_by(self, selection: str) -> bool:
        return selection == "all" or bool(re.match(re.escape(selection) + r"($|[./])", self.name))


@dataclass(frozen=True)
class Batch:
    """One boot: what it is told to run, and the cases that must come of it."""

    selection: str
    cpus: int
    cases: tuple[Listed, ...]

    @property
    def disks(self) -> bool:
        return any(case.disks for case in self.cases)


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return Runner(args).run()
    except GradingError as error:
        print(f"ktest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ktest: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ktest",
        description="Run test suites of the kernel, each in a boot of its own.",
        epilog="Exit status: 0 all passed, 1 some failed, 2 they could not be run.",
    )
    tree = Path(__file__).resolve().parent.parent
    add = parser.add_argument
    add("select", nargs="*", default=["all"], metavar="SUITE[.CASE]", help="default: all")
    add("--kernel", type=Path, default=tree / "build/gcc-debug/kernel.elf", metavar="ELF")
    add("--smp", type=_cpu_counts, default=(1, 4), metavar="N[,...]", help="default: 1,4")
    add("--cpu", default="max", metavar="MODEL", help="processor model (default: max)")
    add("--memory", type=positive, default=128, metavar="MIB", help="default: 128")
    add("--seed", type=seed_number, default=1, metavar="N", help="default: 1")
    add("--append", default="", metavar="WORDS", help="more of the kernel's command line")
    add("-j", "--jobs", type=positive, default=os.cpu_count() or 1, metavar="N")
    add(
        "--no-icount",
        action="store_true",
        help="on the host's clock: real parallelism, not repeatable",
    )
    add("--no-panics", action="store_true", help="leave out cases that end the kernel")
    add("--qemu", default=DEFAULT_QEMU, metavar="PATH", help=f"default: {DEFAULT_QEMU}")
    return parser


def _cpu_counts(text: str) -> tuple[int, ...]:
    return tuple(positive(word) for word in text.split(","))


class Runner:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.image = Image(args.kernel)
        self.stop = threading.Event()

    def run(self) -> int:
        batches = self._plan(self._list())
        tally = Tally()
        for batch, run in self._boot_all(batches):
            for line in self._judge(batch, run, tally):
                print(printable(addresses.explain(line, self.image)), flush=True)
        print(tally)
        return 0 if tally.failed == 0 else 1

    def _list(self) -> list[Listed]:
        """The cases of the kernel that the command line selects."""
        run = self._boot("list", 1)
        matches = [_LISTED.fullmatch(line.strip()) for line in run.serial.splitlines()]
        listed = [
            Listed(m["name"], m["panic"] == "1", int(m["cpus"]), "disks" in m["rest"].split())
            for m in matches
            if m
        ]
        if not listed:
            tail = run.serial.splitlines()[-1:] or [run.error or "nothing was printed"]
            what = f"({run.ended.value}): {printable(tail[0])}"
            raise GradingError(f"{self.args.kernel} did not list its tests {what}")
        for selection in self.args.select:
            if not any(case.is_named_by(selection) for case in listed):
                suites = ", ".join(dict.fromkeys(case.suite for case in listed))
                raise GradingError(f'no test matches "{selection}"; the suites are: {suites}')
        chosen = [c for c in listed if any(c.is_named_by(s) for s in self.args.select)]
        left = [c for c in chosen if not (c.panics and self.args.no_panics)]
        if not left:
            raise GradingError("all that is selected ends the kernel: leave out --no-panics")
        return left

    def _plan(self, listed: list[Listed]) -> list[Batch]:
        batches = []
        for cpus in self.args.smp:
            for suite in dict.fromkeys(case.suite for case in listed):
                cases = tuple(c for c in listed if c.suite == suite and not c.panics)
                if cases:
                    # Named one by one if the selection is less than the suite.
                    whole = suite in self.args.select or "all" in self.args.select
                    names = suite if whole else ",".join(case.name for case in cases)
                    batches.append(Batch(names, cpus, cases))
            batches += [Batch(case.name, cpus, (case,)) for case in listed if case.panics]
        return batches

    def _boot(self, selection: str, cpus: int, disks: tuple[Disk, ...] = ()) -> Run:
        # Without icount time is the host's, which may be busy.
        patience = " ktest.patience=10" if self.args.no_icount else ""
        machine = Machine(
            kernel=self.args.kernel,
            append=f"ktest={selection} seed={self.args.seed}{patience} {self.args.append}".rstrip(),
            qemu=self.args.qemu,
            cpus=cpus,
            memory_mib=self.args.memory,
            cpu=self.args.cpu,
            icount=not self.args.no_icount,
            disks=disks,
        )
        run = boot(machine, _LIMITS, self.stop)
        run.ram.close()
        return run

    def _boot_batch(self, batch: Batch) -> Run:
        if not batch.disks:
            return self._boot(batch.selection, batch.cpus)
        with scratch_disks() as disks:
            return self._boot(batch.selection, batch.cpus, disks)

    def _boot_all(self, batches: list[Batch]) -> Iterator[tuple[Batch, Run]]:
        with ThreadPoolExecutor(self.args.jobs) as pool:
            try:
                runs = pool.map(self._boot_batch, batches)
                yield from zip(batches, runs)
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _judge(self, batch: Batch, run: Run, tally: Tally) -> Iterator[str]:
        """Count the cases of a batch; yield a line for the batch and what explains failures."""
        serial = run.serial.splitlines()
        results = ktap.parse(serial)
        by_name = {f"{batch.cases[0].suite}.{r.name}": r for r in results.cases()}
        before = Tally(tally.passed, tally.failed, tally.skipped)
        lines: list[str] = []
        for case in batch.cases:
            lines += self._count(case, by_name.get(case.name), batch.cpus, tally)
        ended_well = run.ended is Ended.EXIT and run.status == STATUS_PASS
        if not ended_well and tally.failed == before.failed:
            tally.failed += 1
        if not ended_well:
            lines += self._ending(run, serial, results)
        failed = tally.failed - before.failed
        where = f"{batch.cpus} CPU{'s' if batch.cpus > 1 else ''}"
        counts = f"{tally.passed - before.passed} passed"
        if failed:
            counts += f", {failed} failed"
        if tally.skipped > before.skipped:
            counts += f", {tally.skipped - before.skipped} skipped"
        yield f"{'FAIL' if failed else 'ok  '} {_short(batch):<32} {where:<7} {counts}"
        yield from ("    " + line for line in lines)

    @staticmethod
    def _count(
        case: Listed, result: ktap.Result | None, cpus: int, tally: Tally
    ) -> list[str]:
        if result is None:
            tally.failed += 1
            return [f"{case.name}: was not reached, or did not end"]
        if result.skip is not None and case.disks:
            tally.failed += 1
            return [f"{case.name}: skipped, but it had its disks: {result.skip}"]
        if result.skip is not None:
            tally.skipped += 1
            # Too few CPUs is planned, anything else is worth saying.
            return [] if case.cpus > cpus else [f"{case.name}: skipped: {result.skip}"]
        if result.ok:
            tally.passed += 1
            return []
        tally.failed += 1
        return [f"{case.name}:", *("  " + note for note in result.diagnostics)]

    def _ending(self, run: Run, serial: list[str], results: ktap.Ktap) -> list[str]:
        """What to say of a boot that did not end with "all passed"."""
        panic = backtrace.find_panic(serial)
        if panic:
            where = backtrace.explain(panic, self.image)
            return [*results.pending, f"panic: {panic.message}", *("  " + at for at in where)]
        if run.ended is Ended.EXIT and results.cases():
            return []
        tail = [line for line in serial if line.strip()][-_TAIL_LINES:]
        return [f"the machine {run.ended.value} (status {run.status}) {run.error}".rstrip(), *tail]


def _short(batch: Batch) -> str:
    first = batch.selection.partition(",")[0]
    return first if first == batch.selection else f"{first},..."
