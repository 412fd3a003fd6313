# SPDX-License-Identifier: MIT
"""Reports about damaged memory name functions and lines: who allocated and freed an object, and who
wrote past an array on the stack."""

import re
import threading
from pathlib import Path

import pytest
from grading.addresses import explain_log
from grading.machine import Limits, Machine, boot
from grading.symbols import Image

CASES = {
    "overflow/0": ["allocated"],
    "underflow/0": ["allocated"],
    "double_free_guarded": ["allocated", "freed"],
    "written_after_free": ["allocated", "freed"],
}


@pytest.mark.parametrize("case", CASES)
def test_call_sites(kernel: Path, case: str) -> None:
    machine = Machine(kernel=kernel, append=f"ktest=heap.{case}")
    run = boot(machine, Limits(), threading.Event())
    lines = list(explain_log(run.serial.splitlines(), Image(kernel)))
    run.ram.close()
    report = next(i for i, line in enumerate(lines) if line.startswith("panic: slab: "))
    for what in CASES[case]:
        site = re.compile(
            rf"  {what} at ktest_heap_\w+ \(tests/kernel/heap_protection_test\.c:\d+\)"
        )
        assert any(site.match(line) for line in lines[:report]), lines


def test_a_smashed_stack(kernel: Path) -> None:
    machine = Machine(kernel=kernel, append="ktest=stack_guard.overrun")
    run = boot(machine, Limits(), threading.Event())
    lines = list(explain_log(run.serial.splitlines(), Image(kernel)))
    run.ram.close()
    who = r"panic: kernel stack smashed by the function at fill \(tests/kernel/stack_guard_test\.c:"
    assert any(re.match(who, line) for line in lines), lines
