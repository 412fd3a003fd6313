# SPDX-License-Identifier: MIT
"""Disks of the real kernel: what the shell sees of them, and what disks do that do not work.

QEMU's blkdebug lets chosen sectors fail, its throttling makes a disk too slow to be waited for.
"""

import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_user_shell import Shell

from grading.scratch import make_scratch

MIB = 1 << 20
BLOCK = 4096
LIMIT_SECONDS = 120

# How a disk is driven: its name, the device, and the kernel's command line.
WAYS = {
    "dma": ("hda", "ide-hd,bus=ide.0", ""),
    "pio": ("hda", "ide-hd,bus=ide.0", "ide.dma=0"),
    "virtio": ("vda", "virtio-blk-pci", ""),
}

Start = Callable[..., Shell]


@pytest.fixture
def start(kernel: Path) -> Iterator[Start]:
    """start(COMMAND-LINE, OPTION...): a shell on a machine with these options."""
    shells: list[Shell] = []

    def boot(append: str, *options: str) -> Shell:
        shells.append(Shell(kernel, options=["-append", append, *options]))
        shells[-1].run("stty columns 300")
        return shells[-1]

    yield boot
    for shell in shells:
        shell.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk on which each sector holds its number, over and over."""
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(struct.pack("<I", n) * 128 for n in range(4 * MIB // 512)))
    return path


def drive(file: str, *more: str) -> list[str]:
    return ["-drive", ",".join([f"file={file}", "format=raw", "if=none", "id=d0", *more])]


def device(kind: str, *more: str) -> list[str]:
    return ["-device", ",".join([kind, "drive=d0", *more])]


def blkdebug(folder: Path, image: Path, *rules: dict[str, str]) -> str:
    config = folder / "blkdebug.conf"
    sections = [
        "[inject-error]\n" + "".join(f'{key} = "{value}"\n' for key, value in rule.items())
        for rule in rules
    ]
    config.write_text("\n".join(sections))
    return f"blkdebug:{config}:{image}"


def power_off(shell: Shell) -> None:
    shell.keys("poweroff -f\r")
    shell.ended()


def failing_blocks(shell: Shell, name: str, nr: int) -> list[int]:
    """Read each of the first nr blocks by itself: which cannot be read?"""
    shell.run(
        f"for i in $(seq 0 {nr - 1}); do "
        f"dd if=/dev/{name} of=/dev/null bs={BLOCK} skip=$i count=1 2>/dev/null || echo $i; "
        "done >/tmp/bad"
    )
    return [int(line) for line in shell.run("cat /tmp/bad")]


@pytest.mark.parametrize("way", WAYS)
def test_files(start: Start, image: Path, tmp_path: Path, way: str) -> None:
    """dd and cmp, at any offset and in any size; and what is written is in the image."""
    name, kind, append = WAYS[way]
    shell = start(append, *drive(str(image)), *device(kind))
    assert shell.run(f"wc -c </dev/{name}") == [str(4 * MIB)]
    assert shell.run(f"dd if=/dev/{name} bs=1M skip=4 2>/dev/null | wc -c") == ["0"]
    assert shell.run(f"cmp /dev/{name} /dev/{name} && echo same") == ["same"]
    shell.run(f"dd if=/dev/{name} of=/tmp/x bs=777 skip=5 count=11 2>/dev/null")
    assert shell.run("wc -c </tmp/x") == [str(777 * 11)]
    shell.run(f"dd if=/tmp/x of=/dev/{name} bs=1000 seek=2000 conv=fsync 2>/dev/null")
    full = shell.run(f"dd if=/dev/zero of=/dev/{name} bs=512k seek=7 count=2")
    assert any("No space left on device" in line for line in full), full
    assert "1+0 records out" in full
    power_off(shell)
    before = b"".join(struct.pack("<I", n) * 128 for n in range(4 * MIB // 512))
    moved = before[777 * 5 : 777 * 16]
    zeroes = bytes(MIB // 2)
    expected = before[:2000000] + moved + before[2000000 + len(moved) : -MIB // 2] + zeroes
    assert image.read_bytes() == expected


def test_partitions(start: Start, image: Path) -> None:
    """Two of the four places of the table are used, one of them by an extended partition."""
    entry = struct.Struct("<B3sB3sII")
    with image.open("r+b") as file:
        file.seek(446)
        file.write(entry.pack(0x80, bytes(3), 0x83, bytes(3), 64, 1000))
        file.write(entry.pack(0, bytes(3), 0x05, bytes(3), 2000, 6000))
        file.write(entry.pack(0, bytes(3), 0x83, bytes(3), 2048, 6144))
        file.seek(510)
        file.write(b"\x55\xaa")
    shell = start("", *drive(str(image)), *device("virtio-blk-pci"))
    table = [line.split() for line in shell.run("cat /proc/partitions")[2:]]
    assert table == [
        ["254", "0", "4096", "vda"],
        ["254", "1", "500", "vda1"],
        ["254", "3", "3072", "vda3"],
    ]
    first = "dd if=/dev/vda1 bs=512 count=1 2>/dev/null | hexdump -n4 -e '1/4 \"%d\\n\"'"
    assert shell.run(first) == ["64"]
    shell.run("printf end | dd of=/dev/vda3 bs=512 seek=6143 2>/dev/null")
    assert any("No space" in x for x in shell.run("printf x | dd of=/dev/vda1 bs=512 seek=1000"))
    power_off(shell)
    assert image.read_bytes()[-512:].startswith(b"end" + struct.pack("<I", 8191)[3:])


@pytest.mark.parametrize("way", WAYS)
def test_errors(start: Start, image: Path, tmp_path: Path, way: str) -> None:
    """Exactly what fails is told so, a read, a write or a flush; the rest of the disk works."""
    name, kind, append = WAYS[way]
    file = blkdebug(
        tmp_path,
        image,
        {"event": "read_aio", "errno": "5", "sector": "83", "once": "off"},
        {"event": "write_aio", "errno": "5", "sector": "163", "once": "on"},
        {"event": "flush_to_disk", "errno": "5", "once": "on"},
    )
    # QEMU would rather stop the machine than tell it of some errors.
    shell = start(append, *drive(file), *device(kind, "werror=report"))
    assert failing_blocks(shell, name, 16) == [83 // 8]
    assert failing_blocks(shell, name, 16) == [83 // 8]
    message = shell.run(f"dd if=/dev/{name} of=/dev/null bs={BLOCK} skip=10 count=1")
    assert any("Input/output error" in line for line in message), message
    shell.run(f"dd if=/dev/{name} of=/tmp/x bs=512 count=90 2>/dev/null")
    assert shell.run("wc -c </tmp/x") == [str(83 * 512)]

    write = f"dd if=/dev/zero of=/dev/{name} bs={BLOCK} seek=20 count=1"
    assert any("Input/output error" in line for line in shell.run(write))
    assert "1+0 records out" in shell.run(write)
    count = f"dd if=/dev/{name} bs={BLOCK} skip=20 count=1 2>/dev/null | tr -d '\\0' | wc -c"
    assert shell.run(count) == ["0"]

    write = f"dd if=/dev/zero of=/dev/{name} bs={BLOCK} count=1 conv=fsync"
    assert any("Input/output error" in line for line in shell.run(write))
    assert "1+0 records out" in shell.run(write)
    statistics = shell.run("cat /proc/diskstats")[0].split()
    assert statistics[2] == name
    assert statistics[11] == "0"  # nothing is left under way


def test_read_only(start: Start, image: Path) -> None:
    shell = start("", *drive(str(image), "readonly=on"), *device("virtio-blk-pci"))
    refused = shell.run("dd if=/dev/zero of=/dev/vda bs=512 count=1")
    assert any("Read-only file system" in line for line in refused), refused
    assert shell.run("cmp /dev/vda /dev/vda && echo same") == ["same"]


@pytest.mark.parametrize("way", WAYS)
def test_too_slow(start: Start, image: Path, way: str) -> None:
    """A disk that does one thing a minute is reset, the program gets an error, all goes on."""
    name, kind, append = WAYS[way]
    slow = ["throttling.iops-total=1", "throttling.iops-size=512"]
    shell = start(f"{append} block.timeout_ms=300", *drive(str(image), *slow), *device(kind))
    shell.run(f"dd if=/dev/{name} of=/dev/null bs=32k count=8 2>/tmp/said")
    said = "\n".join(shell.run("cat /tmp/said"))
    assert "Input/output error" in said, said
    assert shell.run("echo alive") == ["alive"]


LARGE_BLOCKS = "logical_block_size=4096,physical_block_size=4096"
# The parameter of the kernel's cases, and the device.
OTHER_MACHINES = {
    "virtio, without messages": (2, "virtio-blk-pci,vectors=0"),
    "virtio, modern only": (2, "virtio-blk-pci,disable-legacy=on"),
    "virtio, chains in the ring": (2, "virtio-blk-pci,indirect_desc=off"),
    "virtio, a longer queue": (2, "virtio-blk-pci,queue-size=1024"),
    "virtio, large blocks": (2, f"virtio-blk-pci,{LARGE_BLOCKS}"),
    "IDE, the second cable": (0, "ide-hd,bus=ide.1,unit=1"),
}


@pytest.mark.parametrize("machine", OTHER_MACHINES)
def test_other_machines(kernel: Path, tmp_path: Path, machine: str) -> None:
    """The kernel's own suite, on disks as other machines have them."""
    way, kind = OTHER_MACHINES[machine]
    run_suite(kernel, make_scratch(tmp_path / "disk.img"), way, kind)


