# SPDX-License-Identifier: MIT
"""ikos-page and ikos-memmap: what the kernel knows about single frames, and about all."""

import re
from collections import Counter

import gdb
from kernel import (
    DIRECT_MAP_BASE,
    KERNEL_BASE,
    KSTACK_BASE,
    MEMMAP_BASE,
    PAGE_SIZE,
    Frames,
    Memory,
    enumerators,
    evaluate,
    has_zones,
    kernel_type,
    plural,
    test_arena,
    variable,
)
from node import LENT_RUN, Node, lent_mark, mobilities, walk

_COLUMNS = 64  # of the picture


def to_physical(address: int) -> int:
    """What an address of the kernel is mapped to."""
    if DIRECT_MAP_BASE <= address < KSTACK_BASE:
        return address - DIRECT_MAP_BASE
    answer = gdb.execute(f"monitor gva2gpa {address:#x}", to_string=True)
    if found := re.search(r"gpa: (0x[0-9a-f]+)", answer):
        return int(found[1], 16)
    if address >= KERNEL_BASE:  # mapped so from the first instruction in long mode
        return address - KERNEL_BASE
    raise gdb.GdbError(f"address {address:#x} is not mapped")


def use_name(use: int) -> str:
    """page->use in words: enum page_use, and what compaction adds to it."""
    known = {number: name for name, number in enumerators("enum page_use").items()}
    for name in ("USE_MOVING", "USE_TAKEN"):
        try:
            known[int(gdb.parse_and_eval(name))] = name
        except gdb.error:
            continue
    if use not in known:
        return f"{use:#x}"
    return known[use].removeprefix("PAGE_").removeprefix("USE_").lower()


def where_kept(frames: Frames, pfn: int) -> str:
    """Where a block is that is allocated, but with no caller of alloc_pages()."""
    arena = test_arena()
    if not arena or not arena[0] <= pfn < arena[1]:
        node = Node()
        for zone in node.zones:
            for found in node.lists(zone):
                if pfn in walk(found, frames).blocks:
                    return f"free, in CPU {found.cpu}'s list of order {found.order}"
    return "in a CPU's list, or compaction's"


class IkosPage(gdb.Command):
    """Show what the kernel knows about one frame of memory.

    ikos-page FRAME | ADDRESS | PAGE

    FRAME is a frame number, ADDRESS one of the kernel's addresses (then the frame that it is
    mapped to is shown), PAGE a struct page or a pointer to one. A number that is too large for
    a frame number is a physical address. Shown are the frame's state, the block it is in, the
    state of that block's buddy, and its addresses; from lab 2 on also the zone and group of its
    page block, and who has the block. $page(FRAME) is the struct page of a frame.
    """

    def __init__(self) -> None:
        super().__init__("ikos-page", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("ikos-page: of which frame? Give its number, an address or a page")
        frames = Frames(Memory())
        pfn = self._frame(frames, evaluate(argument))
        print(f"frame {pfn:#x} ({pfn})")
        if frames.is_present(pfn):
            self._show(frames, pfn)
        else:
            print("  state       none: it has no struct page, so it is no memory")
        print(f"  physical    [{pfn * PAGE_SIZE:#x}, {(pfn + 1) * PAGE_SIZE:#x})")
        print(f"  direct map  {DIRECT_MAP_BASE + pfn * PAGE_SIZE:#x}")

    def _frame(self, frames: Frames, value: gdb.Value) -> int:
        kind = value.type.strip_typedefs()
        if str(kind.unqualified()) == "struct page" and value.address is not None:
            value = value.address
        elif kind.code not in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT):
            raise gdb.GdbError(f"a {value.type} is no frame number, address or page")
        number = int(value) & (1 << 64) - 1
        if MEMMAP_BASE <= number < frames.page_address(frames.end):
            return (number - MEMMAP_BASE) // frames.page_size
        if number < frames.end:
            return number
        return (to_physical(number) if number >> 63 else number) // PAGE_SIZE

    def _show(self, frames: Frames, pfn: int) -> None:
        state, order = frames.state(pfn), frames.order(pfn)
        name = frames.state_name(state)
        head = frames.block_of(pfn) if state != frames.reserved else None
        if state in (frames.free, frames.allocated):
            print(f"  state       {name}: the head of a block of order {order}")
        elif state == frames.tail:
            print("  state       tail: inside a block that a lower frame heads")
        elif state == frames.reserved:
            print("  state       reserved: no allocator has it")
        else:
            print(f"  state       {name}")
        if head is not None:
            self._show_block(frames, head)
        elif state != frames.reserved:
            print("  block       none holds it, which cannot be: see ikos-check")
        if state != frames.reserved and has_zones():
            self._show_zone(frames, pfn, head)
        arena = test_arena()
        if arena and arena[0] <= pfn < arena[1]:
            print(f"  test arena  [{arena[0]:#x}, {arena[1]:#x}): a running test's allocator")
        print(f"  struct page {frames.page_address(pfn):#x}")

    @staticmethod
    def _show_zone(frames: Frames, pfn: int, head: int | None) -> None:
        """What include/zone.h says of a frame, and of the block it is in."""
        number = frames.member("group", pfn)
        zone, mobility = divmod(number, len(mobilities()))
        names = [name.removeprefix("ZONE_").capitalize() for name in enumerators("enum zone_type")]
        name = "DMA" if names[zone] == "Dma" else names[zone]
        print(f"  group       {number}: zone {name}, {mobilities()[mobility]} page blocks")
        if head is None or frames.state(head) != frames.allocated:
            return
        lent, order = frames.member("lent", head), frames.order(head)
        if lent == lent_mark(order):
            print(f"  lent        yes, as a block of order {order}")
        elif lent == LENT_RUN:
            print("  lent        yes, as a part of a run")
        elif lent:
            print(f"  lent        {lent:#x}, which is not the mark of order {order}")
        else:
            print(f"  lent        no: {where_kept(frames, head)}")
        use = frames.member("use", head)
        print(f"  use         {use_name(use)}")

    @staticmethod
    def _show_block(frames: Frames, head: int) -> None:
        order = frames.order(head)
        state = frames.state_name(frames.state(head))
        print(
            f"  block       {head:#x}, {state}, order {order}:"
            f" {plural(1 << order, 'frame')} [{head:#x}, {head + (1 << order):#x})"
        )
        if order == frames.max_order:
            print("  buddy       none: the block is of the largest order")
            return
        buddy = head ^ 1 << order
        if not frames.is_present(buddy):
            print(f"  buddy       {buddy:#x}, no memory")
            return
        state, buddy_order = frames.state(buddy), frames.order(buddy)
        text = frames.state_name(state)
        if state in (frames.free, frames.allocated):
            same = "the same" if buddy_order == order else "it is split"
            text += f", order {buddy_order} ({same})"
        print(f"  buddy       {buddy:#x}, {text}")


