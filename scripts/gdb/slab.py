# SPDX-License-Identifier: MIT
"""ikos-slabs and ikos-object: what the caches hold, and what an address of the heap is."""

from dataclasses import dataclass, field

import gdb
from heap import (
    FILL_FREED,
    GUARDED,
    KINDS,
    POISON,
    RED_ZONE,
    ZONE_BYTES,
    Cache,
    Record,
    Slab,
    all_caches,
    cache_of_frame,
    frame_of,
    page_use,
)
from kernel import (
    DIRECT_MAP_BASE,
    KSTACK_BASE,
    MEMMAP_BASE,
    PAGE_SIZE,
    Frames,
    ListBroken,
    Memory,
    address_of,
    evaluate,
    lock_remark,
    plural,
)
from large import LargeRange, is_large_address

_COLUMNS = 64  # of a strip
_SHOWN = 6  # addresses of a magazine or a quarantine
_SLABS_SHOWN = 32  # of one kind
_ERRORS_SHOWN = 4  # of one cache among others
_LARGE_GUARDED = 1 << 63  # in the owner of a large object's first page: mm/heap_protection.h


# ---- ikos-slabs -------------------------------------------------------------------------------


@dataclass
class Census:
    """What walking through all slabs of a cache came to."""

    nr_slabs: dict[str, int] = field(default_factory=dict)
    free: int = 0
    objects: int = 0
    errors: list[str] = field(default_factory=list)


def count(cache: Cache, frames: Frames) -> Census:
    census = Census()
    for kind in KINDS:
        census.nr_slabs[kind] = 0
        try:
            for slab in cache.slabs(kind):
                census.nr_slabs[kind] += 1
                census.free += slab.bits.bit_count()
                census.objects += cache.nr_objects
                census.errors += [f"slab {slab.address:#x}: {e}" for e in slab.errors(kind, frames)]
        except ListBroken as broken:
            census.errors.append(f"the list of {kind} slabs is broken: {broken}")
        if census.nr_slabs[kind] != cache.nr_slabs(kind):
            census.errors.append(
                f"{cache.nr_slabs(kind)} {kind} slabs are counted,"
                f" but {census.nr_slabs[kind]} are on the list"
            )
    census.errors += magazine_errors(cache, frames)
    return census


def magazine_errors(cache: Cache, frames: Frames) -> list[str]:
    """What is in a magazine or in quarantine, and should not be."""
    errors = []
    seen: dict[int, str] = {}
    holders = [(f"CPU {m.cpu}'s magazine", m.objects) for m in cache.magazines]
    for holder, objects in [*holders, ("the quarantine", cache.quarantine)]:
        for address in objects:
            if address in seen:
                errors.append(f"object {address:#x} is in {seen[address]} and in {holder}")
            seen[address] = holder
            slab = slab_of(cache, frames, address)
            index = slab.index(address) if slab else -1
            if not slab or not 0 <= index < cache.nr_objects or slab.object(index) != address:
                errors.append(f"{address:#x} in {holder} is no object of the cache")
            elif slab.is_free(index):
                errors.append(f"object {address:#x} in {holder} is also free in its slab")
    for magazine in cache.magazines:
        if magazine.nr > magazine.capacity:
            errors.append(
                f"CPU {magazine.cpu}'s magazine says {magazine.nr} objects of {magazine.capacity}"
            )
    return errors


def slab_of(cache: Cache, frames: Frames, address: int) -> Slab | None:
    """The slab of the cache that an address lies in."""
    pfn = frame_of(address)
    if pfn < 0 or not frames.is_present(pfn):
        return None
    use, owner = page_use(frames, pfn)
    if use != "PAGE_USE_SLAB" or not cache.memory.is_readable(owner, 64):
        return None
    slab = cache.slab_at(owner)
    return slab if slab.cache_address == cache.address else None


