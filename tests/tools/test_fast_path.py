# SPDX-License-Identifier: MIT
"""The allocators' fast paths, as the compiler made them: nothing in them is shared by CPUs."""

import re
import subprocess
from pathlib import Path

import pytest

# What a magazine serves is served in these functions alone; whatever else they call is slow.
FAST_PATHS = ["kmem_cache_alloc", "kmem_cache_free", "kmalloc", "kfree"]

# "lock cmpxchg %ecx,(%rdi)"; an exchange with memory is locked without saying so.
LOCKED = re.compile(r"\block\b|\bxchg\s+(?!%\w+,%\w+$)(?!%ax,%ax)")


def instructions(kernel: Path, function: str) -> list[str]:
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", kernel],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line.split("\t", 1)[1].strip() for line in listing.splitlines() if "\t" in line]


@pytest.mark.parametrize("function", FAST_PATHS)
def test_no_locked_instruction(kernel: Path, function: str) -> None:
    found = instructions(kernel, function)
    assert len(found) > 10
    assert not [line for line in found if LOCKED.search(line)]


def test_the_slow_path_has_some(kernel: Path) -> None:
    """So that the pattern above is known to match."""
    assert [line for line in instructions(kernel, "slab_alloc_object") if LOCKED.search(line)]


VECTOR = re.compile(r"%[xyz]mm\d|%st\b|%mm\d")


def test_the_kernel_leaves_vector_registers_to_programs(kernel: Path) -> None:
    """No switch between threads of the kernel saves them."""
    objects = [path for part in ("kernel", "mm") for path in kernel.parent.glob(f"{part}/**/*.o")]
    assert len(objects) > 50
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", *objects],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not [line for line in listing.splitlines() if VECTOR.search(line)]
