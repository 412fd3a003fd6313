# SPDX-License-Identifier: MIT
"""The stopped kernel's heap: caches, slabs, magazines, quarantines, and who used an object.

What is said here is read from include/slab.h and mm/heap_guard.c. No pointer is followed before
it was seen to lead to memory, and no list further than its slabs can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import gdb
from kernel import (
    DIRECT_MAP_BASE,
    PAGE_SIZE,
    Frames,
    ListBroken,
    Memory,
    address_of,
    enumerators,
    evaluate,
    fetched,
    follow_list,
    offset_of,
)
from threads import places_at

# As in include/memory_advanced.h and include/slab.h.
FLAGS = {
    1 << 0: "no merge", 1 << 1: "no protection", 1 << 2: "check", 1 << 3: "red zones",
    1 << 4: "poison", 1 << 5: "users", 1 << 16: "no magazines", 1 << 17: "kmalloc",
    1 << 18: "static",
}  # fmt: skip
RED_ZONE, POISON, STORE_USER = 1 << 3, 1 << 4, 1 << 5
GUARDED = RED_ZONE | POISON | STORE_USER

# As in mm/heap_guard.c.
ZONE_BYTES = 64
FILL_RED, FILL_FREED = 0xC3, 0x9D

KINDS = ("full", "partial", "empty")


def pointer_type(name: str) -> gdb.Type:
    return gdb.lookup_type(name).pointer()


def at(name: str, address: int) -> gdb.Value:
    """The structure of that name at an address, read now."""
    return fetched(gdb.Value(address).cast(pointer_type(name)).dereference(), name)


def guard_type(name: str) -> gdb.Type:
    """A structure of mm/heap_guard.c, which other files may have another of that name of."""
    symbol = gdb.lookup_global_symbol("guard_size")
    if symbol is None:
        raise gdb.GdbError(f"there is no struct {name}: is this a kernel of another version?")
    return gdb.lookup_type(f"struct {name}", symbol.symtab.static_block())


def site(address: int) -> str:
    """FUNCTION (FILE:LINE) of the call that returns to an address."""
    for place in places_at(address - 1):
        return str(place)
    return f"{address:#x}"


def text(value: gdb.Value) -> str:
    """An array of characters, as far as it is readable."""
    return bytes(int(c) & 0xFF for c in _until_zero(value)).decode("ascii", "replace")


def _until_zero(value: gdb.Value) -> Iterator[gdb.Value]:
    for i in range(int(value.type.range()[1]) + 1):
        if int(value[i]) == 0:
            return
        yield value[i]


# ---- One object -------------------------------------------------------------------------------


class Record:
    """What a guarded object's record says: it lies before the first red zone."""

    def __init__(self, memory: Memory, object_address: int) -> None:
        kind = guard_type("record")
        address = object_address - ZONE_BYTES - kind.sizeof
        self.object, self._memory = object_address, memory
        self.first = address
        self.value = fetched(gdb.Value(address).cast(kind.pointer()).dereference(), "record")
        self.size, self.room = int(self.value["size"]), int(self.value["room"])

    @property
    def state(self) -> str:
        names = {number: name for name, number in enumerators("enum record_state").items()}
        number = int(self.value["state"])
        return names.get(number, f"{number:#x}").removeprefix("RECORD_").lower()

    def _other_than(self, fill: int, offset: int, size: int) -> int | None:
        """The offset of the first byte of a range that does not hold what it should."""
        found = self._memory.read(self.object + offset, size)
        rest = found.lstrip(bytes([fill]))
        return offset + size - len(rest) if rest else None

    def zone_damage(self) -> int | None:
        """The offset, from the object, of the first byte of its red zones that was changed."""
        before = self._other_than(FILL_RED, -ZONE_BYTES, ZONE_BYTES)
        if before is not None:
            return before
        if self.room < self.size or self.room > 1 << 24:
            return None
        return self._other_than(FILL_RED, self.size, self.room - self.size)

    def freed_damage(self) -> int | None:
        return self._other_than(FILL_FREED, 0, self.size)

    def byte(self, offset: int) -> int:
        return self._memory.read(self.object + offset, 1)[0]

    def history(self) -> Iterator[tuple[str, str]]:
        """("allocated" or "freed", by whom and where)."""
        for verb, stem in (("allocated", "alloc"), ("freed", "free")):
            address = int(self.value[f"{stem}_site"])
            if address:
                cpu, cycle = self.value[f"{stem}_cpu"], self.value[f"{stem}_cycles"]
                yield verb, f"by {site(address)} on CPU {int(cpu)}, cycle {int(cycle)}"


