# SPDX-License-Identifier: MIT
"""The machine is killed while a program writes to its disk: what fsync() promised is there.

user/disk_writer.c says what it is about to change, and when it has made sure of that. The emulator
is killed at a random moment, e2fsck repairs the disk without asking, and the files on it are
compared with what was promised. IKOS_KILLS says how many times, IKOS_KILL_SEED which is the first.
"""

from __future__ import annotations

import os
import random
import select
import signal
import struct
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import ext2_images as ext2
import pytest

ROOT = Path(__file__).resolve().parents[2]
INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")
KILLS = int(os.environ.get("IKOS_KILLS", "12"))
FIRST_SEED = int(os.environ.get("IKOS_KILL_SEED", "1"))
START_SECONDS = 60
PAGE = 4096
SECTOR = 512
LOG_FLUSH, LOG_MARK = 1, 8  # flags of what blklogwrites notes


def pattern(version: int, size: int) -> bytes:
    """What disk_writer writes as that version."""
    return bytes((version * 131 + i * 7 + (i >> 8) * 13) & 0xFF for i in range(size))


@dataclass
class Change:
    """A line of disk_writer: what happens to a file."""

    kind: str
    path: str
    rest: list[str] = field(default_factory=list)

    def numbers(self) -> list[int]:
        return [int(word) for word in self.rest]


Files = dict[str, bytes]


def after(files: Files, change: Change) -> Files:
    """The files once the change is done."""
    new = dict(files)
    old = files.get(change.path, b"")
    match change.kind:
        case "write" | "replace":
            new[change.path] = pattern(*change.numbers())
        case "append":
            new[change.path] = old + pattern(*change.numbers())
        case "remove":
            del new[change.path]
        case "move":
            new[change.rest[0]] = new.pop(change.path)
        case "cut":
            new[change.path] = old[: change.numbers()[0]]
        case "map":
            version, page = change.numbers()
            end = (page + 1) * PAGE
            new[change.path] = old[: page * PAGE] + pattern(version, PAGE) + old[end:]
        case _:
            raise AssertionError(f"unknown change {change}")
    return new


def read_changes(lines: Iterable[str]) -> tuple[list[Change], Change | None]:
    """What was promised, in order, and what was begun last, unless it was promised as well."""
    done: list[Change] = []
    begun: Change | None = None
    for line in lines:
        match line.split():
            case ["B", _, kind, path, *rest]:
                begun = Change(kind, path, rest)
            case ["E", _]:
                assert begun
                done.append(begun)
                begun = None
    return done, begun


def in_flux(before: Files, change: Change, found: Files) -> str | None:
    """Is what is found of a change that was not promised one of the things that may be?"""
    path, now = change.path, found.get(change.path)
    old, new = before.get(path), after(before, change).get(path)
    match change.kind:
        case "write":
            good = True
        case "append":
            good = not old or (now is not None and now.startswith(old))
        case "replace" | "remove":
            good = now in (old, new)
        case "move":
            other = found.get(change.rest[0])
            good = old in (now, other) and now in (old, None) and other in (old, None)
        case "cut":
            good = now is not None and now.startswith(new or b"")
        case _:
            good = now in (old, new)
    return None if good else f"{path}, of which {change.kind} was not ended, is neither old nor new"


def compare(before: Files, begun: Change | None, found: Files) -> list[str]:
    """What is wrong."""
    touched = {begun.path, *(begun.rest if begun.kind == "move" else ())} if begun else set()
    wrong = [] if begun is None else [in_flux(before, begun, found)]
    for path in sorted((before.keys() | found.keys()) - touched):
        if path not in found:
            wrong.append(f"{path} is lost")
        elif path not in before:
            wrong.append(f"{path} was removed, and is there")
        elif found[path] != before[path]:
            at = next((i for i, (a, b) in enumerate(zip(found[path], before[path])) if a != b), -1)
            wrong.append(f"{path} has {len(found[path])} bytes for {len(before[path])}, differs "
                         f"at {at}")  # fmt: skip
    return [text for text in wrong if text]


