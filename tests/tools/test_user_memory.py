# SPDX-License-Identifier: MIT
"""What an initrd costs: its own frames are the allocator's once it has been unpacked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAME = 4096
LIMIT_SECONDS = 200

# The header of the last entry: thirteen numbers, of which only the size of its name is not 0.
CPIO_END = b"070701" + b"0" * 88 + b"0000000B" + b"0" * 8 + b"TRAILER!!!\0"


def archive(path: Path, size: int) -> Path:
    """An empty archive with zeroes behind its end, as they may be."""
    path.write_bytes(CPIO_END.ljust(size, b"\0"))
    return path


def console(command: list[str | Path]) -> str:
    """Boot to the kernel's console, and ask it for its memory."""
    pexpect = pytest.importorskip("pexpect", reason="needs the package python3-pexpect")
    child = pexpect.spawn(
        "qemu-system-x86_64",
        ["-accel", "tcg", "-cpu", "max", "-m", "256M", "-smp", "2", "-nodefaults"]
        + ["-display", "none", "-no-reboot", "-serial", "stdio"]
        + ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", *(str(word) for word in command)],
        encoding="latin-1", timeout=LIMIT_SECONDS, echo=False,
    )  # fmt: skip
    child.expect("ikos> ")
    child.send("zoneinfo\r")
    child.expect("ikos> ")
    text = child.before
    child.send("check\r")
    child.expect("check: memory agrees with its books")
    child.close(force=True)
    return text


def frames(text: str) -> int:
    """Of all zones."""
    found = re.findall(r"^zone \w+: (\d+) frames", text, re.MULTILINE)
    assert found, text
    return sum(map(int, found))


@pytest.fixture(scope="module")
def without(kernel: Path) -> int:
    return frames(console(["-kernel", kernel]))


@pytest.mark.parametrize("size", [FRAME - 1, FRAME, 10 * FRAME + 1, 4 << 20, 9 << 20])
def test_loaded_by_qemu(kernel: Path, without: int, tmp_path: Path, size: int) -> None:
    """It begins with a frame. The part of one at its end is lost."""
    file = archive(tmp_path / "initrd", size)
    lost = without - frames(console(["-kernel", kernel, "-initrd", file]))
    assert lost == (1 if size % FRAME else 0)


@pytest.mark.skipif(not shutil.which("grub-mkrescue"), reason="needs grub-mkrescue")
def test_loaded_by_grub(kernel: Path, tmp_path: Path) -> None:
    def boot(*initrd: Path) -> int:
        iso = tmp_path / "ikos.iso"
        words = [ROOT / "scripts/mkiso", kernel, iso, "", *initrd]
        subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_SECONDS)
        return frames(console(["-cdrom", iso]))

    file = archive(tmp_path / "initrd", 20 * FRAME + 5)
    assert boot() - boot(file) == 1
