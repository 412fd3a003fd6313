# SPDX-License-Identifier: MIT
"""Mistakes against cases: a table to read in a terminal, and what it says of both."""

from collections.abc import Mapping, Sequence

from grading.lab import Case
from grading.result import Status

from .patches import Patch
from .shop import Marks

_LETTERS = {
    Status.PASS: ".",
    Status.FAIL: "F",
    Status.PANIC: "P",
    Status.HANG: "H",
    Status.RESET: "R",
    Status.TODO: "T",
    Status.NOBUILD: "B",
    Status.NOBOOT: "N",
    Status.CHEAT: "C",
    Status.UNGRADED: "?",
}
_NAME = 30


def _cut(name: str) -> str:
    return f"{name[:_NAME]:<{_NAME}}"


class Matrix:
    """marks: by mistake, in the order of the rows. A case that was not run is left blank."""

    def __init__(self, cases: Sequence[Case], marks: Mapping[str, Marks]) -> None:
        self.cases = cases
        self.marks = marks

    def header(self) -> list[str]:
        """What the columns are, and their numbers."""
        names = [f"{i:>2} {case.name:<20}" for i, case in enumerate(self.cases, 1)]
        lines = ["".join(names[i : i + 5]).rstrip() for i in range(0, len(names), 5)]
        lines.append(". pass  F fail  P panic  H hang  R reset  C cheat  N no boot  ? not graded")
        return [*lines, " " * _NAME + "".join(f"{i:>3}" for i in range(1, len(self.cases) + 1))]

    def row(self, name: str) -> str:
        marks = self.marks[name]
        letters = [_LETTERS.get(marks.statuses.get(case.name), " ") for case in self.cases]
        score = f"{marks.score(self.cases):>4}" if len(marks.statuses) == len(self.cases) else ""
        return _cut(name) + "".join(f"{letter:>3}" for letter in letters) + score

    def footer(self) -> list[str]:
        """For each case: how many it catches, how many before any other case, how many alone."""
        caught = [marks.caught_by for marks in self.marks.values()]
        return [
            f"{label:<{_NAME}}" + "".join(f"{count(case.name):>3}" for case in self.cases)
            for label, count in (
                ("caught", lambda name: sum(name in names for names in caught)),
                ("caught first", lambda name: sum(names[:1] == [name] for names in caught)),
                ("caught alone", lambda name: sum(names == [name] for names in caught)),
            )
        ]

    def complaints(self, patches: Sequence[Patch]) -> list[str]:
        """Mistakes that cost nothing, or that nobody knows of whether they do."""
        wrong = []
        for patch in patches:
            marks = self.marks[patch.name]
            if Status.UNGRADED in marks.statuses.values():
                wrong.append(f"{patch.name}: could not be graded")
            elif not marks.caught_by:
                wrong.append(f"{patch.name} costs nothing: {patch.sentence}")
        return wrong

    def idle_cases(self) -> list[str]:
        """Cases that are worth nothing."""
        used = {name for marks in self.marks.values() for name in marks.caught_by}
        return [f"{case.name} catches nothing" for case in self.cases if case.name not in used]
