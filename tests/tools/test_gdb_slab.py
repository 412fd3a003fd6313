# SPDX-License-Identifier: MIT
"""ikos-slabs and ikos-object, on real machines that are stopped in the middle of a test."""

import re
import shutil
from pathlib import Path

import pytest
from test_gdb import ROOT, Session, session

pytestmark = pytest.mark.skipif(
    not shutil.which("gdb") or not shutil.which("qemu-system-x86_64"), reason="needs GDB and QEMU"
)

FIRST_SLAB = "(struct slab *)((char *)$cache->node[0].list[1].next - 8)"
TOP = "$cache->magazine[1]->object[$cache->magazine[1]->nr - 1]"
# The object that a page of memmap stands for: 32 bytes of page for 4,096 of memory.
LARGE = "0xffff800000000000 + (((unsigned long)page - 0xffffe00000000000) << 7)"


def line_of(statement: str) -> str:
    """Where it stands in the tests of the slab allocator: FILE:LINE."""
    lines = (ROOT / "tests/kernel/slab_test.c").read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if statement in line]
    return f"slab_test.c:{number}"


def debug(kernel: Path, case: str, level: str, *commands: str) -> Session:
    return session(
        [ROOT / "scripts/debug", kernel],
        *commands,
        CPUS="2",
        MEMORY="128",
        CMDLINE=f"ktest={case} mm.heap_protection={level}",
    )


@pytest.fixture(scope="module")
def magazines(kernel: Path) -> Session:
    """A cache whose objects are with a caller, in CPU 1's magazine, and free; then damaged."""
    return debug(
        kernel,
        "heap.cpus_have_magazines_of_their_own",
        "off",
        "ikos-slabs ",
        f"tbreak {line_of('expect_ne(t, market.cache->magazine[0]')}",
        "continue",
        "set $cache = market.cache",
        "ikos-slabs",
        "ikos-slabs $cache",
        "ikos-slabs thread",
        "ikos-slabs nr_cpus",
        "ikos-slabs no_such_cache",
        f"ikos-object {TOP}",
        f"ikos-object (char *){TOP} + 71",
        f"set $slab = {FIRST_SLAB}",
        "ikos-object $slab",
        "ikos-object (char *)$slab + 4095",
        "ikos-object &nr_cpus",
        "ikos-object 0x1234",
        "ikos-object 0xffff8fff00000000",
        "ikos-object 0xffffc80000001000",
        "ikos-object 0xffff800000111000",
        "ikos-object $rsp",
        "ikos-object 1.5",
        "ikos-object",
        f"set $owner = $page(((unsigned long){TOP} - 0xffff800000000000) >> 12)->owner",
        "set $its_slab = (struct slab *)$owner",
        f"set var $its_slab->free[0] |= 1ul << ((char *){TOP} - $its_slab->first) / 72",
        "set var $its_slab->nr_free += 1",
        f"ikos-object {TOP} ",
        "ikos-slabs $cache    ",
        "set var $cache->magazine[1]->object[0] = $cache->magazine[1]->object[5]",
        "set var $cache->magazine[1]->object[1] = (char *)$cache->magazine[1]->object[1] + 8",
        "set var $cache->magazine[1]->object[2] = 0x123",
        "set var $cache->node[0].nr[1] += 1",
        "set var $slab->nr_free += 3",
        "set var $slab->free[0] |= 1ul << 60",
        "ikos-slabs  ",
        "ikos-slabs $cache ",
        "set var $slab->link.next = 0x1230",
        "set var $slab->page->use = 0",
        "ikos-slabs $cache  ",
        "ikos-object $slab->first",
        "set var $slab->page->use = 1",
        "set var $slab->cache = 0",
        "ikos-object $slab->first ",
    )


def test_too_early(magazines: Session) -> None:
    assert "Has the kernel come far enough?" in magazines["ikos-slabs "]


def test_every_cache_has_a_line(magazines: Session) -> None:
    text = magazines["ikos-slabs"]
    rows = re.findall(
        r"^(\S+(?: \S+)*) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)/(\d+)/(\d+) +\d+\.\d%$",
        text,
        re.MULTILINE,
    )
    names = [row[0] for row in rows]
    assert {"test", "kmem_cache", "thread", "magazine-12"} <= set(names)
    test = next(row for row in rows if row[0] == "test")
    size, order, in_use, held, resting, free = map(int, test[1:7])
    assert (size, order, resting) == (72, 0, 0)
    assert in_use > 0 and held > 0 and free > 0
    assert in_use + held + free == 56 * sum(map(int, test[7:]))
    assert f"\n{len(rows)} caches, " in text and text.endswith("  no contradiction\n")


