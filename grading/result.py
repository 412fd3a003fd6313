# SPDX-License-Identifier: MIT
"""What a graded case came to, and what all of them are worth together."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Status(enum.StrEnum):
    PASS = "pass"
    FAIL = "fail"  # a wrong answer, or the case was not reached
    PANIC = "panic"
    HANG = "hang"
    RESET = "reset"
    TODO = "todo"  # not written yet
    NOBUILD = "nobuild"
    NOBOOT = "noboot"
    CHEAT = "cheat"  # "ok" was printed, but the work was not done
    UNGRADED = "ungraded"  # not the submission's fault: no mark, neither zero nor full


@dataclass(frozen=True)
class Result:
    name: str
    status: Status
    max_score: int
    output: str  # what was expected, what happened and where; "" for a pass
    section: str  # where the handout explains it
    hint: str
    seed: int
    replay: str  # the command that repeats the run
    virtual_ms: float | None

    @property
    def score(self) -> int:
        return self.max_score if self.status is Status.PASS else 0


@dataclass(frozen=True)
class Score:
    score: int
    max_score: int
    exit_status: int  # 0 full marks, 1 less, 2 could not be graded


def total(results: Sequence[Result]) -> Score:
    score = sum(result.score for result in results)
    max_score = sum(result.max_score for result in results)
    if any(result.status is Status.UNGRADED for result in results):
        exit_status = 2
    elif all(result.status is Status.PASS for result in results):
        exit_status = 0
    else:
        exit_status = 1
    return Score(score, max_score, exit_status)
