# SPDX-License-Identifier: MIT
"""A report about the heap names who allocated and who freed the object, by function and line."""

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
