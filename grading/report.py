# SPDX-License-Identifier: MIT
"""Results as text for people, JSON for programs and JUnit XML for CI."""

import json
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from .lab import Exercise, Lab
from .result import Result, Score, Status

_WIDTH = 28

# Where the handout's section on the case can help; not where the case was never the matter.
_HELPED = {Status.FAIL, Status.PANIC, Status.HANG, Status.RESET, Status.TODO}


def text(result: Result) -> str:
    """The line of a case, and if it did not pass, the indented explanation."""
    dots = "." * max(3, _WIDTH - len(result.name))
    line = f"{result.name} {dots} {result.score:>2}/{result.max_score:<2} {_word(result.status)}"
    if result.status is Status.PASS:
        return line
    about = f"{explanation(result)}\nreplay: {result.replay}"
    return line + "\n" + textwrap.indent(about, "    ")


def explanation(result: Result) -> str:
    """What is wrong, and where it says more if that can help."""
    if result.status not in _HELPED:
        return result.output
    return f"{result.output}\nread:   {result.section}\nhint:   {result.hint}"


def _word(status: Status) -> str:
    return "ok" if status is Status.PASS else str(status.value)


def summary(results: Sequence[Result], score: Score, next_exercise: Exercise | None = None) -> str:
    """The end of the text report: what to write next, if anything; its last line is the score."""
    ungraded = sum(result.status is Status.UNGRADED for result in results)
    line = f"score: {score.score}/{score.max_score}"
    if ungraded:
        cases = "1 case" if ungraded == 1 else f"{ungraded} cases"
        line = f"{cases} could not be graded: the score is not final\n{line}"
    if next_exercise:
        at = f"{next_exercise.function}() in {next_exercise.file}"
        line = f"next: write {at}: {next_exercise.todo}\n{line}"
    return line


def to_json(lab: Lab, results: Sequence[Result], score: Score) -> str:
    """Holds nothing that differs between two runs of the same seeds."""
    content = {
        "lab": lab.name,
        "score": score.score,
        "max_score": score.max_score,
        "tests": [
            {
                "name": result.name,
                "status": result.status.value,
                "score": result.score,
                "max_score": result.max_score,
                "output": explanation(result),
                "seed": result.seed,
                "replay": result.replay,
                "virtual_ms": result.virtual_ms,
            }
            for result in results
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def to_junit(lab: Lab, results: Sequence[Result]) -> str:
    """One test suite; what could not be graded is an error, not a failure."""
    ungraded = [result for result in results if result.status is Status.UNGRADED]
    failed = [r for r in results if r.status not in (Status.UNGRADED, Status.PASS)]
    suite = ET.Element(
        "testsuite",
        name=lab.name,
        tests=str(len(results)),
        failures=str(len(failed)),
        errors=str(len(ungraded)),
    )
    for result in results:
        element = ET.SubElement(suite, "testcase", classname=lab.name, name=result.name)
        if result.virtual_ms is not None:
            element.set("time", f"{result.virtual_ms / 1000:.6f}")
        if result.status is not Status.PASS:
            tag = "error" if result.status is Status.UNGRADED else "failure"
            problem = ET.SubElement(element, tag, type=result.status.value)
            problem.set("message", result.output.partition("\n")[0])
            problem.text = f"{explanation(result)}\nreplay: {result.replay}"
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
