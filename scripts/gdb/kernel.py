# SPDX-License-Identifier: MIT
"""The stopped kernel as the commands see it: memory, types, frames, lists.

Everything is read, nothing in the guest is called or changed. The kernel may be damaged, which
is why somebody looks at it: so no list is followed without a limit, and no link is believed
before it was seen to lead to a page that exists.
"""

import os
import struct
from collections.abc import Iterator

import gdb

DIRECT_MAP_BASE = 0xFFFF800000000000
KSTACK_BASE = 0xFFFFC00000000000
MEMMAP_BASE = 0xFFFFE00000000000
KERNEL_BASE = 0xFFFFFFFF80000000

PAGE_SIZE = 4096
_ADDRESS_MASK = (1 << 64) - 1

# Said where an address is not mapped, which at the start of the machine is no fault.
_TOO_EARLY = ". Has the kernel come far enough? Try: tbreak ktest_run_cmdline, continue"

# What may be in a list before it counts as endless.
LIST_LIMIT = 1 << 22


def evaluate(expression: str) -> gdb.Value:
    """The value of an expression of C, in the selected frame."""
    try:
        return gdb.parse_and_eval(expression)
    except gdb.error as error:
        raise gdb.GdbError(f"{expression}: {error}") from None


def fetched(value: gdb.Value, what: str) -> gdb.Value:
    """The value, read from memory now and not when it is looked at."""
    try:
        value.fetch_lazy()
    except gdb.error as error:
        raise gdb.GdbError(f"{what}: {error}{_TOO_EARLY}") from None
    return value


def variable(file: str, name: str) -> gdb.Value:
    """A static variable of a file. (Compilers name files in different ways.)"""
    for symbol in gdb.lookup_static_symbols(name):
        if f"/{symbol.symtab.filename}".endswith(f"/{file}"):
            return fetched(symbol.value(), name)
    raise gdb.GdbError(f"{file} has no variable {name}: is this a kernel of another version?")


def source_line(found: gdb.Symtab_and_line) -> str:
    """FILE:LINE from the top of the tree, or nothing."""
    return f"{os.path.normpath(found.symtab.filename)}:{found.line}" if found.symtab else ""


def address_of(pointer: gdb.Value) -> int:
    return int(pointer) & _ADDRESS_MASK


def offset_of(type_name: str, member: str) -> int:
    """Of a member of a structure, in bytes."""
    for field in gdb.lookup_type(type_name).fields():
        if field.name == member:
            return field.bitpos // 8
    raise gdb.GdbError(f"{type_name} has no member {member}: is this a kernel of another version?")


def enumerators(type_name: str) -> dict[str, int]:
    return {field.name: field.enumval for field in gdb.lookup_type(type_name).fields()}


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Memory:
    """The guest's memory, each 4 KiB of it fetched once. Made anew by every command."""

    def __init__(self) -> None:
        self._inferior = gdb.selected_inferior()
        self._chunks: dict[int, bytes] = {}
        if not self._inferior.is_valid() or self._inferior.pid == 0:
            raise gdb.GdbError("no machine is attached: start one with make gdb or make replay")

    def read(self, address: int, size: int) -> bytes:
        parts = []
        while size > 0:
            base = address & ~(PAGE_SIZE - 1)
            at = address - base
            parts.append(self._chunk(base)[at : at + size])
            size -= len(parts[-1])
            address += len(parts[-1])
        return b"".join(parts)

    def _chunk(self, base: int) -> bytes:
        if base not in self._chunks:
            try:
                self._chunks[base] = bytes(self._inferior.read_memory(base, PAGE_SIZE))
            except gdb.MemoryError:
                text = f"address {base:#x} is not mapped on this CPU{_TOO_EARLY}"
                raise gdb.GdbError(text) from None
        return self._chunks[base]

    def word(self, address: int) -> int:
        return int(struct.unpack("<Q", self.read(address, 8))[0])

    def is_readable(self, address: int, size: int) -> bool:
        try:
            self.read(address, size)
        except gdb.GdbError:
            return False
        return True


