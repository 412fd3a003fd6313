# SPDX-License-Identifier: MIT
"""The command "ktest", on fake kernels and on the real one."""

import subprocess
from pathlib import Path

import pytest
from conftest import TREE, Fake


def ktest(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TREE / "grading/ktest", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_counts_what_the_kernel_said_it_has(fake: Fake) -> None:
    done = ktest("--kernel", fake("suite"), "--smp", 1)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAIL sample                           1 CPU   1 passed, 3 failed, 1 skipped",
        "    sample.play:",
        "      fun.c:1: expected fun",
        "    sample.keep: skipped, but it had its disks: there is no such disk",
        "    sample.lost: was not reached, or did not end",
        "1 passed, 3 failed, 1 skipped",
    ]


def test_all_well_on_each_number_of_cpus(fake: Fake) -> None:
    done = ktest("--kernel", fake("suite", "GOOD"), "--smp", "1,2", "sample")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize("name", ["silent", "triple"])
def test_a_kernel_that_lists_nothing(fake: Fake, name: str) -> None:
    done = ktest("--kernel", fake(name))
    assert done.returncode == 2
    assert "did not list its tests" in done.stderr


def test_an_unknown_suite(fake: Fake) -> None:
    done = ktest("--kernel", fake("suite"), "sample.wrok")
    assert done.returncode == 2
    assert done.stderr == 'ktest: no test matches "sample.wrok"; the suites are: sample\n'


def test_without_cases_that_end_the_kernel(kernel: Path) -> None:
    selected = ("--kernel", kernel, "--smp", "2", "--no-panics", "buddy.double_free")
    done = ktest(*selected, "printf")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == ["printf"]
    done = ktest(*selected)
    assert done.returncode == 2
    assert "all that is selected ends the kernel" in done.stderr


def test_the_real_kernel(kernel: Path) -> None:
    done = ktest("--kernel", kernel, "--smp", "2", "printf", "buddy.double_free")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok   printf")
    assert lines[1].startswith("ok   buddy.double_free ") and lines[1].endswith("1 passed")
