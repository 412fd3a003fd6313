# SPDX-License-Identifier: MIT
"""Reading a guest's memory, with memory made here: page tables, pages, lists, records."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE
from grading import evidence, pageview
from grading.debuginfo import DebugInfo
from grading.errors import GuestError
from grading.frame_check import check_free_memory
from grading.frames import FrameModel
from grading.guest import Guest
from grading.pageview import MEMMAP_BASE, PAGE_ALLOCATED, PAGE_FREE, PAGE_RESERVED, PAGE_TAIL

LAYOUT = "#include <allocators.h>\nstruct buddy buddy;\nstruct page page;\nenum page_state state;\n"

IMAGE_BASE = 0xFFFFFFFF80000000
DIRECT_MAP = 0xFFFF800000000000
ROOT = 0x1000
MEMMAP_PHYSICAL = 0x200000
BUDDY = DIRECT_MAP + 0x100000
CR3_VARIABLE, LEVELS_VARIABLE, EVIDENCE = 0x8000, 0x8010, 0x8100
VARIABLES = {
    "kernel_cr3": CR3_VARIABLE,
    "evidence": EVIDENCE,
    "arch_mmu_levels": LEVELS_VARIABLE,
}
RAM_SIZE = 8 << 20


@pytest.fixture(scope="module")
def debug(tmp_path_factory: pytest.TempPathFactory) -> DebugInfo:
    """The layouts of include/allocators.h, as the kernel has them."""
    directory = tmp_path_factory.mktemp("layout")
    (directory / "layout.c").write_text(LAYOUT)
    subprocess.run(
        [
            "gcc", "-g", "-ffreestanding", "-nostdlib", "-static", "-no-pie", "-Wl,-e,0",
            "-I", TREE / "include", "-I", TREE / "kernel/x86_64/include",
            "-o", directory / "layout", directory / "layout.c",
        ],
        check=True,
    )  # fmt: skip
    return DebugInfo.of(directory / "layout")


class StubImage:
    """A kernel image of a few variables, loaded at 0."""

    path = Path("stub")

    def __init__(self, debug: DebugInfo) -> None:
        self.debug = debug

    def address(self, name: str) -> int:
        return IMAGE_BASE + VARIABLES[name]

    def to_physical(self, vaddr: int) -> int | None:
        offset = vaddr - IMAGE_BASE
        return offset if 0 <= offset < 0x10000 else None


class Memory:
    """Guest memory under construction, with page tables for memmap and the direct map."""

    def __init__(self, debug: DebugInfo) -> None:
        self.debug = debug
        self.ram = bytearray(RAM_SIZE)
        self.put(CR3_VARIABLE, ROOT | 0x18)  # flags in CR3 are not part of the address
        self.put(LEVELS_VARIABLE, 4, 4)
        self.entry(ROOT, DIRECT_MAP >> 39, 0x2000 | 3)
        self.entry(0x2000, 0, 0x80 | 3)  # 1 GiB
        self.entry(ROOT, MEMMAP_BASE >> 39, 0x3000 | 3)
        self.entry(0x3000, 0, 0x4000 | 3)
        self.entry(0x4000, 0, MEMMAP_PHYSICAL | 0x80 | 3)  # 2 MiB
        self.entry(0x4000, 1, 0x5000 | 3)
        self.entry(0x5000, 0, 0x7000 | 3 | 1 << 63)  # 4 KiB, not executable
        self.page_size = debug.size_of("page")

    def entry(self, table: int, index: int, value: int) -> None:
        self.put(table + index % 512 * 8, value)

    def put(self, paddr: int, value: int, size: int = 8) -> None:
        self.ram[paddr : paddr + size] = value.to_bytes(size, "little")

    def page(self, pfn: int, state: int, order: int = 0) -> None:
        at = MEMMAP_PHYSICAL + pfn * self.page_size
        name = ("PAGE_RESERVED", "PAGE_TAIL", "PAGE_FREE", "PAGE_ALLOCATED")[state]
        self.put(at + self.member("page", "state"), self.debug.enumerator(name), 1)
        self.put(at + self.member("page", "order"), order, 1)

    def block(self, pfn: int, state: int, order: int) -> None:
        self.page(pfn, state, order)
        for tail in range(pfn + 1, pfn + (1 << order)):
            self.page(tail, PAGE_TAIL)

    def member(self, name: str, path: str) -> int:
        return self.debug.member(name, path).offset

    def lists(self, blocks: dict[int, list[int]]) -> None:
        """Free lists of the struct buddy: order -> frames."""
        area = self.debug.member("buddy", "area")
        area_size = self.debug.size_of(area.type)
        link = self.member("page", "link")
        for order in range(area.size // area_size):
            head = BUDDY + area.offset + order * area_size + self.member(area.type, "list")
            frames = blocks.get(order, [])
            ring = [head, *(MEMMAP_BASE + pfn * self.page_size + link for pfn in frames)]
            for at, following in zip(ring, [*ring[1:], head]):
                self.put_virtual(at + self.member("list_head", "next"), following)
                self.put_virtual(following + self.member("list_head", "prev"), at)

    def put_virtual(self, vaddr: int, value: int) -> None:
        self.put(self.guest().to_physical(vaddr), value)

    def guest(self) -> Guest:
        image: Any = StubImage(self.debug)
        return Guest(bytes(self.ram), image)


@pytest.fixture
def memory(debug: DebugInfo) -> Memory:
    return Memory(debug)


def test_page_tables_with_pages_of_every_size(memory: Memory) -> None:
    guest = memory.guest()
    assert guest.to_physical(IMAGE_BASE + 0x123) == 0x123
    assert guest.to_physical(DIRECT_MAP + 0x7654321) == 0x7654321
    assert guest.to_physical(MEMMAP_BASE + 0x12345) == MEMMAP_PHYSICAL + 0x12345
    assert guest.to_physical(MEMMAP_BASE + 0x200010) == 0x7010
    memory.ram[MEMMAP_PHYSICAL + 0x1FFFFC : MEMMAP_PHYSICAL + 0x200000] = b"abcd"
    memory.ram[0x7000:0x7004] = b"efgh"
    assert memory.guest().read(MEMMAP_BASE + 0x1FFFFC, 8) == b"abcdefgh"


def test_page_tables_of_five_levels(memory: Memory) -> None:
    """All of the kernel is below the last entry of the root."""
    memory.put(CR3_VARIABLE, 0x6000)
    memory.put(LEVELS_VARIABLE, 5, 4)
    with pytest.raises(GuestError, match="is not mapped"):
        memory.guest().to_physical(DIRECT_MAP)
    memory.entry(0x6000, 511, ROOT | 3)
    assert memory.guest().to_physical(DIRECT_MAP + 0x7654321) == 0x7654321
    assert memory.guest().to_physical(MEMMAP_BASE + 0x200010) == 0x7010
    memory.put(LEVELS_VARIABLE, 6, 4)
    with pytest.raises(GuestError, match="arch_mmu_levels is 6"):
        memory.guest().to_physical(DIRECT_MAP)


def test_what_is_not_there(memory: Memory) -> None:
    guest = memory.guest()
    for address in (0, MEMMAP_BASE + 0x201000, 0xFFFFC00000000000):
        with pytest.raises(GuestError, match="is not mapped"):
            guest.read(address, 1)
    for address in (DIRECT_MAP + RAM_SIZE - 4, DIRECT_MAP + (1 << 29)):
        with pytest.raises(GuestError, match="no memory at physical address"):
            guest.read(address, 8)
    with pytest.raises(GuestError, match="more than there is"):
        guest.read(DIRECT_MAP, 1 << 40)
    memory.entry(0x3000, 0, 0x7FFFFFFFF000 | 3)
    with pytest.raises(GuestError, match="no memory at physical address"):
        memory.guest().read(MEMMAP_BASE, 1)


def test_pages_and_free_lists(memory: Memory) -> None:
    memory.block(64, PAGE_ALLOCATED, 2)
    memory.block(68, PAGE_FREE, 2)
    memory.block(72, PAGE_FREE, 3)
    memory.lists({2: [68], 3: [72]})
    guest = memory.guest()
    pages = pageview.read_pages(guest, 64, 82)
    assert (pages.state_of(64), pages.order_of(64)) == (PAGE_ALLOCATED, 2)
    assert (pages.state_of(65), pages.state_of(80)) == (PAGE_TAIL, PAGE_RESERVED)
    assert (pages.state_of(72), pages.order_of(72)) == (PAGE_FREE, 3)
    lists = pageview.read_free_lists(guest, BUDDY)
    assert lists[2:4] == [[68], [72]] and not any(lists[:2] + lists[4:])


def test_damaged_lists_are_named(memory: Memory) -> None:
    memory.lists({1: [64, 66]})
    link = MEMMAP_BASE + 66 * memory.page_size + memory.member("page", "link")
    memory.put_virtual(link + memory.member("list_head", "prev"), 0x1234)
    with pytest.raises(GuestError, match="does not point back"):
        pageview.read_free_lists(memory.guest(), BUDDY)
    memory.put_virtual(link + memory.member("list_head", "next"), 0x1234)
    with pytest.raises(GuestError, match="not mapped|does not point back"):
        pageview.read_free_lists(memory.guest(), BUDDY)


def model_of(memory: Memory) -> FrameModel:
    """Frames 64 to 80: 4 in use, 4 free, 8 free."""
    memory.block(64, PAGE_ALLOCATED, 2)
    memory.block(68, PAGE_FREE, 2)
    memory.block(72, PAGE_FREE, 3)
    memory.lists({2: [68], 3: [72]})
    model = FrameModel([(64, 80)], max_order=4)
    model.alloc(64, 2)
    return model


def test_memory_that_agrees_with_the_model(memory: Memory) -> None:
    model = model_of(memory)
    assert check_free_memory(memory.guest(), BUDDY, model, (64, 96)) is None


@pytest.mark.parametrize(
    ("pfn", "state", "order"),
    [
        (64, PAGE_FREE, 2),
        (65, PAGE_FREE, 0),
        (68, PAGE_ALLOCATED, 2),
        (72, PAGE_RESERVED, 0),
        (72, PAGE_FREE, 9),
        (80, PAGE_FREE, 0),
    ],
)
def test_memory_that_does_not(memory: Memory, pfn: int, state: int, order: int) -> None:
    model = model_of(memory)
    memory.page(pfn, state, order)
    assert check_free_memory(memory.guest(), BUDDY, model, (64, 96)) is not None


def area(records: int, capacity: int, written: int, magic: int = 0x45434E4544495645) -> bytes:
    return struct.pack("<QIIQQQ", magic, 1, 32, records, capacity, written)


def test_evidence(memory: Memory) -> None:
    memory.ram[EVIDENCE : EVIDENCE + 40] = area(0x20000, 4, 2)
    memory.ram[0x20000:0x20040] = struct.pack("<HHIQQQHHIQQQ", 1, 0, 2, 3, 4, 5, 64, 1, 7, 8, 9, 10)
    transcript = evidence.read(memory.guest())
    assert transcript.records == [(1, 0, 2, 3, 4, 5), (64, 1, 7, 8, 9, 10)]
    assert transcript.lost == 0
    memory.ram[EVIDENCE : EVIDENCE + 40] = area(0x20000, 1, 3)
    assert evidence.read(memory.guest()).lost == 2


@pytest.mark.parametrize(
    "damaged",
    [
        area(0, 4, 0),
        area(0x20000, 4, 2, magic=0),
        area(RAM_SIZE - 32, 4, 2),
        area(0x20000, 1 << 60, 1 << 59),
    ],
)
def test_evidence_that_is_none(memory: Memory, damaged: bytes) -> None:
    memory.ram[EVIDENCE : EVIDENCE + 40] = damaged
    with pytest.raises(GuestError):
        evidence.read(memory.guest())