def read_until_killed(process: subprocess.Popen[bytes], promises: int, then_s: float) -> str:
    """What is printed until the machine is killed, so long after so many promises."""
    assert process.stdout
    output, start, kill_at = b"", time.monotonic(), None
    while kill_at is None or time.monotonic() < kill_at:
        left = 0.2 if kill_at is None else max(0.0, kill_at - time.monotonic())
        if select.select([process.stdout], [], [], left)[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            output += piece
            if not piece:
                break
        if b"ikos> " in output:  # it ended by itself
            break
        if kill_at is None and output.count(b"\nE ") >= promises:
            kill_at = time.monotonic() + then_s
        if time.monotonic() - start > START_SECONDS:
            break
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    return (output + rest).decode(errors="replace").replace("\r\n", "\n")


def files_of(root: Path) -> Files:
    """The files that disk_writer makes sure of."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.glob("d*/f*")
        if path.is_file() and path.suffix != ".tmp"
    }


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + KILLS))
def test_what_was_promised_is_there(kernel: Path, tmp_path: Path, seed: int) -> None:
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    draw = random.Random(seed)
    block_size = draw.choice(["1024", "2048", "4096"])
    disk = ext2.make(tmp_path / "disk.img", 16, "-b", block_size, "-N", "512")
    with subprocess.Popen(
        ext2.command(kernel, INITRD, disk, f"init=/bin/disk_writer seed={seed}",
                     cpus=draw.choice([1, 2]), interface=draw.choice(["virtio", "ide"])),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        text = read_until_killed(process, draw.randrange(3, 60), draw.uniform(0, 0.02))
    assert "panic" not in text and "failed:" not in text, text[-2000:]
    lines = text.split("\nready\n", 1)
    assert len(lines) == 2, text[-2000:]
    complete = lines[1][: lines[1].rfind("\n") + 1]
    done, begun = read_changes(complete.splitlines())
    assert len(done) >= 3, text[-2000:]

    repairs = ext2.repair(disk)
    ext2.check(disk)
    before: Files = {}
    for change in done:
        before = after(before, change)
    found = files_of(ext2.unpack(disk, tmp_path / "found"))
    wrong = compare(before, begun, found)
    assert not wrong, "\n".join([*wrong, f"last: {begun}", repairs, complete[-1500:]])


def logged_writes(log: Path) -> Iterable[tuple[int, bytes]]:
    """What QEMU's blklogwrites has noted: sectors and what was written there, in order."""
    data = log.read_bytes()
    at = SECTOR
    while at + SECTOR <= len(data):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", data, at)
        at += SECTOR
        if flags & (LOG_FLUSH | LOG_MARK) or sectors == 0:
            continue
        size = sectors * SECTOR
        if at + size > len(data):
            return
        yield sector, data[at : at + size]
        at += size


@pytest.mark.parametrize("block_size", ["1024", "4096"])
def test_after_any_write_e2fsck_needs_no_answers(
    kernel: Path, tmp_path: Path, block_size: str
) -> None:
    """The machine could have died between any two writes."""
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    disk = ext2.make(tmp_path / "disk.img", 4, "-b", block_size, "-N", "128")
    start = disk.read_bytes()
    log = tmp_path / "log"
    log.touch()
    command = ext2.command(kernel, INITRD, disk, "init=/bin/disk_writer seed=3 changes=60")
    at = command.index("-drive")
    command[at : at + 2] = [
        "-blockdev", f"driver=file,node-name=image,filename={disk}",
        "-blockdev", f"driver=file,node-name=log,filename={log}",
        "-blockdev", "driver=blklogwrites,node-name=disk,file=image,log=log,log-sector-size=512",
        "-device", "virtio-blk-pci,drive=disk",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        text = read_until_killed(process, 1 << 20, 0.0)
    assert "\nended\n" in text, text[-2000:]

    image = bytearray(start)
    moment, writes = tmp_path / "moment.img", 0
    asked = []
    for sector, data in logged_writes(log):
        image[sector * SECTOR : sector * SECTOR + len(data)] = data
        writes += 1
        moment.write_bytes(image)
        try:
            ext2.repair(moment)
        except AssertionError as error:
            asked.append(f"after write {writes}, of sector {sector}: {error}")
    assert writes > 100
    assert not asked, f"{len(asked)} of {writes}: " + "\n".join(asked[:3])
