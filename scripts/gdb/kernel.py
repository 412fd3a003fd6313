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
TOO_EARLY = ". Has the kernel come far enough? Try: tbreak ktest_run_cmdline, continue"

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
        raise gdb.GdbError(f"{what}: {error}{TOO_EARLY}") from None
    return value


def find_variable(file: str, name: str) -> gdb.Value | None:
    """A static variable of a file, if it has one. (Compilers name files in different ways.)"""
    for symbol in gdb.lookup_static_symbols(name):
        if f"/{symbol.symtab.filename}".endswith(f"/{file}"):
            return symbol.value()
    return None


def variable(file: str, name: str) -> gdb.Value:
    """A static variable that a file must have."""
    value = find_variable(file, name)
    if value is None:
        raise gdb.GdbError(f"{file} has no variable {name}: is this a kernel of another version?")
    return fetched(value, name)


def structure(expression: str, *names: str) -> gdb.Value:
    """The structure that an expression is, or points to. It must be one of these."""
    value = evaluate(expression)
    if value.is_optimized_out:
        raise gdb.GdbError(f"{expression} is optimized out here: try up, or another name for it")
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        value = value.dereference()
    if type_name(value) not in names:
        raise gdb.GdbError(f"{expression} is a {value.type}, not a {' or a '.join(names)}")
    return fetched(value, expression)


def type_name(value: gdb.Value) -> str:
    return str(value.type.strip_typedefs().unqualified())


def has_zones() -> bool:
    """Is this a kernel of lab 2 or later? Then its frames are those of the node "machine"."""
    return find_variable("mm/node_allocator.c", "machine") is not None


def lock_remark(lock: gdb.Value) -> str | None:
    """Said beside what may be the middle of an operation."""
    if int(lock["next"]) == int(lock["serving"]):
        return None
    holder = int(lock["holder"])
    who = f"CPU {holder - 1} holds" if holder else "somebody holds"
    return f"{who} its lock: this is the middle of an operation, which may explain it"


def source_line(found: gdb.Symtab_and_line) -> str:
    """FILE:LINE from the top of the tree, or nothing."""
    return f"{os.path.normpath(found.symtab.filename)}:{found.line}" if found.symtab else ""


def address_of(pointer: gdb.Value) -> int:
    return int(pointer) & _ADDRESS_MASK


def offset_of(type_name: str, member: str) -> int:
    """Of a member of a structure, in bytes."""
    for field in kernel_type(type_name).fields():
        if field.name == member:
            return field.bitpos // 8
    raise gdb.GdbError(f"{type_name} has no member {member}: is this a kernel of another version?")


def kernel_type(name: str) -> gdb.Type:
    """A type of the kernel, also while a program is stopped that has one of the same name."""
    found = gdb.lookup_global_symbol("panic")
    try:
        where = (found.symtab.global_block(),) if found else ()
        return gdb.lookup_type(name, *where)
    except gdb.error as error:
        raise gdb.GdbError(f"{error} Is this a kernel of another version?") from None


def enumerators(type_name: str) -> dict[str, int]:
    return {field.name: field.enumval for field in kernel_type(type_name).fields()}


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
            except (gdb.MemoryError, OverflowError):
                text = f"address {base:#x} is not mapped on this CPU{TOO_EARLY}"
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
        self.page_size = kernel_type("struct page").sizeof
        self._offsets = {
            field.name: field.bitpos // 8 for field in kernel_type("struct page").fields()
        }
        numbers = enumerators("enum page_state")
        self.reserved, self.tail, self.free, self.allocated = (numbers[s] for s in self.STATES)
        self._names = {
            value: name.removeprefix("PAGE_").lower() for name, value in numbers.items()
        }
        self.max_order = int(kernel_type("struct buddy")["area"].type.range()[1])
        self.present = self._read_present()

    @staticmethod
    def _read_present() -> list[tuple[int, int]]:
        """The ranges of frames that have pages: see mm/page_frame.c."""
        table = variable("mm/page_frame.c", "present")
        ranges = [table["range"][i] for i in range(int(table["nr"]))]
        if not ranges:
            raise gdb.GdbError(f"there are no pages yet{TOO_EARLY}")
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
        return self.pfn_of_page(address - self._offsets["link"])

    def state(self, pfn: int) -> int:
        return self.member("state", pfn)

    def order(self, pfn: int) -> int:
        return self.member("order", pfn)

    def states(self, first: int, end: int) -> bytes:
        """The states of the frames [first, end), one byte each."""
        return self.members("state", first, end)

    def members(self, name: str, first: int, end: int) -> bytes:
        """A member of one byte of the pages of the frames [first, end)."""
        size = (end - first) * self.page_size
        at = self._offsets[name]
        return self.memory.read(self.page_address(first), size)[at :: self.page_size]

    def member(self, name: str, pfn: int) -> int:
        return self.members(name, pfn, pfn + 1)[0]

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

    def __init__(self, expression: str, value: gdb.Value | None = None) -> None:
        self.expression = expression.strip()
        self.value = structure(self.expression, "struct buddy") if value is None else value
        self.frames_free = int(self.value["frames_free"])
        self.frames_managed = int(self.value["frames_managed"])
        self.nonempty = int(self.value["nonempty"])
        self.first, self.end = int(self.value["first"]), int(self.value["end"])
        if int(self.value["area"][0]["list"]["next"]) == 0:
            raise gdb.GdbError(f"{self.expression} has not been set up yet{TOO_EARLY}")

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
        return lock_remark(self.value["lock"])

    def own(self, frames: Frames, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [first, end) that are not another allocator's, of those in its span."""
        owners = address_of(self.value["block_owner"])
        if not owners:
            yield first, end
            return
        own, size = int(self.value["owner"]), 1 << frames.max_order
        begin = None
        for at in range(first // size * size, end, size):
            ours = frames.memory.read(owners + (at - self.first) // size, 1)[0] == own
            if ours and begin is None:
                begin = max(at, first)
            elif not ours and begin is not None:
                yield begin, at
                begin = None
        if begin is not None:
            yield begin, end


def borrowed_by_test(first: int, end: int) -> tuple[int, int] | None:
    """Those frames in an allocator's span that a test uses for allocators of its own."""
    arena = test_arena()
    if arena and not arena[0] <= first <= end <= arena[1]:
        both = max(first, arena[0]), min(end, arena[1])
        return both if both[0] < both[1] else None
    return None


def test_remark(arena: tuple[int, int]) -> str:
    """Said where a running test's frames are not looked at."""
    first, end = arena
    return (
        f"not looked at: frames [{first:#x}, {end:#x}) of a running test. Name its allocator"
        " (the_lab.buddy in lab 1, &the_lab2.node in lab 2)"
    )


def test_arena() -> tuple[int, int] | None:
    """The frames that a running test does with as it likes: kernel/test/test_arena.c."""
    if not bool(variable("kernel/test/test_arena.c", "used")):
        return None
    arena = variable("kernel/test/test_arena.c", "arena")
    return int(arena["first"]), int(arena["end"])
