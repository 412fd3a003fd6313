# SPDX-License-Identifier: MIT
"""The real kernel with other zones: what the command line asks for is there, and works.

Each test boots the kernel, types a few commands, and reads what comes back; or runs test
suites under other settings than "make ktest" does.
"""

import re
import subprocess
from pathlib import Path

import pytest

LIMIT_SECONDS = 120
PAGE_BLOCK = 1024  # frames

ZONE = re.compile(r"^zone (\w+): (\d+) frames, (\d+) free", re.MULTILINE)
MARKS = re.compile(r"marks: min (\d+), low (\d+), high (\d+)")


def boot(
    kernel: Path, append: str, typed: str = "", *, cpus: int = 2, memory: int = 128,
    panics: bool = False,
) -> str:  # fmt: skip
    """Boot, type, and return all that the kernel wrote."""
    run = subprocess.run(
        [
            "qemu-system-x86_64", "-machine", "pc", "-cpu", "max", "-m", str(memory),
            "-smp", str(cpus), "-accel", "tcg,thread=single",
            "-icount", "shift=0,align=off,sleep=off",
            "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel", kernel, "-append", append,
        ],
        input=typed, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert ("panic:" in run.stdout) == panics, run.stdout
    return run.stdout.replace("\r", "")


def ask(kernel: Path, append: str, *commands: str) -> str:
    """What the console says to some commands; the last one is always "check"."""
    said = boot(kernel, append, "".join(f"{c}\n" for c in (*commands, "check", "poweroff")))
    assert "check: memory agrees with its books" in said, said
    return said


def zones(said: str) -> dict[str, int]:
    """The size of each zone, in frames."""
    found = {name: int(frames) for name, frames, _ in ZONE.findall(said)}
    assert found, said
    return found


def test_by_default_two_zones(kernel: Path) -> None:
    said = ask(kernel, "", "zoneinfo")
    assert list(zones(said)) == ["DMA", "Normal"]
    assert "kmap" not in said


# What boot takes comes from the top of memory, so from Movable if there is one.
@pytest.mark.parametrize(
    ("value", "frames"), [("64M", 16384), ("25%", 8192), ("5M", 2048), ("1G", 28672)]
)
def test_movable(kernel: Path, value: str, frames: int) -> None:
    found = zones(ask(kernel, f"mm.movable={value}", "zoneinfo"))
    assert frames - 600 <= found["Movable"] <= frames
    assert found.get("Normal", 0) + found["Movable"] <= 28672


@pytest.mark.parametrize("value", ["101%", "%", "x", "", "5Q", "-1"])
def test_bad_movable(kernel: Path, value: str) -> None:
    said = ask(kernel, f"mm.movable={value}", "zoneinfo")
    assert f'bad value "{value}" for "mm.movable"' in said
    assert list(zones(said)) == ["DMA", "Normal"]


@pytest.mark.parametrize(("value", "normal_blocks"), [("64M", 12), ("66M", 12), ("32M", 4)])
def test_direct_map(kernel: Path, value: str, normal_blocks: int) -> None:
    said = ask(kernel, f"mm.directmap={value}", "zoneinfo")
    found = zones(said)
    assert list(found) == ["DMA", "Normal", "High"]
    # Boot takes what it needs from below the limit, and all of what lies above is left.
    assert (normal_blocks - 1) * PAGE_BLOCK <= found["Normal"] < normal_blocks * PAGE_BLOCK
    assert (27 - normal_blocks) * PAGE_BLOCK < found["High"] <= (28 - normal_blocks) * PAGE_BLOCK
    assert "kmap: 0 of 512 windows used" in said


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("0", 'bad value "0"'),
        ("1M", 'bad value "1M"'),
        ("64", 'bad value "64"'),
        ("x", 'bad value "x"'),
        ("128M", "memory ends at"),
        ("1G", "memory ends at"),
        ("0xffffffffffffffff", "memory ends at"),
    ],
)
def test_bad_direct_map(kernel: Path, value: str, complaint: str) -> None:
    said = ask(kernel, f"mm.directmap={value}", "zoneinfo")
    assert complaint in said
    assert list(zones(said)) == ["DMA", "Normal"]


def test_direct_map_that_boot_cannot_do_with(kernel: Path) -> None:
    said = boot(kernel, "mm.directmap=32M", "zoneinfo\npoweroff\n", memory=2048)
    assert "boot needs more" in said
    assert "High" not in zones(said)


def test_high_and_movable(kernel: Path) -> None:
    found = zones(ask(kernel, "mm.directmap=64M mm.movable=16M", "zoneinfo"))
    assert list(found) == ["DMA", "Normal", "High", "Movable"]
    assert found["High"] == 12 * PAGE_BLOCK


def test_min_free(kernel: Path) -> None:
    said = ask(kernel, "mm.min_free=4M", "zoneinfo")
    marks = [tuple(map(int, m)) for m in MARKS.findall(said)]
    assert 1022 <= sum(m[0] for m in marks) <= 1024
    for least, low, high in marks:
        assert low == least + least // 4
        assert high == least + least // 2


def test_whole_blocks(kernel: Path) -> None:
    found = zones(ask(kernel, "mm.whole_blocks=1", "zoneinfo"))
    assert all(frames % PAGE_BLOCK == 0 for frames in found.values())


@pytest.mark.parametrize("append", ["", "mm.directmap=64M", "mm.movable=25%"])
def test_borrowed_arena_comes_back(kernel: Path, append: str) -> None:
    """Suites at the console borrow frames from the zones, and give them back as they were."""
    said = ask(kernel, append, "test zone.exact_runs", "test zone_pressure", "zoneinfo")
    assert "not ok" not in said
    assert said.count("check: memory agrees") == 1
    for name, frames, free in ZONE.findall(said):
        # Stacks of threads are in use, and the rest may lie in the CPUs' lists.
        assert int(frames) - int(free) < 600, name


SUITES = "memory,memory_stress,zone,zone_pressure,zone_compaction,kmap,threads,locks"


@pytest.mark.parametrize("cpus", [1, 4])
@pytest.mark.parametrize(
    "append",
    [
        "mm.movable=64M",
        "mm.movable=25%",
        "mm.directmap=64M",
        "mm.directmap=64M mm.movable=16M",
        "mm.min_free=2M",
        "mm.whole_blocks=1",
    ],
)
def test_suites(kernel: Path, append: str, cpus: int) -> None:
    said = boot(kernel, f"{append} ktest={SUITES}", cpus=cpus)
    totals = dict(re.findall(r"^# (\w+): pass:\d+ fail:(\d+)", said, re.MULTILINE))
    assert set(totals) == set(SUITES.split(",")), said
    assert set(totals.values()) == {"0"}, said
    high_cases = re.findall(r"^ +ok \d+ many_frames( # SKIP)?", said, re.MULTILINE)
    assert high_cases == ["" if "directmap" in append else " # SKIP"]


def test_a_window_given_back_twice(kernel: Path) -> None:
    said = boot(kernel, "mm.directmap=64M ktest=kmap.unmapped_twice", panics=True)
    assert re.search(r"^panic: kunmap: frame 0x[0-9a-f]+ has no window", said, re.MULTILINE)
    assert re.search(r"^ok 1 kmap", said, re.MULTILINE)
