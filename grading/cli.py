# SPDX-License-Identifier: MIT
"""The command "grade"."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from . import initrd, lab, oracle, report
from .errors import GradingError
from .machine import DEFAULT_QEMU
from .result import Result, Status, total
from .sandbox import Confined, Unconfined
from .submission import Built, Counter, Refused
from .symbols import Image
from .verdict import Grader, make_result, printable
from .workshop import Workshop

_EXIT_UNGRADED = 2
_EXIT_INTERRUPTED = 130
MAX_SEED = (1 << 64) - 1
_BUILD_LINES = 12


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return _grade(args)
    except GradingError as error:
        print(f"grade: {error}", file=sys.stderr)
        return _EXIT_UNGRADED
    except KeyboardInterrupt:
        print("grade: interrupted", file=sys.stderr)
        return _EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader has gone: nobody to tell, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_UNGRADED


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A handler for SIGTERM: end as after Ctrl-C, so that no emulator is left behind."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    tree = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        prog="grade",
        description="Grade a lab: boot the kernel once for each case and check what it did.",
        epilog="Exit status: 0 full marks, 1 less, 2 something could not be graded.",
    )
    add = parser.add_argument
    add("--lab", default="", help="a lab's name or number (default: the last one there is)")
    add("--tree", type=Path, default=tree, metavar="DIR", help="the tree (default: this one)")
    add("--kernel", type=Path, metavar="ELF", help="default: DIR/build/gcc-debug/kernel.elf")
    add("--build", action="store_true", help='run "make kernel" in the tree first')
    add("--ref", default="", metavar="LABS", help="earlier labs that are the reference's objects")
    add("--submission", type=Path, metavar="DIR", help="grade a student's tree, trusting nothing")
    add("--scratch", type=Path, metavar="DIR", help="to build in; default: build/submissions")
    add("--no-sandbox", action="store_true", help="build a submission that you trust without one")
    add("--case", default="", metavar="NAME[,...]", help="only these cases")
    add("--seed", type=seed_number, metavar="N", help="for every case, instead of fresh ones")
    add("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="boots at one time")
    add("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    add("--list", action="store_true", help="list the cases and their points, run nothing")
    add("--initrd", type=Path, metavar="FILE", help="default: DIR/build/initrd.cpio")
    add("--qemu", default=DEFAULT_QEMU, metavar="PATH", help=f"default: {DEFAULT_QEMU}")
    return parser


def seed_number(text: str) -> int:
    """For argparse: a seed in any notation of Python."""
    value = int(text, 0)
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError("a seed is a number from 0 to 2^64 - 1")
    return value


def positive(text: str) -> int:
    """For argparse: a number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return value


def _grade(args: argparse.Namespace) -> int:
    the_lab = lab.find(args.tree, args.lab)
    cases = the_lab.select([name for name in args.case.split(",") if name])
    if args.list:
        for case in cases:
            print(f"{case.name:<24} {case.points:>3}")
        return 0
    seeded = [(case, fresh_seed() if args.seed is None else args.seed) for case in cases]

    if args.ref and args.submission:
        raise GradingError("--ref is not for submissions: their other labs are the reference's")
    above = f" (on the reference's lab {args.ref})" if args.ref else ""
    print(f"{the_lab.title}{above}", flush=True)
    results = []
    try:
        with _kernel(args, the_lab) as built:
            for line in built.warnings:  # shown, but they cost nothing
                print(printable(line), flush=True)
            oracles = oracle.load(the_lab.oracle)
            grader = Grader(
                the_lab, built.image, oracles, args.qemu, ref=args.ref,
                initrd=initrd.needed(
                    cases, args.tree, args.initrd, build=bool(args.submission or args.build)
                ),
            )  # fmt: skip
            for result in _run(grader, seeded, args.jobs):
                results.append(result)
                print(report.text(result), flush=True)
    except Refused as refused:
        for case, seed in seeded:
            lines = refused.lines
            results.append(make_result(the_lab, case, refused.status, lines, seed, ref=args.ref))
            print(report.text(results[-1]) if case is cases[0] else _brief(results[-1]))
    score = total(results)
    _write(args.json, report.to_json(the_lab, results, score))
    _write(args.junit, report.to_junit(the_lab, results))
    unwritten = any(result.status is Status.TODO for result in results)
    tree = args.submission or args.tree
    print(report.summary(results, score, the_lab.next_exercise(tree) if unwritten else None))
    return score.exit_status


@contextmanager
def _kernel(args: argparse.Namespace, the_lab: lab.Lab) -> Iterator[Built]:
    """The kernel to grade. Raises Refused if there can be none for what is in it."""
    if args.submission:
        runner = Unconfined() if args.no_sandbox else Confined()
        scratch = args.scratch or args.tree / "build" / "submissions"
        counter = Counter(the_lab, Workshop(args.tree, the_lab, scratch, runner))
        with counter.accept(args.submission) as built:
            yield built
        return
    warnings = _build(args.tree) if args.build else []
    yield Built(Image(args.kernel or args.tree / "build/gcc-debug/kernel.elf"), warnings)


def _brief(result: Result) -> str:
    """Without the explanation, where that is the same for every case."""
    return report.text(result).partition("\n")[0]


def _run(
    grader: Grader, seeded: Sequence[tuple[lab.Case, int]], jobs: int
) -> Iterator[Result]:
    """Results in the lab's order, each as soon as it and those before it are there."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(lambda pair: grader.grade(*pair), seeded)
        except BaseException:
            grader.stop.set()  # ends what still runs
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def fresh_seed() -> int:
    """63 bits, so that it is a positive number everywhere."""
    return int.from_bytes(os.urandom(8), "little") >> 1


def _build(tree: Path) -> list[str]:
    """Build the kernel. Returns the first warnings."""
    try:
        done = subprocess.run(
            ["make", "-C", str(tree), "kernel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as error:
        raise GradingError(f"cannot run make: {error.strerror}") from error
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode == 0:
        return [line for line in lines if "warning:" in line][:_BUILD_LINES]
    telling = ("error", "undefined reference", "does not fit")
    wrong = [line for line in lines if any(word in line for word in telling)]
    raise Refused(
        Status.NOBUILD, [f"{tree} does not build:", *(wrong or lines)[:_BUILD_LINES]]
    )


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(text)
    except OSError as error:
        raise GradingError(f"cannot write {path}: {error.strerror}") from error