def test_a_cache_slab_by_slab(magazines: Session) -> None:
    text = magazines["ikos-slabs $cache"]
    assert text.startswith("test: objects of 72 bytes, one every 72, 56 to a slab of order 0; ")
    strips = re.findall(r"^ +0 ([#.m!q]+)$", text, re.MULTILINE)
    free = [int(nr) for nr in re.findall(r"(\d+) free of 56$", text, re.MULTILINE)]
    assert [strip.count(".") for strip in strips] == free
    held = [int(nr) for nr in re.findall(r"^  CPU [01]: (\d+) of \d+", text, re.MULTILINE)]
    assert held and sum(strip.count("m") for strip in strips) == sum(held)
    assert "!" not in "".join(strips) and text.endswith("  no contradiction\n")
    assert magazines["ikos-slabs thread"].startswith("thread: objects of ")
    assert magazines["ikos-slabs nr_cpus"] == "nr_cpus is a unsigned int, not a cache\n"
    assert "there is no cache no_such_cache" in magazines["ikos-slabs no_such_cache"]


def test_an_object_that_a_cpu_holds(magazines: Session) -> None:
    text = magazines[f"ikos-object {TOP}"]
    assert re.match(r"0x\w+: byte 0 of an object of test\n", text)
    assert re.search(r"^  cache       test: 72 bytes; no merge, no protection$", text, re.MULTILINE)
    assert re.search(r"^  slab        0x\w+, frame 0x\w+, order 0: \d+ free of 56$", text, re.M)
    assert "  state       in CPU 1's magazine, 0 above it\n" in text
    assert ": byte 71 of an object of test\n" in magazines[f"ikos-object (char *){TOP} + 71"]
    assert "in no object: its header\n" in magazines["ikos-object $slab"]
    assert "in no object: bytes that no object has" in magazines["ikos-object (char *)$slab + 4095"]


def test_what_is_no_object(magazines: Session) -> None:
    assert "is no object: it is nr_cpus, in " in magazines["ikos-object &nr_cpus"]
    assert "no memory is mapped there" in magazines["ikos-object 0x1234"]
    beyond = magazines["ikos-object 0xffff8fff00000000"]
    assert beyond == "0xffff8fff00000000 is no memory: frame 0xfff00000 does not exist\n"
    assert "in a free range of 1099511627776 bytes" in magazines["ikos-object 0xffffc80000001000"]
    assert "frame 0x111 is no cache's (reserved" in magazines["ikos-object 0xffff800000111000"]
    assert "_stacks" in magazines["ikos-object $rsp"]
    assert magazines["ikos-object 1.5"] == "a double is no address\n"
    assert "which one? Give an address" in magazines["ikos-object"]


def test_an_object_in_two_places(magazines: Session) -> None:
    state = magazines[f"ikos-object {TOP} "]
    both = "  state       free, in its slab and in CPU 1's magazine, 0 above it: that cannot be\n"
    assert both in state
    text = magazines["ikos-slabs $cache    "]
    assert re.search(r"^ +0 [#.m]*![#.m]*$", text, re.MULTILINE)
    error = r"^  object 0x\w+ in CPU 1's magazine is also free in its slab$"
    assert len(re.findall(error, text, re.MULTILINE)) == 1


def test_damage_is_named(magazines: Session) -> None:
    text = magazines["ikos-slabs $cache "]
    for error in (
        r"slab 0x\w+: its bitmap has bits beyond object 55",
        r"slab 0x\w+: nr_free is \d+, but \d+ bits are set",
        r"[23] partial slabs are counted, but [12] are on the list",
        r"object 0x\w+ is in CPU 1's magazine and in CPU 1's magazine",
        r"0xffff\w+ in CPU 1's magazine is no object of the cache",
        r"0x123 in CPU 1's magazine is no object of the cache",
    ):
        assert re.search(rf"^  {error}$", text, re.MULTILINE), error
    assert re.search(r"^  \d+ contradictions$", text, re.MULTILINE)
    assert re.search(r"^test .*<- see below$", magazines["ikos-slabs  "], re.MULTILINE)
    assert "  test: more: see ikos-slabs test\n" in magazines["ikos-slabs  "]
    text = magazines["ikos-slabs $cache  "]
    assert re.search(r"the page of frame 0x\w+ is not marked as its$", text, re.MULTILINE)
    assert re.search(r"list of partial slabs is broken: the next of 0x\w+ is 0x1230", text)
    unmarked = magazines["ikos-object $slab->first"]
    assert re.search(r"frame 0x\w+ is no cache's \(allocated", unmarked)
    assert "says that it is of slab 0x" in magazines["ikos-object $slab->first "]