# ---- Slabs ------------------------------------------------------------------------------------


class Slab:
    """A struct slab at an address that is known to be readable."""

    def __init__(self, memory: Memory, address: int, cache: "Cache") -> None:
        value = at("struct slab", address)
        self.address, self.cache = address, cache
        self.cache_address = address_of(value["cache"])
        self.first, self.nr_free = address_of(value["first"]), int(value["nr_free"])
        self.page = address_of(value["page"])
        bitmap = memory.read(address + offset_of("struct slab", "free"), 8 * cache.nr_words)
        self.bits = int.from_bytes(bitmap, "little")

    def is_free(self, index: int) -> bool:
        return bool(self.bits >> index & 1)

    def object(self, index: int) -> int:
        return self.first + index * self.cache.stride

    def index(self, address: int) -> int:
        """Of the object whose stride an address lies in; negative before the first one."""
        return (address - self.first) // self.cache.stride

    def errors(self, kind: str, frames: Frames) -> Iterator[str]:
        """Where it does not agree with itself, as the slab of that list."""
        nr_set = self.bits.bit_count()
        if self.cache_address != self.cache.address:
            yield f"says that it is of the cache at {self.cache_address:#x}"
        if self.bits >> self.cache.nr_objects:
            yield f"its bitmap has bits beyond object {self.cache.nr_objects - 1}"
        if nr_set != self.nr_free:
            yield f"nr_free is {self.nr_free}, but {nr_set} bits are set"
        right = "full" if nr_set == 0 else "empty" if nr_set == self.cache.nr_objects else "partial"
        if kind != right:
            yield f"is on the list of those that are {kind}, but is {right}"
        pfn = frames.pfn_of_page(self.page)
        if pfn is None:
            yield f"its page is {self.page:#x}, which is none"
            return
        for i in range(1 << self.cache.order):
            if page_use(frames, pfn + i) != ("PAGE_USE_SLAB", self.address):
                yield f"the page of frame {pfn + i:#x} is not marked as its"


def page_use(frames: Frames, pfn: int) -> tuple[str, int]:
    """What the owner of a frame uses it for, and what it says beside that."""
    page = at("struct page", frames.page_address(pfn))
    names = {number: name for name, number in enumerators("enum page_use").items()}
    use = int(page["use"])
    return names.get(use, f"{use:#x}"), int(page["owner"])


# ---- Caches -----------------------------------------------------------------------------------


@dataclass
class Magazine:
    """What one CPU holds ready: the last object is the next to be handed out."""

    cpu: int
    capacity: int
    nr: int
    objects: list[int] = field(default_factory=list)


