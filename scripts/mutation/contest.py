# SPDX-License-Identifier: MIT
"""Right solutions that are not like ours, which must get full marks, and cheats, which none."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from grading.errors import GradingError
from grading.result import Status

from . import hostile
from .hostile import Cheat
from .shop import DoesNotBuild, Shop

# A submission of any kind is through by then, also beside other work.
_END_S = 600
_SEEDS = (1, 2, 3)
_SHOWN = 10  # complaints about one solution
_WIDTH = 110

Thing = TypeVar("Thing")


# -- alternatives ------------------------------------------------------------------------


def alternatives(shop: Shop, only: Sequence[str], jobs: int) -> int:
    """Print the marks of each, with several seeds. Returns the exit status."""
    known = sorted((shop.directory / "alternatives").glob("*/"))
    selected = [path for path in known if not only or path.name.startswith(tuple(only))]
    if not selected:
        raise GradingError(f"no alternative's name begins with {' or '.join(only)}")
    wrong = 0
    for directory, scores, complaints in _each(
        selected, lambda directory: _mark(shop, directory), jobs
    ):
        print(f"{directory.name:<24}" + "".join(f"{score:>5}" for score in scores), flush=True)
        for line in complaints[:_SHOWN]:
            print(f"    {line}")
        wrong += bool(complaints)
    seeds = ", ".join(map(str, _SEEDS))
    print(f"{len(selected)} alternatives, seeds {seeds}: {wrong} fall short")
    return 1 if wrong else 0


def _mark(shop: Shop, directory: Path) -> tuple[Path, list[int], list[str]]:
    """The score with each seed, and what the cases that failed say."""
    # What it does not have of its own is the reference's.
    texts = {
        name: (directory / name).read_text() if (directory / name).exists() else text
        for name, text in shop.reference.items()
    }
    scores, complaints = [], []
    for seed in _SEEDS:
        try:
            marks = shop.mark(texts, shop.lab.cases, [seed])
        except DoesNotBuild as error:
            return directory, [0], [f"does not build: {error}"]
        scores.append(marks.score(shop.lab.cases))
        for name, status in marks.statuses.items():
            if status is not Status.PASS:
                first = marks.outputs[name].partition("\n")[0]
                complaints.append(f"{name}, seed {seed}: {status.value}: {first}")
    return directory, scores, complaints


# -- cheats ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    tests: list[dict[str, Any]]
    score: int
    exit_status: int | None  # None: it did not end
    seconds: float
    traces: list[str]


def cheats(shop: Shop, scratch: Path, only: Sequence[str], jobs: int) -> int:
    """Hand each in, and print what it came to. Returns the exit status."""
    directory = shop.directory / "cheats"
    known = hostile.load(directory)
    selected = [c for c in known if not only or c.name.startswith(tuple(only))]
    if not selected:
        raise GradingError(f"no cheat's name begins with {' or '.join(only)}")
    failed = 0
    for cheat, outcome in _each(selected, lambda cheat: _hand_in(shop, cheat, scratch), jobs):
        complaint = _complaint(cheat, outcome)
        statuses = "/".join(dict.fromkeys(test["status"] for test in outcome.tests)) or "none"
        print(f"{cheat.name:<38}{statuses:<12}{outcome.score:>3}{outcome.seconds:>7.1f} s")
        first = outcome.tests[0]["output"].partition("\n")[0] if outcome.tests else ""
        print(f"    {first[:_WIDTH]}", flush=True)
        if complaint:
            print(f"    WRONG: {complaint[:_WIDTH]}")
        failed += bool(complaint)
    print(f"{len(selected)} cheats: {failed} did not come to what they should")
    return 1 if failed else 0


def _hand_in(shop: Shop, cheat: Cheat, scratch: Path) -> tuple[Cheat, Outcome]:
    with tempfile.TemporaryDirectory(prefix="cheat-", dir=scratch) as name:
        out = Path(name) / "submission"
        target = shop.editable[0]
        given = {name: text for name, text in shop.reference.items() if name != target}
        hostile.make(cheat, shop.directory / "cheats", target, given, out)
        report = Path(name) / "marks.json"
        command = [
            sys.executable, shop.tree / "grading/grade", "--tree", shop.tree,
            "--lab", shop.lab.name, "--submission", out, "--scratch", scratch,
            "--case", ",".join(cheat.cases), "--json", report, "--jobs", "1",
        ]  # fmt: skip
        start = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, timeout=_END_S, check=False)
            status: int | None = done.returncode
        except subprocess.TimeoutExpired:
            status = None
        seconds = time.monotonic() - start
        content = json.loads(report.read_text()) if report.exists() else {"tests": [], "score": 0}
        traces = hostile.traces(out)
        shutil.rmtree(out)
    return cheat, Outcome(content["tests"], content["score"], status, seconds, traces)


def _complaint(cheat: Cheat, outcome: Outcome) -> str:
    """What is wrong with the grader, if anything."""
    if outcome.exit_status is None:
        return f"did not end in {_END_S} s"
    if outcome.traces:
        return f"left {', '.join(outcome.traces)}"
    if outcome.score != 0 or outcome.exit_status != 1:
        return f"the score is {outcome.score}, the exit status {outcome.exit_status}: not 0 and 1"
    for test in outcome.tests:
        if test["status"] not in cheat.status:
            return f"{test['name']} is {test['status']}: {test['output']}"
    if cheat.message not in outcome.tests[0]["output"]:
        return f"the message should hold: {cheat.message}"
    return ""


def _each(
    things: Sequence[Thing], work: Callable[[Thing], Any], jobs: int
) -> Iterator[Any]:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(work, things)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
