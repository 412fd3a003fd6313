# SPDX-License-Identifier: MIT
"""Reading a node from a guest's memory: what is in order passes, each damage is named."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from conftest import TREE
from grading.debuginfo import DebugInfo
from grading.frames import FrameModel
from grading.guest import Guest
from grading.pageview import MEMMAP_BASE, PAGE_ALLOCATED, PAGE_FREE
from grading.zone_check import NodeView, check_node
from test_guest import DIRECT_MAP, IMAGE_BASE, Memory, StubImage

LAYOUT = "#include <zone.h>\nstruct node node;\nenum page_state state;\nenum page_use use;\n"
NODE = DIRECT_MAP + 0x400000
TABLE = DIRECT_MAP + 0x600000  # block_mobility
NR_CPUS = 0x8200
FIRST, BLOCK = 1024, 1024
NORMAL, UNMOVABLE, MOVABLE = 1, 0, 2
GROUP = NORMAL * 3

Damage = Callable[["NodeMemory"], None]


@pytest.fixture(scope="module")
def debug(tmp_path_factory: pytest.TempPathFactory) -> DebugInfo:
    """The layouts of include/zone.h, as the kernel has them."""
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


class NodeImage(StubImage):
    def address(self, name: str) -> int:
        return IMAGE_BASE + NR_CPUS if name == "nr_cpus" else super().address(name)


class NodeMemory(Memory):
    """A node with one zone of two page blocks.

    The first one is unmovable: a block of 16 frames is in use, one of 4 is in a list. The second
    one is movable: 2 frames are in use, and have a mover.
    """

    def __init__(self, debug: DebugInfo) -> None:
        super().__init__(debug)
        self.put(NR_CPUS, 1, 4)
        self.model = FrameModel([(FIRST, FIRST + 2 * BLOCK)])
        empty = (FIRST, FIRST)
        self.view = NodeView(
            self.guest(),
            NODE,
            [empty, (FIRST, FIRST + 2 * BLOCK), *2 * [(FIRST + 2 * BLOCK,) * 2]],
        )
        self.in_zone("block_mobility", TABLE)
        self.put_virtual(TABLE, UNMOVABLE | MOVABLE << 8)
        for mobility in range(3):
            self.in_group(mobility, "nr_blocks", mobility != 1)
        for cpu_group, _, at in self.view.lists(0):
            self.in_list(at, cpu_group, limit=8, room=8)
        for pfn in range(FIRST, FIRST + 2 * BLOCK):
            self.in_page(pfn, "group", GROUP + (UNMOVABLE if pfn < FIRST + BLOCK else MOVABLE))
        self.fill(FIRST, 4, PAGE_ALLOCATED)
        self.fill(FIRST + 16, 2, PAGE_ALLOCATED)
        self.free = {UNMOVABLE: self.rest(FIRST, 20), MOVABLE: self.rest(FIRST + BLOCK, 2)}
        self.fill(FIRST + BLOCK, 1, PAGE_ALLOCATED)
        self.in_zone("nr_free", 2 * BLOCK - 22)
        for mobility in range(3):
            self.free_lists(mobility, self.free.get(mobility, {}))
        self.lend(FIRST, 4, 0x45)
        self.lend(FIRST + BLOCK, 1, 2)
        self.in_page(FIRST + BLOCK, "use", debug.enumerator("PAGE_USE_MOVABLE"))
        self.in_list(self.list_of(UNMOVABLE, 2), GROUP, limit=8, room=7, first=FIRST + 16)

    def guest(self) -> Guest:
        image: Any = NodeImage(self.debug)
        return Guest(bytes(self.ram), image)

    def fill(self, pfn: int, order: int, state: int) -> None:
        self.block(pfn, state, order)

    def rest(self, block: int, used: int) -> dict[int, list[int]]:
        """Free blocks for all of a page block but its first frames, by order."""
        blocks: dict[int, list[int]] = {}
        pfn = block + used
        while pfn < block + BLOCK:
            order = (pfn & -pfn).bit_length() - 1
            self.fill(pfn, order, PAGE_FREE)
            blocks.setdefault(order, []).append(pfn)
            pfn += 1 << order
        return blocks

    def lend(self, pfn: int, order: int, mark: int) -> None:
        self.model.alloc(pfn, order)
        self.in_page(pfn, "lent", mark)

    # -- numbers in structures ---------------------------------------------------------------

    def set(self, at: int, name: str, path: str, value: int) -> None:
        member = self.debug.member(name, path)
        paddr = self.guest().to_physical(at + member.offset)
        self.put(paddr, value, member.size)

    def in_zone(self, path: str, value: int) -> None:
        self.set(self.view.zone(NORMAL), "zone", path, value)

    def in_group(self, mobility: int, path: str, value: int) -> None:
        self.set(self.view.group(GROUP + mobility), "page_group", path, value)

    def in_page(self, pfn: int, path: str, value: int) -> None:
        self.set(MEMMAP_BASE + pfn * self.page_size, "page", path, value)

    def in_list(self, at: int, _group: int, limit: int, room: int, first: int = 0) -> None:
        self.set(at, "cpu_list", "limit", limit)
        self.set(at, "cpu_list", "room", room)
        self.set(at, "cpu_list", "first", first and MEMMAP_BASE + first * self.page_size)

    def list_of(self, mobility: int, order: int) -> int:
        wanted = (GROUP + mobility, order)
        return next(at for group, o, at in self.view.lists(0) if (group, o) == wanted)

    def free_lists(self, mobility: int, blocks: dict[int, list[int]]) -> None:
        """As Memory.lists() makes them, and moved to where the group's are."""
        here = self.view.group(GROUP + mobility) + self.debug.member("page_group", "buddy").offset
        area = self.debug.member("buddy", "area")
        size, link = self.debug.size_of(area.type), self.member("page", "link")
        for order in range(area.size // size):
            head = here + area.offset + order * size + self.member(area.type, "list")
            frames = blocks.get(order, [])
            ring = [head, *(MEMMAP_BASE + pfn * self.page_size + link for pfn in frames)]
            for at, following in zip(ring, [*ring[1:], head], strict=True):
                self.put_virtual(at + self.member("list_head", "next"), following)
                self.put_virtual(following + self.member("list_head", "prev"), at)

    def problem(self, mobility: dict[int, int] | None = None) -> str | None:
        view = NodeView(self.guest(), NODE, self.view.spans)
        return check_node(view, self.model, mobility, {FIRST + BLOCK})


@pytest.fixture(scope="module")
def sound(debug: DebugInfo) -> NodeMemory:
    return NodeMemory(debug)


def test_a_sound_node(sound: NodeMemory) -> None:
    assert sound.problem() is None
    assert sound.problem({FIRST: UNMOVABLE, FIRST + BLOCK: MOVABLE}) is None


DAMAGE: dict[str, Damage] = {
    "block_mobility of the page block 0x400 is 1, not 0": lambda m: m.put_virtual(TABLE, 1),
    "group 5 says that it has 3 page blocks": lambda m: m.in_group(MOVABLE, "nr_blocks", 3),
    "frame 0x403 says that it is in group 5": lambda m: m.in_page(FIRST + 3, "group", 5),
    "nr_free of zone 1 is 7": lambda m: m.in_zone("nr_free", 7),
    "page->lent of frame 0x400 is 4, not 69": lambda m: m.in_page(FIRST, "lent", 4),
    "page->lent of frame 0x410 is 3, not 0": lambda m: m.in_page(FIRST + 16, "lent", 3),
    "page->use of frame 0x800 is 0": lambda m: m.in_page(FIRST + BLOCK, "use", 0),
    "page->use of frame 0x400 is 65": lambda m: m.in_page(FIRST, "use", 65),
    "has room for 9 blocks": lambda m: m.in_list(m.list_of(0, 0), 3, limit=8, room=9),
    "has room for -1 blocks": lambda m: m.in_list(
        m.list_of(0, 0), 3, limit=8, room=(1 << 32) - 1
    ),
    "holds more than the 0 blocks": lambda m: m.in_list(
        m.list_of(0, 0), 3, limit=8, room=8, first=FIRST
    ),
    "leads to 0x0": lambda m: m.in_list(m.list_of(0, 0), 3, limit=8, room=7),
    "which a list holds already": lambda m: m.in_list(
        m.list_of(0, 0), 3, limit=8, room=7, first=FIRST + 16
    ),
    "which is not free": lambda m: m.in_list(
        m.list_of(0, 2), 3, limit=8, room=7, first=FIRST
    ),
    "which is another group's": lambda m: (
        m.in_list(m.list_of(0, 2), 3, limit=8, room=8),
        m.in_list(m.list_of(2, 2), 5, limit=8, room=7, first=FIRST + 16),
    )[0],
    "nobody has it": lambda m: m.in_list(m.list_of(0, 2), 3, limit=8, room=8),
    "group 5: free list 9 holds frame 0xa01": lambda m: m.free_lists(
        MOVABLE, {**m.free[MOVABLE], 9: [0xA01]}
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named(debug: DebugInfo, sound: NodeMemory, message: str) -> None:
    memory = NodeMemory.__new__(NodeMemory)
    vars(memory).update(vars(sound), ram=bytearray(sound.ram))
    DAMAGE[message](memory)
    problem = memory.problem({FIRST: UNMOVABLE, FIRST + BLOCK: MOVABLE})
    assert problem is not None and message in problem