class IkosMemmap(gdb.Command):
    """Show which memory there is, and what is free, as a table and a picture.

    ikos-memmap

    First the memory map as the firmware gave it and the kernel put it in order, then the
    ranges of frames that have a struct page. In the picture a character stands for the same
    number of frames everywhere:  . free   # allocated   - reserved   + of several kinds
    ? frames that a running test uses as it likes
    """

    def __init__(self) -> None:
        super().__init__("ikos-memmap", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        frames = Frames(Memory())
        self._show_map()
        per_column = max(1 << frames.max_order, -(-frames.end // _COLUMNS))
        print("frames with a struct page:")
        for first, end in frames.present:
            kinds = self._kinds(frames, first, end)
            count = Counter(kinds)
            print(
                f"  [{first:#x}, {end:#x}): {plural(end - first, 'frame')},"
                f" {(end - first) * PAGE_SIZE >> 20} MiB"
            )
            print(
                f"    free {count['.']}, allocated {count['#']}, reserved {count['-']}"
                + (f", a test's {count['?']}" if count["?"] else "")
                + (f", in no block {count['!']}" if count["!"] else "")
            )
            picture = [
                self._character(kinds[i : i + per_column]) for i in range(0, len(kinds), per_column)
            ]
            print(f"    {''.join(picture)}   {per_column} frames each")

    @staticmethod
    def _show_map() -> None:
        memory_map = variable("kernel/main.c", "memory_map")
        print("memory map:")
        for i in range(int(memory_map["nr"])):
            part = memory_map["range"][i]
            start, end = int(part["start"]), int(part["end"])
            kind = str(part["kind"]).removeprefix("MEMORY_").lower().replace("_", " ")
            print(f"  [{start:#14x}, {end:#14x})  {(end - start) >> 10:>10} KiB  {kind}")

    @staticmethod
    def _kinds(frames: Frames, first: int, end: int) -> str:
        """A character for each frame of [first, end): the kind of the block it is in."""
        states = frames.states(first, end)
        arena = test_arena()
        kinds = []
        i = 0
        while i < len(states):
            if arena and arena[0] <= first + i < arena[1]:
                kinds.append("?")
            elif states[i] in (frames.free, frames.allocated):
                size = 1 << min(frames.order(first + i), frames.max_order)
                kinds.append(("." if states[i] == frames.free else "#") * size)
            else:
                kinds.append("-" if states[i] == frames.reserved else "!")
            i += len(kinds[-1])
        return "".join(kinds)[: end - first]

    @staticmethod
    def _character(kinds: str) -> str:
        return kinds[0] if len(set(kinds)) == 1 else "+"


class Page(gdb.Function):
    """$page(FRAME): a pointer to the struct page of a frame."""

    def __init__(self) -> None:
        super().__init__("page")

    def invoke(self, pfn: gdb.Value) -> gdb.Value:
        return gdb.Value(MEMMAP_BASE).cast(kernel_type("struct page").pointer()) + int(pfn)


IkosPage()
IkosMemmap()
Page()
