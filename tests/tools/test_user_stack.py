# SPDX-License-Identifier: MIT
"""The kernel's report tells a stack that was too small from a pointer that was wild."""

import re
import threading
from pathlib import Path

import pytest
from grading.machine import Limits, Machine, boot

REPORTS = {
    "process.exceptions_end_it": [
        r"segfault: .* reading address 0x\w+ from 0x\w+, .*: nothing is mapped there",
        r"segfault: .* writing address 0x\w+ from 0x\w+, stack pointer 0x\w+: stack overflow",
    ],
    "traps.guard_page_touched": [
        r"panic: kernel stack overflow: thread stack guard page, reading address 0x\w+ from .*",
    ],
    "traps.guard_page_of_another": [
        r"panic: page fault reading address 0x\w+ from kernel at 0x\w+: "
        r"guard page of a stack that is not in use here",
    ],
}


@pytest.mark.parametrize("case", REPORTS)
def test_report(kernel: Path, case: str) -> None:
    run = boot(Machine(kernel=kernel, append=f"ktest={case}"), Limits(), threading.Event())
    lines = run.serial.splitlines()
    run.ram.close()
    for report in REPORTS[case]:
        assert any(re.fullmatch(report, line) for line in lines), lines
