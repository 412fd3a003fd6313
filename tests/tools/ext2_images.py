# SPDX-License-Identifier: MIT
"""Disks with ext2 on them: made by mke2fs, checked by e2fsck, read by debugfs."""

from __future__ import annotations

import subprocess
from pathlib import Path

PASSED = 33  # how QEMU ends when the machine was switched off
# Not from the path: a user's often lacks /usr/sbin, where these are.
_PATH = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}


def _run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=check, env=_PATH
    )


def make(image: Path, mib: int, *options: str, root: Path | None = None) -> Path:
    """A new file system of that size, with what is in a directory."""
    image.unlink(missing_ok=True)
    _run("mke2fs", "-q", "-F", "-t", "ext2", *options, *(("-d", root) if root else ()), image,
         f"{mib}M")  # fmt: skip
    return image


def check(image: Path) -> None:
    """It is consistent, to the last bit."""
    result = _run("e2fsck", "-f", "-n", image, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def repair(image: Path) -> str:
    """Repaired without asking. What was done is returned."""
    result = _run("e2fsck", "-f", "-p", image, check=False)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


def debugfs(image: Path, command: str) -> str:
    return _run("debugfs", "-R", command, image).stdout


def unpack(image: Path, directory: Path) -> Path:
    """All that is in it, in a directory."""
    directory.mkdir(parents=True)
    debugfs(image, f"rdump / {directory}")
    return directory


def command(
    kernel: Path, initrd: Path, image: Path, append: str, cpus: int = 1, interface: str = "virtio"
) -> list[str]:
    """The machine with that disk. What is written is the host's at once, and is never waited for:
    a killed emulator loses nothing that the kernel has given to the disk."""
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256M", "-smp", str(cpus),
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-drive", f"file={image},format=raw,if={interface},cache=unsafe",
        "-kernel", str(kernel), "-initrd", str(initrd), "-append", append,
    ]  # fmt: skip