class IkosSlabs(gdb.Command):
    """Show the caches of objects and what they hold, or all slabs of one cache.

    ikos-slabs [CACHE]

    Without CACHE, a line for each cache: the size of an object, the order of its slabs, objects
    in use, held in magazines, in quarantine and free in slabs, slabs that are full, partial and
    empty, and which part of a slab no object can use. CACHE is a name as in that table, or a
    struct kmem_cache or a pointer to one. Then each slab is shown with a character for each
    object:  # in use   . free   m in a magazine   q in quarantine   ! in two of these
    and magazines with the object first that is handed out next. Contradictions are named.
    """

    def __init__(self) -> None:
        super().__init__("ikos-slabs", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        memory = Memory()
        frames = Frames(memory)
        caches = list(all_caches(memory))
        if argument.strip():
            for cache in find_caches(memory, caches, argument.strip()):
                self._show_cache(cache, frames)
            return
        print(
            f"{'cache':<20} bytes order   in use    held   quar    free"
            "  full/part/empty  waste"
        )
        errors: list[str] = []
        nr_frames = 0
        for cache in caches:
            census = count(cache, frames)
            nr_frames += sum(census.nr_slabs.values()) << cache.order
            self._show_row(cache, census)
            errors += [f"{cache.name}: {error}" for error in census.errors[:_ERRORS_SHOWN]]
            if len(census.errors) > _ERRORS_SHOWN:
                errors.append(f"{cache.name}: more: see ikos-slabs {cache.name}")
        print(f"{plural(len(caches), 'cache')}, {plural(nr_frames, 'frame')}")
        for error in errors:
            print(f"  {error}")
        if not errors:
            print("  no contradiction")

    @staticmethod
    def _show_row(cache: Cache, census: Census) -> None:
        held = sum(len(magazine.objects) for magazine in cache.magazines)
        resting = len(cache.quarantine)
        slabs = "/".join(str(census.nr_slabs[kind]) for kind in KINDS)
        print(
            f"{cache.name:<20} {cache.size:5} {cache.order:5}"
            f" {census.objects - census.free - held - resting:8} {held:7} {resting:6}"
            f" {census.free:7}  {slabs:>15} {cache.waste:6.1%}"
            + ("  <- see below" if census.errors else "")
        )
        for alias in cache.aliases():
            print(f"{alias:<20} is {cache.name}")

    @staticmethod
    def _show_cache(cache: Cache, frames: Frames) -> None:
        print(
            f"{cache.name}: objects of {cache.size} bytes, one every {cache.stride},"
            f" {cache.nr_objects} to a slab of order {cache.order}; {cache.flag_names}"
        )
        census = count(cache, frames)
        for kind in KINDS:
            kept = f" of at most {cache.max_empty} kept" if kind == "empty" else ""
            print(f"  {kind} slabs: {census.nr_slabs[kind]}{kept}")
            try:
                for number, slab in enumerate(cache.slabs(kind)):
                    if number == _SLABS_SHOWN:
                        print("    ...")
                        break
                    show_slab(slab, frames)
            except ListBroken:
                pass  # named below
        for magazine in cache.magazines:
            objects = f"{len(magazine.objects)} of {magazine.capacity}"
            print(f"  CPU {magazine.cpu}: {objects}{shown(magazine.objects[::-1])}")
        if cache.flags & POISON:
            print(f"  quarantine: {len(cache.quarantine)}{shown(cache.quarantine)}")
        show_errors(census.errors, lock_remark(cache.lock()))


def find_caches(memory: Memory, caches: list[Cache], argument: str) -> list[Cache]:
    """Those of that name, which several may have; or the one that an expression is."""
    if named := [c for c in caches if argument == c.name or argument in c.aliases()]:
        return named
    try:
        value = evaluate(argument)
    except gdb.GdbError:
        raise gdb.GdbError(f"there is no cache {argument}: see ikos-slabs") from None
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        address, kind = address_of(value), kind.target().strip_typedefs()
    else:
        address = address_of(value.address) if value.address is not None else 0
    if str(kind.unqualified()) != "struct kmem_cache":
        raise gdb.GdbError(f"{argument} is a {value.type}, not a cache")
    if found := [cache for cache in caches if cache.address == address]:
        return found
    raise gdb.GdbError(f"{argument} is on no list of caches: nobody has used it, or it is gone")


def show_errors(errors: list[str], remark: str | None = None) -> None:
    for error in errors:
        print(f"  {error}")
    print(f"  {plural(len(errors), 'contradiction') if errors else 'no contradiction'}")
    if errors and remark:
        print(f"  {remark}")


def shown(addresses: list[int]) -> str:
    if not addresses:
        return ""
    more = " ..." if len(addresses) > _SHOWN else ""
    return ": " + " ".join(f"{address:#x}" for address in addresses[:_SHOWN]) + more


def show_slab(slab: Slab, frames: Frames) -> None:
    cache, waiting = slab.cache, slab.cache.waiting
    pfn = frames.pfn_of_page(slab.page)
    frame = f"frame {pfn:#x}" if pfn is not None else f"page {slab.page:#x}"
    print(f"    {slab.address:#x}, {frame}: {slab.nr_free} free of {cache.nr_objects}")
    strip = ""
    for index in range(cache.nr_objects):
        place = waiting.get(slab.object(index))
        if slab.is_free(index):
            strip += "!" if place else "."
        else:
            strip += place or "#"
    for start in range(0, len(strip), _COLUMNS):
        print(f"      {start:4} {strip[start : start + _COLUMNS]}")


# ---- ikos-object ------------------------------------------------------------------------------


class IkosObject(gdb.Command):
    """Show which object an address lies in, who has it, and whether it is damaged.

    ikos-object ADDRESS

    ADDRESS is any address, or a pointer. Of an object of a cache are shown: cache, slab, which
    object of the slab and which byte of it, and whether it is in use, in a CPU's magazine, in
    quarantine or free; if the cache guards its objects also the size that was asked for, who
    allocated and freed it, and the first byte of a red zone or of a free object that was
    overwritten. Large objects are known too. If there is no object, it says what is there.
    """

    def __init__(self) -> None:
        super().__init__("ikos-object", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("ikos-object: which one? Give an address or a pointer")
        value = evaluate(argument)
        if value.type.strip_typedefs().code not in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_INT):
            raise gdb.GdbError(f"a {value.type} is no address")
        address = address_of(value)
        memory = Memory()
        frames = Frames(memory)
        pfn = frame_of(address)
        if is_large_address(address):
            show_large_area(memory, frames, address)
        elif not DIRECT_MAP_BASE <= address < KSTACK_BASE:
            print(f"{address:#x} is no object: {what_else(memory, address)}")
        elif not frames.is_present(pfn):
            print(f"{address:#x} is no memory: frame {pfn:#x} does not exist")
        else:
            show_frame(memory, frames, address, pfn)


def what_else(memory: Memory, address: int) -> str:
    """What an address is that no allocator of objects has given out."""
    if not memory.is_readable(address, 1):
        return "no memory is mapped there"
    if KSTACK_BASE <= address < MEMMAP_BASE:
        return "it lies on a kernel stack, in a window or in a device"
    symbol = gdb.execute(f"info symbol {address:#x}", to_string=True).strip()
    if symbol.startswith("No symbol"):
        return "it lies in memmap or in the kernel's image"
    return f"it is {symbol.replace(' in section ', ', in ')}"


def show_frame(memory: Memory, frames: Frames, address: int, pfn: int) -> None:
    use, owner = page_use(frames, pfn)
    slab = cache_of_frame(memory, frames, pfn)
    if slab:
        show_slab_object(memory, frames, slab, address)
    elif use == "PAGE_USE_SLAB":
        print(f"{address:#x}: frame {pfn:#x} says that it is of slab {owner:#x}, which is none")
    elif use == "PAGE_USE_LARGE":
        show_large(memory, frames, address, pfn)
    else:
        state = frames.state_name(frames.state(pfn))
        print(f"{address:#x} is no object: frame {pfn:#x} is no cache's ({state}; see ikos-page)")
        if frames.is_present(pfn + 1) and page_use(frames, pfn + 1)[0] == "PAGE_USE_LARGE":
            distance = PAGE_SIZE - address % PAGE_SIZE
            print(f"  a large object begins {plural(distance, 'byte')} behind it")


def show_slab_object(memory: Memory, frames: Frames, slab: Slab, address: int) -> None:
    cache = slab.cache
    index = slab.index(address)
    # A guarded object's record and red zone lie in front of it.
    if cache.flags & GUARDED and slab.object(index + 1) - address <= cache.guard_before:
        index += 1
    inside = 0 <= index < cache.nr_objects
    offset = address - slab.object(index) if inside else 0
    print(f"{address:#x}: {where_in_slab(slab, index, offset, address)}")
    pfn = frames.pfn_of_page(slab.page)
    print(f"  cache       {cache.name}: {cache.size} bytes; {cache.flag_names}")
    print(
        f"  slab        {slab.address:#x}, frame {pfn or 0:#x}, order {cache.order}:"
        f" {slab.nr_free} free of {cache.nr_objects}"
    )
    if not inside:
        return
    start = slab.object(index)
    print(f"  object      {index}, [{start:#x}, {start + cache.size:#x})")
    state = state_in_slab(slab, index)
    print(f"  state       {state}")
    if cache.flags & GUARDED:
        show_record(Record(memory, start), cache.flags)


def where_in_slab(slab: Slab, index: int, offset: int, address: int) -> str:
    cache = slab.cache
    if not 0 <= index < cache.nr_objects:
        header = slab.address <= address < slab.address + 8 * (cache.nr_words + 6)
        place = "its header" if header else "bytes that no object has"
        return f"in a slab of {cache.name}, but in no object: {place}"
    guarded = bool(cache.flags & GUARDED)
    size = Record(cache.memory, slab.object(index)).size if guarded else cache.size
    if 0 <= offset < size:
        return f"byte {offset} of an object of {cache.name}"
    if not guarded or offset >= cache.size + cache.guard_after:
        return f"offset {offset} of an object of {cache.name}: padding between two objects"
    if offset < -ZONE_BYTES:
        return f"offset {offset} of an object of {cache.name}: in the record of it"
    side = "before" if offset < 0 else "after"
    return f"offset {offset} of an object of {cache.name}: in the red zone {side} it"


def state_in_slab(slab: Slab, index: int) -> str:
    address, cache = slab.object(index), slab.cache
    places = ["free, in its slab"] if slab.is_free(index) else []
    for magazine in cache.magazines:
        for number, held in enumerate(reversed(magazine.objects)):
            if held == address:
                places.append(f"in CPU {magazine.cpu}'s magazine, {number} above it")
    for number, resting in enumerate(reversed(cache.quarantine)):
        if resting == address:
            places.append(f"in quarantine, {number} freed after it")
    if len(places) > 1:
        return " and ".join(places) + ": that cannot be"
    return places[0] if places else "in use"


def show_record(record: Record, flags: int) -> None:
    """What the guard of an object says: size, users, and where it was overwritten."""
    print(f"  record      {record.state}, {plural(record.size, 'byte')} asked for")
    for verb, by in record.history():
        print(f"  {verb:<11} {by}")
    if flags & RED_ZONE:
        damage = record.zone_damage()
        print(f"  red zones   {'intact' if damage is None else described(record, damage)}")
    if flags & POISON and record.state in ("free", "quarantined"):
        damage = record.freed_damage()
        text = f"all {FILL_FREED:#x}, as freed" if damage is None else described(record, damage)
        print(f"  contents    {text}")


def described(record: Record, offset: int) -> str:
    where = "before" if offset < 0 else "in" if offset < record.size else "after"
    return f"overwritten {where} the object: offset {offset} holds {record.byte(offset):#x}"


# ---- Large objects ----------------------------------------------------------------------------


def show_large(memory: Memory, frames: Frames, address: int, pfn: int) -> None:
    """A request to kmalloc() beyond its classes, that has frames of its own."""
    head = pfn
    while page_use(frames, head) == ("PAGE_USE_LARGE", 0) and frames.is_present(head - 1):
        head -= 1
    use, owner = page_use(frames, head)
    nr_frames = owner & ~_LARGE_GUARDED
    start = DIRECT_MAP_BASE + head * PAGE_SIZE
    if use != "PAGE_USE_LARGE" or address >= start + nr_frames * PAGE_SIZE:
        print(f"{address:#x}: frame {pfn:#x} says that it is a large object's, but it is none's")
        return
    print(f"{address:#x}: byte {address - start} of a large object of kmalloc()")
    print(
        f"  object      [{start:#x}, {start + nr_frames * PAGE_SIZE:#x}):"
        f" {plural(nr_frames, 'frame')} from {head:#x}"
    )
    print("  state       in use")
    if owner & _LARGE_GUARDED:
        show_record(Record(memory, start), RED_ZONE)


def show_large_area(memory: Memory, frames: Frames, address: int) -> None:
    """An address of the area whose objects are made of scattered frames."""
    found = LargeRange(memory, address)
    if found.object is None:
        low, high = found.gap
        print(f"{address:#x} is no object: in a free range of {plural(high - low, 'byte')}")
        return
    start, end, size = found.start, found.end, found.size
    if start <= address < end:
        offset = address - start
        beyond = ", behind its end, in its last page" if offset >= size else ""
        print(f"{address:#x}: byte {offset} of a large object{beyond}")
    else:
        side = "before" if address < start else "behind"
        print(f"{address:#x}: in the guard page {side} a large object, which is never mapped")
    print(f"  object      [{start:#x}, {start + size:#x}): {plural(size, 'byte')}")
    words = {"live": "in use", "waiting": "freed: waits for the next flush, not mapped"}
    print(f"  state       {words.get(found.state, found.state)}")
    blocks = list(found.blocks(frames))
    listed = " ".join(f"{pfn:#x}" for pfn, _ in blocks[:_SHOWN])
    more = " ..." if len(blocks) > _SHOWN else ""
    nr_frames = sum(nr for _, nr in blocks)
    print(f"  frames      {nr_frames} in {plural(len(blocks), 'block')}: {listed}{more}")
    if start <= address < end and (pfn := found.frame(frames)) is not None:
        print(f"  this page   frame {pfn:#x}")
    print(f"  descriptor  {address_of(found.object.address):#x}")


IkosSlabs()
IkosObject()
