# SPDX-License-Identifier: MIT
"""Debugging a kernel that has programs: make debug and make gdb boot as make run does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_gdb import ROOT, session

INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")

pytestmark = pytest.mark.skipif(
    not shutil.which("gdb") or not shutil.which("qemu-system-x86_64"), reason="needs GDB and QEMU"
)


def test_the_first_program_is_that_of_the_initrd(kernel: Path) -> None:
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    done = session(
        [ROOT / "scripts/debug", kernel],
        "tbreak exec_program",
        "continue",
        "print path",
        INITRD=str(INITRD),
        CMDLINE="",
    )
    assert "exec_program (" in done["continue"]
    assert done["print path"].endswith('"/init"\n')


def test_an_initrd_that_is_not_there(kernel: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/debug", kernel],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"INITRD": str(missing)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"debug: {missing}: no such file; make initrd builds it\n"


@pytest.mark.parametrize("target", ["run", "debug", "gdb"])
def test_make_hands_the_archive_on(target: str) -> None:
    """What each target would build first, and give to its script."""
    done = subprocess.run(
        ["make", "-n", target, "O=build/none"], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert "scripts/mkinitrd" in done.stdout