def test_a_guarded_object_and_its_damage(kernel: Path) -> None:
    done = debug(
        kernel,
        "heap.quarantine_delays_reuse",
        "full",
        "tbreak guard_free",
        "continue",
        "set $object = (char *)object",
        "set $size = cache->size",
        "set $cache = cache",
        "ikos-object $object",
        "ikos-object $object - 64",
        "ikos-object $object - 65",
        "ikos-object $object + $size",
        "ikos-object $object + $size + 63",
        "ikos-object $object - cache->guard_before - 1",
        "finish",
        "ikos-object $object ",
        "ikos-slabs $cache",
        "set var $object[2] = 0x41",
        "set var $object[-3] = 0x42",
        "ikos-object $object  ",
        "set var $object[-3] = 0xc3",
        "set var $object[$size + 63] = 0x43",
        "ikos-object $object   ",
    )
    text = done["ikos-object $object"]
    assert "  state       in use\n" in text
    assert re.search(r"^  record      live, \d+ bytes asked for$", text, re.MULTILINE)
    by = r"by (alloc|ktest_\w+) \(tests/kernel/heap_protection_test\.c:\d+\) on CPU \d, cycle \d+$"
    assert re.search(rf"^  allocated   {by}", text, re.MULTILINE)
    assert "  freed " not in text and "  contents" not in text
    assert "  red zones   intact\n" in text
    assert ": offset -64 of an object of test: in the red zone before" in done[
        "ikos-object $object - 64"
    ]
    assert "offset -65 of an object of test: in the record" in done["ikos-object $object - 65"]
    assert "in the red zone after it" in done["ikos-object $object + $size"]
    assert "in the red zone after it" in done["ikos-object $object + $size + 63"]
    before = done["ikos-object $object - cache->guard_before - 1"]
    assert "padding between two objects" in before or "but in no object" in before

    text = done["ikos-object $object "]
    assert "  state       in quarantine, 0 freed after it\n" in text
    assert re.search(rf"^  freed       {by}", text, re.MULTILINE)
    assert "  contents    all 0x9d, as freed\n" in text
    assert re.search(r"^ +0 [#.]*q[#.q]*$", done["ikos-slabs $cache"], re.MULTILINE)
    assert re.search(r"^  quarantine: 1: 0x\w+$", done["ikos-slabs $cache"], re.MULTILINE)

    text = done["ikos-object $object  "]
    assert "  red zones   overwritten before the object: offset -3 holds 0x42\n" in text
    assert "  contents    overwritten in the object: offset 2 holds 0x41\n" in text
    assert re.search(
        r"red zones   overwritten after the object: offset \d+ holds 0x43\n",
        done["ikos-object $object   "],
    )


@pytest.mark.parametrize("level", ["light", "full"])
def test_a_large_request(kernel: Path, level: str) -> None:
    done = debug(
        kernel,
        "heap.kmalloc_large",
        level,
        "tbreak heap_unmark_large",
        "continue",
        f"set $large = {LARGE}",
        "ikos-object $large",
        "ikos-object $large + 4100",
        "ikos-object $large - 1",
    )
    text = done["ikos-object $large"]
    assert re.match(r"0x\w+: byte 0 of a large object of kmalloc\(\)\n", text)
    assert re.search(r"^  object      \[0x\w+, 0x\w+\): \d+ frames from 0x\w+$", text, re.M)
    assert ": byte 4100 of a large object" in done["ikos-object $large + 4100"]
    assert "is no object: frame 0x" in done["ikos-object $large - 1"]
    assert "  a large object begins 1 byte behind it\n" in done["ikos-object $large - 1"]
    if level == "full":
        assert re.search(r"^  allocated   by ktest_heap_kmalloc_large \(tests/", text, re.MULTILINE)
        assert "  red zones   intact\n" in text


def test_the_area_of_scattered_frames(kernel: Path) -> None:
    done = debug(
        kernel,
        "large.guards_fault",
        "off",
        "tbreak large_free",
        "continue",
        "set $object = (char *)address",
        "ikos-object $object",
        "ikos-object $object + 100",
        "ikos-object $object - 1",
        "ikos-object $object + 4096",
        "finish",
        "ikos-object $object ",
    )
    text = done["ikos-object $object"]
    assert re.match(r"0xffffc8\w+: byte 0 of a large object\n", text)
    assert "): 1 byte\n  state       in use\n  frames      1 in 1 block: 0x" in text
    [frame] = re.findall(r"^  this page   frame (0x\w+)$", text, re.MULTILINE)
    assert f"in 1 block: {frame}\n" in text
    assert "byte 100 of a large object, behind its end" in done["ikos-object $object + 100"]
    assert "in the guard page before a large object" in done["ikos-object $object - 1"]
    assert "in the guard page behind a large object" in done["ikos-object $object + 4096"]
    assert "  state       freed: waits for the next flush" in done["ikos-object $object "]
