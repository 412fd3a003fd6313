# SPDX-License-Identifier: MIT
"""What the tests of the tools share: fake kernels, a sample lab, the real kernel."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent

Fake = Callable[..., Path]

SAMPLE_LAB = """
number = 9
name = "sample"
title = "Lab 9: a sample"
suite = "sample"
handout = "handouts/lab9-sample.md"

[[case]]
name = "work"
points = 5
section = "working"
hint = "Work harder."
"""

SAMPLE_ORACLE = """
import enum
from grading.oracle import Expect, case

class Event(enum.IntEnum):
    ALLOC = 64

@case
def work(ctx):
    record = yield Expect(Event.ALLOC, arg=3, what="allocate order 3")
    ctx.check(record.a == 0x1000, f"frame {record.a:#x} is not the right one")
"""


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """fake(NAME, DEFINE...): the ELF file of fakes/NAME.S, built once."""
    directory = tmp_path_factory.mktemp("fakes")

    def build(name: str, *defines: str) -> Path:
        elf = directory / "-".join((name, *defines))
        if not elf.exists():
            subprocess.run(
                [
                    "gcc", "-nostdlib", "-static", "-no-pie", "-I", HERE / "fakes",
                    "-Wl,-T," + str(HERE / "fakes/fake.ld"),
                    "-Wl,--build-id=none,-z,noexecstack",
                    *(f"-D{define}" for define in defines),
                    "-o", elf, HERE / "fakes" / f"{name}.S",
                ],
                check=True,
            )  # fmt: skip
        return elf

    return build


@pytest.fixture
def sample_tree(tmp_path: Path) -> Path:
    """A tree that has one lab with one case."""
    directory = tmp_path / "tree/labs/lab9-sample"
    directory.mkdir(parents=True)
    (directory / "lab.toml").write_text(SAMPLE_LAB)
    (directory / "oracle.py").write_text(SAMPLE_ORACLE)
    return tmp_path / "tree"


@pytest.fixture(scope="session")
def kernel() -> Path:
    """The real kernel: IKOS_KERNEL, or the one that "make" builds."""
    path = Path(os.environ.get("IKOS_KERNEL", TREE / "build/gcc-debug/kernel.elf"))
    if not path.exists():
        pytest.skip(f"no kernel {path}: run make first")
    return path