class Cache:
    """A struct kmem_cache."""

    def __init__(self, memory: Memory, address: int) -> None:
        self.memory, self.address = memory, address
        self.value = at("struct kmem_cache", address)
        self.name = text(self.value["name"]) or "?"
        for name in ("flags", "size", "stride", "nr_objects", "nr_words"):
            setattr(self, name, int(self.value[name]))
        self.guard_before = int(self.value["guard_before"])
        self.guard_after = int(self.value["guard_after"])
        self.order, self.max_empty = int(self.value["order"]), int(self.value["max_empty"])

    flags: int
    size: int
    stride: int
    nr_objects: int
    nr_words: int

    @property
    def flag_names(self) -> str:
        return ", ".join(name for bit, name in FLAGS.items() if self.flags & bit) or "none"

    @property
    def waste(self) -> float:
        """The share of a slab that is no object's: header, guards, padding, rest."""
        return 1 - self.nr_objects * self.size / (PAGE_SIZE << self.order)

    def nr_slabs(self, kind: str) -> int:
        return sum(int(node["nr"][KINDS.index(kind)]) for node in self._nodes())

    def _nodes(self) -> Iterator[gdb.Value]:
        nodes = self.value["node"]
        for i in range(int(nodes.type.range()[1]) + 1):
            yield nodes[i]

    def lock(self) -> gdb.Value:
        return self.value["node"][0]["lock"]

    def slabs(self, kind: str) -> Iterator[Slab]:
        """Those of one list. Raises ListBroken where it cannot be followed."""
        link_at = offset_of("struct slab", "link")
        for node in self._nodes():
            head = node["list"][KINDS.index(kind)]
            for link in follow_list(self.memory, address_of(head.address), 1 << 20):
                yield Slab(self.memory, link - link_at, self)

    @cached_property
    def magazines(self) -> list[Magazine]:
        found = []
        for cpu in range(min(int(evaluate("nr_cpus")), 64)):
            address = address_of(self.value["magazine"][cpu])
            value = at("struct magazine", address)
            magazine = Magazine(cpu, int(value["capacity"]), int(value["nr"]))
            first = address + offset_of("struct magazine", "object")
            for i in range(min(magazine.nr, magazine.capacity)):
                magazine.objects.append(self.memory.word(first + 8 * i))
            if magazine.capacity or magazine.nr:
                found.append(magazine)
        return found

    @cached_property
    def quarantine(self) -> list[int]:
        """Objects that were freed, the oldest first."""
        address = address_of(self.value["quarantine"])
        if not address:
            return []
        kind = guard_type("heap_quarantine")
        ring = fetched(gdb.Value(address).cast(kind.pointer()).dereference(), "quarantine")
        first, nr, capacity = (int(ring[name]) for name in ("first", "nr", "capacity"))
        if not 0 < capacity <= PAGE_SIZE // 8 or nr > capacity:
            raise gdb.GdbError(f"{self.name}: its quarantine says {nr} objects of {capacity}")
        return [
            self.memory.word(address + kind.sizeof + 8 * ((first + i) % capacity))
            for i in range(nr)
        ]

    @cached_property
    def waiting(self) -> dict[int, str]:
        """Where an object is that is neither a caller's nor in its slab: by address."""
        found = {object_address: "q" for object_address in self.quarantine}
        for magazine in self.magazines:
            for object_address in magazine.objects:
                found[object_address] = "m"
        return found

    def slab_at(self, address: int) -> Slab:
        return Slab(self.memory, address, self)

    def aliases(self) -> Iterator[str]:
        head = address_of(self.value["aliases"].address)
        link_at = offset_of("struct cache_alias", "link")
        for link in follow_list(self.memory, head, 1000):
            yield text(at("struct cache_alias", link - link_at)["name"])


def all_caches(memory: Memory) -> Iterator[Cache]:
    symbol = gdb.lookup_global_symbol("all_caches")
    if symbol is None:
        raise gdb.GdbError("this kernel has no caches: they come with lab 3")
    head = address_of(symbol.value().address)
    if memory.word(head) == 0:
        raise gdb.GdbError("there are no caches yet")
    link_at = offset_of("struct kmem_cache", "link")
    try:
        for link in follow_list(memory, head, 10000):
            yield Cache(memory, link - link_at)
    except ListBroken as broken:
        print(f"the list of caches is broken: {broken}")


def cache_of_frame(memory: Memory, frames: Frames, pfn: int) -> Slab | None:
    """The slab that a frame is of, if it is of a slab of a cache that is on the list."""
    use, owner = page_use(frames, pfn)
    if use != "PAGE_USE_SLAB" or not memory.is_readable(owner, 64):
        return None
    address = address_of(at("struct slab", owner)["cache"])
    known = next((cache for cache in all_caches(memory) if cache.address == address), None)
    return known.slab_at(owner) if known else None


def frame_of(address: int) -> int:
    """Of an address in the direct map."""
    return (address - DIRECT_MAP_BASE) // PAGE_SIZE