class Frames:
    """struct page of every frame that has one."""

    STATES = ("PAGE_RESERVED", "PAGE_TAIL", "PAGE_FREE", "PAGE_ALLOCATED")

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.page_size = gdb.lookup_type("struct page").sizeof
        self._state_at = offset_of("struct page", "state")
        self._order_at = offset_of("struct page", "order")
        self._link_at = offset_of("struct page", "link")
        numbers = enumerators("enum page_state")
        self.reserved, self.tail, self.free, self.allocated = (numbers[s] for s in self.STATES)
        self._names = {
            value: name.removeprefix("PAGE_").lower() for name, value in numbers.items()
        }
        self.max_order = int(gdb.lookup_type("struct buddy")["area"].type.range()[1])
        self.present = self._read_present()

    @staticmethod
    def _read_present() -> list[tuple[int, int]]:
        """The ranges of frames that have pages: see mm/page_frame.c."""
        table = variable("mm/page_frame.c", "present")
        ranges = [table["range"][i] for i in range(int(table["nr"]))]
        if not ranges:
            raise gdb.GdbError(f"there are no pages yet{_TOO_EARLY}")
        return [(int(part["first"]), int(part["end"])) for part in ranges]

    @property
    def end(self) -> int:
        return self.present[-1][1]

    def is_present(self, pfn: int) -> bool:
        return any(first <= pfn < end for first, end in self.present)

    def within(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [first, end) that have pages."""
        for low, high in self.present:
            if max(low, first) < min(high, end):
                yield max(low, first), min(high, end)

    def page_address(self, pfn: int) -> int:
        return MEMMAP_BASE + pfn * self.page_size

    def pfn_of_page(self, address: int) -> int | None:
        """Of the page at an address; None if there is none at exactly that address."""
        pfn, rest = divmod(address - MEMMAP_BASE, self.page_size)
        return pfn if rest == 0 and self.is_present(pfn) else None

    def pfn_of_link(self, address: int) -> int | None:
        """Of the page whose member link is at an address."""
        return self.pfn_of_page(address - self._link_at)

    def state(self, pfn: int) -> int:
        return self.memory.read(self.page_address(pfn) + self._state_at, 1)[0]

    def order(self, pfn: int) -> int:
        return self.memory.read(self.page_address(pfn) + self._order_at, 1)[0]

    def states(self, first: int, end: int) -> bytes:
        """The states of the frames [first, end), one byte each."""
        size = (end - first) * self.page_size
        return self.memory.read(self.page_address(first), size)[self._state_at :: self.page_size]

    def state_name(self, state: int) -> str:
        return self._names.get(state, f"impossible ({state})")

    def block_of(self, pfn: int) -> int | None:
        """The head of the block that holds a frame, if the pages say so."""
        for order in range(self.max_order + 1):
            head = pfn >> order << order
            if not self.is_present(head) or self.state(head) not in (self.free, self.allocated):
                continue
            if order <= self.order(head) <= self.max_order:
                return head
        return None


class ListBroken(Exception):
    """A list that cannot be followed further; the text says where and why."""


def follow_list(memory: Memory, head: int, limit: int = LIST_LIMIT) -> Iterator[int]:
    """The entries of the circular list at head: addresses of struct list_head.

    Raises ListBroken where a link leads nowhere, or an entry does not lead back.
    """
    previous, entry, count = head, memory.word(head), 0
    while True:
        if entry % 8 or not memory.is_readable(entry, 16):
            raise ListBroken(f"the next of {previous:#x} is {entry:#x}, which is no list_head")
        back = memory.word(entry + 8)
        if back != previous:
            raise ListBroken(f"{entry:#x} comes after {previous:#x}, but its prev is {back:#x}")
        if entry == head:
            return
        count += 1
        if count > limit:
            raise ListBroken(f"it has more than {limit} entries")
        yield entry
        previous, entry = entry, memory.word(entry)


class Buddy:
    """A struct buddy, by an expression for it or for a pointer to it."""

    DEFAULT = "mm_frames"

    def __init__(self, expression: str) -> None:
        self.expression = expression.strip() or self.DEFAULT
        value = evaluate(self.expression)
        if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
            value = value.dereference()
        if str(value.type.strip_typedefs().unqualified()) != "struct buddy":
            raise gdb.GdbError(f"{self.expression} is a {value.type}, not a struct buddy")
        self.value = fetched(value, self.expression)
        self.frames_free = int(value["frames_free"])
        self.frames_managed = int(value["frames_managed"])
        self.nonempty = int(value["nonempty"])
        self.first, self.end = int(value["first"]), int(value["end"])
        if self.end == 0:
            raise gdb.GdbError(f"{self.expression} has not been set up yet{_TOO_EARLY}")

    @property
    def name(self) -> str:
        try:
            return str(self.value["name"].string())
        except gdb.error:
            return "?"

    def nr_free(self, order: int) -> int:
        return int(self.value["area"][order]["nr_free"])

    def list_head(self, order: int) -> int:
        return address_of(self.value["area"][order]["list"].address)

    def lock_remark(self) -> str | None:
        """Said beside what may be the middle of an operation."""
        lock = self.value["lock"]
        if int(lock["next"]) == int(lock["serving"]):
            return None
        holder = int(lock["holder"])
        who = f"CPU {holder - 1} holds" if holder else "somebody holds"
        return f"{who} its lock: this is the middle of an operation, which may explain it"


def borrowed_by_test(buddy: Buddy) -> tuple[int, int] | None:
    """Those frames in an allocator's span that a test uses for allocators of its own."""
    arena = test_arena()
    if arena and buddy.first <= arena[0] and arena[1] <= buddy.end:
        return None if (buddy.first, buddy.end) == arena else arena
    return None


def test_remark(arena: tuple[int, int]) -> str:
    """Said where a running test's frames are not looked at."""
    first, end = arena
    return (
        f"not looked at: frames [{first:#x}, {end:#x}) of a running test. Name its allocator"
        " (the_lab.buddy in lab 1)"
    )


def test_arena() -> tuple[int, int] | None:
    """The frames that a running test does with as it likes: kernel/test/test_arena.c."""
    if not bool(variable("kernel/test/test_arena.c", "used")):
        return None
    arena = variable("kernel/test/test_arena.c", "arena")
    return int(arena["first"]), int(arena["end"])
