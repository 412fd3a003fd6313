# SPDX-License-Identifier: MIT
"""What the host allows an emulator."""

import math
from pathlib import Path

import pytest
from grading.machine import Disk, Limits, Machine
from grading.scratch import MARK, SIZE, scratch_disks


@pytest.mark.parametrize(
    ("boot_s", "allowed"),
    [
        (None, 20),  # nothing was printed yet
        (0.01, 10),  # never less than this, however fast the host
        (0.12, 12),
        (5, 20),  # nor more than before
    ],
)
def test_time_is_counted_in_boots(boot_s: float | None, allowed: float) -> None:
    assert Limits(charged_s=20, boots=100).charged(boot_s) == pytest.approx(allowed)


def test_unless_nobody_asks_for_that() -> None:
    assert Limits(charged_s=120).boots == math.inf
    assert Limits(charged_s=120).charged(0.01) == 120


def command(*disks: Disk, icount: bool = True) -> list[str]:
    return Machine(Path("k.elf"), "a=b", icount=icount, disks=disks).command(0, 1, 2)


def test_disks_are_numbered_by_kind() -> None:
    words = command(Disk(Path("a")), Disk(Path("b"), "ide"), Disk(Path("c"), read_only=True))
    assert [word.split(",")[0] for word in words if word.startswith("file=") and "raw" in word] == [
        "file=b", "file=a", "file=c",
    ]  # fmt: skip
    assert "ide-hd,drive=disk0,bus=ide.0,unit=0" in words
    assert "virtio-blk-pci,drive=disk2" in words
    assert [word for word in words if word.endswith("readonly=on")][0].startswith("file=c,")


def test_with_disks_no_time_is_skipped() -> None:
    disk = Disk(Path("a"))
    assert command(disk)[-1] == "a=b idle=poll"
    assert command(disk, icount=False)[-1] == "a=b"
    assert command()[-1] == "a=b"


def test_scratch_disks_go() -> None:
    with scratch_disks() as disks:
        images = [disk.image for disk in disks]
        assert all(image.stat().st_size == SIZE for image in images)
        assert all(image.read_bytes().startswith(MARK) for image in images)
        assert [disk.read_only for disk in disks] == [False, False, True]
    assert not any(image.exists() for image in images)