@pytest.mark.parametrize("way", ["dma", "virtio"])
def test_memory_above_4_gib(kernel: Path, tmp_path: Path, way: str) -> None:
    """Where IDE's controller does not reach, the processor moves the data."""
    number, kind = list(WAYS).index(way), WAYS[way][1]
    run_suite(kernel, make_scratch(tmp_path / "disk.img"), number, kind, "5G")


@pytest.mark.parametrize("way", WAYS)
def test_more_than_28_bits(kernel: Path, tmp_path: Path, way: str) -> None:
    """The suite works at the end of the disk, too; IDE has other commands for that."""
    number, kind = list(WAYS).index(way), WAYS[way][1]
    run_suite(kernel, make_scratch(tmp_path / "disk.img", 200 << 30), number, kind)


def run_suite(kernel: Path, image: Path, way: int, kind: str, memory: str = "128M") -> None:
    cases = [f"disk.{case}/{way}" for case in ("threads", "scattered", "reset")]
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", memory, "-smp", "2",
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        *drive(str(image)), *device(kind),
        "-kernel", kernel, "-append", f"ktest={','.join(cases)} ktest.patience=10",
    ]  # fmt: skip
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert run.returncode == 33, run.stdout + run.stderr
    assert f"pass:{len(cases)} fail:0 skip:0" in run.stdout, run.stdout
