# SPDX-License-Identifier: MIT
"""Kernels from changed sources of a lab's editable files, and what the cases say of them."""

import itertools
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grading import initrd, lab, oracle
from grading.debuginfo import DebugInfo
from grading.lab import Case, Lab
from grading.machine import Limits
from grading.result import Status
from grading.sandbox import Unconfined
from grading.verdict import Grader
from grading.workshop import BenchImage, Workshop, errors_of

# What is known to be wrong may hang in every case: it is ended sooner than a student's.
_LIMITS = Limits(charged_s=8)


class DoesNotBuild(Exception):
    """The text is the compiler's first complaint."""


@dataclass
class Marks:
    """What came of one solution, case by case: those that were run."""

    statuses: dict[str, Status] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def caught_by(self) -> list[str]:
        """The cases that say that something is wrong. One that could not be graded says nothing."""
        innocent = (Status.PASS, Status.UNGRADED)
        return [name for name, status in self.statuses.items() if status not in innocent]

    def score(self, cases: Sequence[Case]) -> int:
        return sum(case.points for case in cases if self.statuses.get(case.name) is Status.PASS)


class Shop:
    """Everything that the solutions of one run share."""

    def __init__(self, tree: Path, lab_name: str, scratch: Path, seed: int) -> None:
        self.tree = tree
        self.lab: Lab = lab.find(tree, lab_name)
        self.directory = self.lab.oracle.parent
        self.seed = seed
        self.stop = threading.Event()
        content = tomllib.loads((self.directory / "lab.toml").read_text())
        self.editable: list[str] = content["submission"]["editable"]
        self.exercises = [(e["file"], e["function"]) for e in content.get("exercise", [])]
        self.reference = {name: (tree / name).read_text() for name in self.editable}
        self._oracles = oracle.load(self.lab.oracle)
        self._workshop = Workshop(tree, self.lab, scratch, Unconfined())
        self._workshop.prepare()
        self._initrd = initrd.needed(self.lab.cases, tree, build=True)
        self._layouts = self._workshop.image.debug

    def mark(
        self,
        changed: Mapping[str, str],
        cases: Sequence[Case],
        seeds: Sequence[int],
        *,
        stop_early: bool = False,
    ) -> Marks:
        """Build the reference with changed files, and run cases with one seed after the other.

        A case passes if it does with every seed. stop_early: until one does not.
        """
        marks = Marks()
        with self._workshop.bench() as bench:
            bench.put({name: text.encode() for name, text in changed.items()})
            done = bench.make()
            if done.status != 0:
                raise DoesNotBuild(errors_of(done.output)[0])
            grader = Grader(
                self.lab, _NoLines(bench.kernel, self._layouts), self._oracles,
                limits=_LIMITS, stop=self.stop, initrd=self._initrd,
            )  # fmt: skip
            for seed, case in itertools.product(seeds, cases):
                if case.name in marks.caught_by:
                    continue
                result = grader.grade(case, seed)
                if self.stop.is_set():
                    raise KeyboardInterrupt
                marks.statuses[case.name] = result.status
                marks.outputs[case.name] = result.output
                if stop_early and marks.caught_by:
                    break
        return marks


class _NoLines(BenchImage):
    """Without source lines, which take long to read and which nobody will see."""

    def __init__(self, path: Path, layouts: DebugInfo) -> None:
        super().__init__(path, layouts)
        self.debug.line_at = lambda _address: None  # type: ignore[method-assign]
