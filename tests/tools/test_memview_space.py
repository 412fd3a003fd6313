# SPDX-License-Identifier: MIT
"""scripts/memview and address spaces: what it finds out of a kernel that has some."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "scripts"))

from grading.guest import Guest  # noqa: E402
from grading.symbols import Image  # noqa: E402
from memview_lib import record  # noqa: E402
from memview_lib.ring import Event  # noqa: E402
from memview_lib.spaces import Spaces  # noqa: E402

KINDS = {
    "zero": Event.FAULT_ZERO, "anonymous": Event.FAULT_FRESH, "cow": Event.FAULT_COPY,
    "reuse": Event.FAULT_REUSE, "file": Event.FAULT_FILE, "stack": Event.FAULT_STACK,
    "spurious": Event.FAULT_SPURIOUS,
}  # fmt: skip


def counted(guest: Guest) -> dict[str, int]:
    """Faults by kind of spaces that are gone, as the kernel counted them."""
    address = guest.image.address("retired")
    found = {kind: guest.member(address, "space_stats", f"faults_{kind}") for kind in KINDS}
    found["anonymous"] += guest.member(address, "space_stats", "huge_faults")
    return found


CASES = (
    "space.fork_chain", "space.stack_and_heap", "space_model.random/2", "space_huge.last_owner",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_faults_are_what_the_kernel_counts(kernel: Path, case: str) -> None:
    recording = record.record(record.machine_for(kernel, f"ktest={case} seed=4"), Image(kernel))
    assert recording.ending is None and recording.trace.lost == 0
    spaces = Spaces(recording.trace)
    told = sum((space.faults for space in spaces.all), start=Counter())
    assert {kind: told[event] for kind, event in KINDS.items()} == counted(recording.guest)
    assert all(space.died is not None and space.series[-1][1:] == (0, 0)
               for space in spaces.all if space.series)  # fmt: skip


@pytest.fixture(scope="module")
def initrd() -> Path:
    path = Path(os.environ.get("IKOS_INITRD") or TREE / "build/initrd.cpio")
    if not path.exists():
        pytest.skip(f"no initrd {path}: run make initrd")
    return path


def test_a_program_and_its_children(kernel: Path, initrd: Path, tmp_path: Path) -> None:
    command = [
        TREE / "scripts/memview", "--kernel", kernel, "--program", "/bin/forks",
        "--initrd", initrd, "--out", tmp_path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    line = r"(\d+) address spaces, (\d+) of them by fork; (\d+) faults; (\d+) "
    found = re.search(line, done.stdout)
    assert found
    nr, forks, faults, shared = map(int, found.groups())
    assert nr == forks + 2  # that of the first process before it executed anything, and after
    assert forks >= 15 and faults > 1000 and shared > 500
    text = (tmp_path / "memview.html").read_text()
    assert '"name":"1 forks"' in text and '"name":"2 forks","owners":' in text
    assert "switched itself off" not in done.stdout and "panic" not in done.stdout
