# SPDX-License-Identifier: MIT
"""Every way in which a submission can end, with fake kernels."""

import time
from pathlib import Path

import pytest
from conftest import Fake
from grading import lab, oracle
from grading.machine import Limits
from grading.result import Result, Status
from grading.symbols import Image
from grading.verdict import Grader

# Small enough for tests to take seconds; a boot needs about 0.1 s.
LIMITS = Limits(charged_s=2, wall_s=20, serial_bytes=20_000)


def grade(tree: Path, kernel: Path, limits: Limits = LIMITS, seed: int = 4711) -> Result:
    the_lab = lab.find(tree, "9")
    grader = Grader(the_lab, Image(kernel), oracle.load(the_lab.oracle), limits=limits)
    return grader.grade(the_lab.cases[0], seed)


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("garbage", Status.NOBOOT, "did not boot"),
        ("silent", Status.NOBOOT, "did not boot: the machine ended with status 33"),
        ("flood", Status.FAIL, "wrote more than 19 KiB to the serial line"),
        ("halt", Status.HANG, "did not end in 2 s"),
        ("spin", Status.HANG, "did not end in 2 s"),
        ("triple", Status.RESET, "triple fault"),
        ("reset", Status.RESET, "reset by its own doing"),
        ("poweroff", Status.FAIL, "switched off"),
        ("half", Status.FAIL, "not reached or did not end"),
        ("half", Status.FAIL, "about to begin"),
        ("forged", Status.CHEAT, '"ok" was printed, but the work was not done'),
        ("forged_fail", Status.FAIL, "says ok, but the machine ended with status 35"),
        ("fails", Status.FAIL, "mm/buddy_allocator.c:7: expected a == b, but a is 1 and b is 2"),
        ("skips", Status.FAIL, "was skipped: no wish to"),
        ("panics", Status.PANIC, "last words\npanic: buddy: wrong order\nin culprit"),
        ("todo", Status.TODO, "not written yet: buddy_alloc: take a block and split it"),
        ("watchdog", Status.HANG, "hang: no end after 2000 ms of virtual time"),
    ],
)
def test_verdict(sample_tree: Path, fake: Fake, name: str, status: Status, message: str) -> None:
    start = time.monotonic()
    result = grade(sample_tree, fake(name))
    assert (result.status, result.score) == (status, 0)
    assert message in result.output
    assert time.monotonic() - start < 15


def test_a_good_transcript_earns_the_points(sample_tree: Path, fake: Fake) -> None:
    result = grade(sample_tree, fake("transcript"))
    assert (result.status, result.output, result.score) == (Status.PASS, "", 5)
    assert result.virtual_ms == 1.235
    assert result.replay == "make replay LAB=sample CASE=work SEED=4711"


@pytest.mark.parametrize(
    ("define", "status", "message"),
    [
        ("WRONG_SEED", Status.CHEAT, "the transcript is of seed 4712, not 4711"),
        ("EMPTY", Status.CHEAT, "the transcript is empty"),
        ("WRONG_RECORD", Status.FAIL, "operation 1 of 1 (allocate order 3): expected arg to be 3"),
    ],
)
def test_a_bad_transcript_does_not(
    sample_tree: Path, fake: Fake, define: str, status: Status, message: str
) -> None:
    result = grade(sample_tree, fake("transcript", define))
    assert (result.status, result.score) == (status, 0)
    assert message in result.output


def test_too_little_of_the_host_is_nobodys_fault(sample_tree: Path, fake: Fake) -> None:
    result = grade(sample_tree, fake("spin"), Limits(charged_s=60, wall_s=1))
    assert result.status is Status.UNGRADED


def test_a_broken_oracle_is_nobodys_fault(sample_tree: Path, fake: Fake) -> None:
    path = sample_tree / "labs/lab9-sample/oracle.py"
    path.write_text(path.read_text().replace("ctx.check(", "ctx.chekc("))
    result = grade(sample_tree, fake("transcript"))
    assert result.status is Status.UNGRADED
    assert "chekc" in result.output


def test_a_case_without_oracle_is_not_graded(sample_tree: Path, fake: Fake) -> None:
    (sample_tree / "labs/lab9-sample/oracle.py").write_text("")
    assert grade(sample_tree, fake("forged")).status is Status.UNGRADED


def test_a_run_repeats_exactly(sample_tree: Path, fake: Fake) -> None:
    assert grade(sample_tree, fake("transcript")) == grade(sample_tree, fake("transcript"))
