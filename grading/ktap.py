# SPDX-License-Identifier: MIT
"""KTAP version 1, as the kernel's test runner prints it, between whatever else it prints.

A kernel under test may print anything, so every line that is not KTAP is passed over and
nothing here raises. See the kernel's Documentation/dev-tools/ktap.rst of Linux for the format.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_RESULT = re.compile(
    r"(?P<indent> *)(?P<not>not )?ok (?P<number>\d+)(?: -)? (?P<name>[^\s#]+)"
    r"(?:\s+# SKIP ?(?P<skip>.*))?\s*"
)
_PLAN = re.compile(r"(?P<indent> *)1\.\.(?P<count>\d+)\s*")
_DIAGNOSTIC = re.compile(r"\s*# ?(?P<text>.*)")
_MEASURED = re.compile(r"seed: (?P<seed>\d+)\s+virtual_ns: (?P<ns>\d+)\s*")
_HEADER = "KTAP version 1"


@dataclass(frozen=True)
class Result:
    """One result line and the diagnostics that came before it."""

    ok: bool
    name: str
    nested: bool  # a case; else a suite
    skip: str | None  # why
    diagnostics: tuple[str, ...]
    virtual_ns: int | None


@dataclass
class Ktap:
    """Everything KTAP that a run printed."""

    started: bool = False  # a header was seen
    planned: int = 0  # cases announced, over all suites
    results: list[Result] = field(default_factory=list)
    pending: tuple[str, ...] = ()  # diagnostics of a case that never ended

    def cases(self, name: str | None = None) -> list[Result]:
        """Results of cases, all or those of one name, without those of suites."""
        return [r for r in self.results if r.nested and name in (None, r.name)]


def parse(lines: Iterable[str]) -> Ktap:
    """Read the lines of a serial log."""
    ktap = Ktap()
    diagnostics: list[str] = []
    virtual_ns: int | None = None
    for line in lines:
        if line.strip() == _HEADER:
            ktap.started = True
        elif not ktap.started:
            continue
        elif match := _PLAN.fullmatch(line):
            if match["indent"]:
                ktap.planned += int(match["count"])
        elif match := _RESULT.fullmatch(line):
            ktap.results.append(
                Result(
                    ok=not match["not"],
                    name=match["name"],
                    nested=bool(match["indent"]),
                    skip=match["skip"],
                    diagnostics=tuple(diagnostics),
                    virtual_ns=virtual_ns,
                )
            )
            diagnostics, virtual_ns = [], None
        elif match := _DIAGNOSTIC.fullmatch(line):
            if measured := _MEASURED.fullmatch(match["text"]):
                virtual_ns = int(measured["ns"])
            elif not match["text"].startswith("Subtest:"):
                diagnostics.append(match["text"])
    ktap.pending = tuple(diagnostics)
    return ktap
