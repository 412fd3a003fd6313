# SPDX-License-Identifier: MIT
"""Lab 3: what the slab allocator must do, case by case, seen from outside the guest.

Each case mirrors its C function in tests/: the same random draws, the same requests. Which
address an object gets is the allocator's own choice, within what HeapModel allows. How slabs are
cut, filled and kept is held to what include/slab.h says, and so is what lies in guest memory
at the end of a case: the marks that callers wrote into their objects, the slabs with their
bitmaps, the lists that they are on, the magazines, the pages that say whose a frame is.
"""

import enum
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from grading.errors import GuestError
from grading.evidence import Record
from grading.heap import HeapModel
from grading.heap_check import EMPTY, CacheView, Fields, check_cache, check_geometry
from grading.oracle import Context, Expect, Refused, Script, case
from grading.pageview import MEMMAP_BASE

PAGE = 4096
KMEM_MAX_SIZE = 8192
ZERO_SIZE_PTR = 16
LAB_SLOTS = 4096
VICTIM = LAB_SLOTS - 1
ZONE = 64
DIRECT_MAP_BASE = 0xFFFF_8000_0000_0000

GFP_ZERO, GFP_NOWAIT = 1, 2
NO_MERGE, NO_PROTECTION, CHECK = 1, 2, 4
NO_MAGAZINES = 1 << 16
PLAIN = NO_PROTECTION | NO_MERGE
CHECKED = CHECK | NO_MERGE
GUARDED = 8 | 16 | 32 | NO_MERGE
BARE = PLAIN | NO_MAGAZINES

CLASSES = [*range(8, 65, 8)] + [(1 << high - 2) * k for high in range(6, 13) for k in (5, 6, 7, 8)]


class Ev(enum.IntEnum):
    """enum lab3_record in tests/lab.h."""

    CACHE = 64
    ALLOC = 65
    FREE = 66
    KMALLOC = 67
    KFREE = 68
    KREALLOC = 69
    FRAMES = 70
    SHRINK = 71
    DESTROY = 72
    SLABS = 73
    MAGAZINE = 74
    STATS = 75
    CTOR = 76
    WORD = 77
    FAULTS = 78
    CHECK = 79
    MISUSE = 80
    COST = 81
    SITE = 82
    CLASS = 83
    POOL = 84
    POOL_ALLOC = 85
    POOL_FREE = 86
    POOL_FRESH = 87
    POOL_RETURN = 88
    POOL_DESTROY = 89


Step = Generator[Expect, Record, bool]
Done = Generator[Expect, Record, None]


@dataclass
class Cache:
    address: int
    size: int
    align: int
    flags: int
    nr_objects: int
    gone: bool = False
    nr_alloc: int = 0


@dataclass
class Slot:
    address: int
    size: int
    number: int
    cache: Cache | None  # None: of kmalloc()


def mark(number: int) -> int:
    return (number * 167 + 13) & 0xFF


class Lab:
    """The other side of struct lab: slots, and the model that answers are held to."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.prng = ctx.prng
        self.model = HeapModel()
        self.caches: dict[int, Cache] = {}
        self.slots: dict[int, Slot] = {}
        self.number = 0
        self.may_fail = False
        self.guarded = False  # kmalloc() knows sizes to the byte

    # -- calls, as in lab.c --

    def cache(self, i: int, size: int, align: int, flags: int) -> Generator[Expect, Record, Cache]:
        what = f"make a cache for {size} bytes"
        record = yield Expect(Ev.CACHE, arg=size, b=align, what=what)
        nr, said = divmod(record.c, 1 << 32)
        self.ctx.check(record.a != 0 and said == flags, "got none, or with other flags")
        self.ctx.check(nr > 0, "its slabs have no objects")
        self.caches[i] = Cache(record.a, size, align, flags, nr)
        return self.caches[i]

    def random_cache(self, i: int, most: int, flags: int) -> Generator[Expect, Record, Cache]:
        size = 1 + self.prng.below(most)
        align = 0 if self.prng.below(3) else 8 << self.prng.below(8)
        return (yield from self.cache(i, size, align, flags))

    def take(self, slot: int, address: int, size: int, cache: Cache | None) -> bool:
        if address == 0:
            self.ctx.check(self.may_fail, f"got no object of {size} bytes")
            return False
        self.slots[slot] = Slot(address, size, self.number, cache)
        self.number += 1
        return True

    def alloc(self, slot: int, i: int, gfp: int = 0) -> Step:
        cache = self.caches[i]
        what = f"allocate an object of {cache.size} bytes"
        record = yield Expect(Ev.ALLOC, arg=gfp, b=cache.address, what=what)
        self.ctx.check(record.c == 0, "not all of its bytes were cleared")
        if record.a:
            self.model.alloc(record.a, cache.size, max(cache.align, 8))
            cache.nr_alloc += 1
        return self.take(slot, record.a, cache.size, cache)

    def kmalloc(self, slot: int, size: int, gfp: int = 0, align: int = 0) -> Step:
        what = f"kmalloc {size} bytes" + (f" at a multiple of {align}" if align else "")
        record = yield Expect(Ev.KMALLOC, arg=gfp | align << 4, b=size % (1 << 64), what=what)
        if size == 0:
            self.ctx.check((record.a, record.c) == (ZERO_SIZE_PTR, 0), "got no ZERO_SIZE_PTR")
        elif record.a:
            self._check_room(size, align, record.c)
            natural = PAGE if size > KMEM_MAX_SIZE else size if size & (size - 1) == 0 else 8
            self.model.alloc(record.a, record.c, max(align, natural, 8))
        return self.take(slot, record.a, size, None)

    def _check_room(self, size: int, align: int, room: int) -> None:
        """ksize() of a new object."""
        if self.guarded:
            good = room == size
        elif align:
            good = size <= room <= max(2 * size, align, 8)
        elif size > KMEM_MAX_SIZE:
            good = room == -(-size // PAGE) * PAGE
        else:
            good = room == next(size_ for size_ in CLASSES if size_ >= size)
        self.ctx.check(good, f"ksize() of it is {room}")

    def krealloc(self, slot: int, size: int, gfp: int = 0) -> Step:
        old = self.slots.get(slot)
        what = f"krealloc to {size} bytes"
        record = yield Expect(
            Ev.KREALLOC, arg=gfp, a=old.address if old else 0, c=size, what=what
        )
        if size and not record.b:
            self.ctx.check(self.may_fail, "got none")
            return False
        if old:
            self.model.free(old.address)
            del self.slots[slot]
        if size == 0:
            self.ctx.check(record.b in (0, ZERO_SIZE_PTR), "nothing is left, but got an object")
            return True
        natural = PAGE if size > KMEM_MAX_SIZE else size if size & (size - 1) == 0 else 8
        self.model.alloc(record.b, size, max(natural, 8))
        return self.take(slot, record.b, size, None)

    def free(self, slot: int) -> Done:
        held = self.slots.pop(slot)
        what = f"free {held.address:#x}"
        if held.cache:
            yield Expect(Ev.FREE, a=held.address, b=held.cache.address, what=what)
        else:
            yield Expect(Ev.KFREE, a=held.address, b=0, what=what)
        if held.address != ZERO_SIZE_PTR:
            self.model.free(held.address)

    def kfree_sized(self, slot: int) -> Done:
        held = self.slots.pop(slot)
        what = f"free {held.address:#x}, {held.size} bytes"
        yield Expect(Ev.KFREE, a=held.address, b=held.size, what=what)
        self.model.free(held.address)

    def free_all(self) -> Done:
        for slot in sorted(self.slots):
            yield from self.free(slot)

    def free_at_random(self, slots: int) -> Done:
        for _ in range(sum(slot < slots for slot in self.slots)):
            slot = self.prng.below(slots)
            while slot not in self.slots:
                slot = (slot + 1) % slots
            yield from self.free(slot)

    def trace(self, rounds: int, slots: int, caches: int) -> Done:
        for _ in range(rounds):
            slot = self.prng.below(slots)
            if slot in self.slots:
                yield from self.free(slot)
            else:
                yield from self.alloc(slot, slot % caches)

    def random_size(self, most: int) -> int:
        limit = 8 << self.prng.below(16)
        return 1 + self.prng.below(min(limit, most))

    def kmalloc_trace(self, rounds: int, slots: int, most: int) -> Done:
        for _ in range(rounds):
            slot = self.prng.below(slots)
            if slot not in self.slots:
                yield from self.kmalloc(slot, self.random_size(most))
            elif slot % 2:
                yield from self.kfree_sized(slot)
            else:
                yield from self.free(slot)

    # -- what is logged besides --

    def frames(self, free: int | None = None) -> Generator[Expect, Record, Record]:
        what = "count the free frames of the machine"
        return (yield Expect(Ev.FRAMES, a=free, what=what))

    def check(self, i: int = 0) -> Done:
        yield Expect(Ev.CHECK, a=0, what=f"slab_check() of cache {i}")

    def shrink(self, i: int) -> Generator[Expect, Record, int]:
        what = "shrink the cache"
        return (yield Expect(Ev.SHRINK, b=self.caches[i].address, what=what)).a

    def destroy(self, i: int) -> Done:
        yield Expect(Ev.DESTROY, a=self.caches[i].address, what="destroy the cache")

    def slabs(
        self, full: int | None = None, partial: int | None = None, empty: int | None = None
    ) -> Generator[Expect, Record, Record]:
        what = "count full (a), partial (b) and empty (c) slabs"
        return (yield Expect(Ev.SLABS, a=full, b=partial, c=empty, what=what))

    def misuse(self, address: int | None, slot: int | None, arg: int = 0) -> Done:
        held = self.slots.get(slot) if slot is not None else None
        what = f"misuse of {address:#x}" if address is not None else "misuse"
        yield Expect(
            Ev.MISUSE, arg=arg, a=address, b=held.address if held else 0, what=what
        )

    # -- guest memory --

    def view(self, i: int) -> CacheView:
        return CacheView(self.ctx.guest, self.caches[i].address)

    def refuse(self, problem: str | None) -> None:
        if problem:
            raise Refused(f"in memory, as the case left it: {problem}")

    def final(self, *, structures: bool = True, spoilt: int | None = None) -> None:
        """Look at the guest's memory as the case left it. spoilt: a slot to pass over."""
        guest = self.ctx.guest
        try:
            for slot, held in self.slots.items():
                if held.address == ZERO_SIZE_PTR or slot == spoilt:
                    continue
                expected = bytes([mark(held.number)]) * held.size
                if guest.read(held.address, held.size) != expected:
                    self.refuse(f"object {held.address:#x} does not hold what its holder wrote")
            if structures:
                self._check_caches()
                self._check_kmalloc()
        except GuestError as error:
            self.refuse(str(error))

    def _check_caches(self) -> None:
        by_address: dict[int, dict[int, int]] = {}
        for cache in self.caches.values():
            if not cache.gone:
                by_address[cache.address] = {}
        for held in self.slots.values():
            if held.cache:
                by_address[held.cache.address][held.address] = held.size
        guarded = {cache.address for cache in self.caches.values() if cache.flags & 16}
        for address, live in by_address.items():
            view = CacheView(self.ctx.guest, address)
            rests = self.guarded or address in guarded
            self.refuse(check_cache(view, live, rests=rests))

    def _check_kmalloc(self) -> None:
        """The pages of the frames say what lies there."""
        guest, debug = self.ctx.guest, self.ctx.guest.image.debug
        table, size = guest.image.address("kmalloc_cache"), debug.size_of("kmem_cache")
        by_cache: dict[int, dict[int, int]] = {}
        for held in self.slots.values():
            if held.cache or held.address == ZERO_SIZE_PTR:
                continue
            page = self.page_of(held.address)
            if page["use"] == debug.enumerator("PAGE_USE_SLAB"):
                cache = guest.member(page["owner"], "slab", "cache")
                by_cache.setdefault(cache, {})[held.address] = held.size
            elif page["use"] != debug.enumerator("PAGE_USE_LARGE"):
                self.refuse(f"the page of object {held.address:#x} does not say what lies there")
            elif not self.guarded and page["owner"] != max(-(-held.size // PAGE), 1):
                self._check_frames(held.address, page["owner"])
        for cache, live in by_cache.items():
            number, rest = divmod(cache - table, size)
            if rest or not 0 <= number < len(CLASSES):
                self.refuse(f"object {min(live):#x} is in a cache that is none of kmalloc()'s")
            self.refuse(check_cache(CacheView(guest, cache), live, rests=True))

    def page_of(self, address: int) -> Fields:
        """The struct page of the frame that an object lies in."""
        size = self.ctx.guest.image.debug.size_of("page")
        pfn = self.ctx.guest.to_physical(address) // PAGE
        return Fields(self.ctx.guest, MEMMAP_BASE + pfn * size, "page")

    def check_unmarked(self, objects: list[int]) -> None:
        """Objects are gone: unless others came, the pages of their frames say nothing of them."""
        for address in objects:
            if not self.model.covers(address) and self.page_of(address)["use"] != 0:
                self.refuse(f"the page of {address:#x} says that something is still there")

    def _check_frames(self, address: int, frames: int) -> None:
        """One that is aligned to more than its size has more frames than it needs."""
        if frames * PAGE != self.model.live[address]:
            self.refuse(f"the page of object {address:#x} says that it has {frames} frames")


def lab_case(script: Callable[[Lab], Done]) -> Callable[[Context], Script]:
    """Register a script on a Lab, with the look at memory behind it."""

    def run(ctx: Context) -> Script:
        lab = Lab(ctx)
        yield from script(lab)
        lab.final()

    run.__name__ = script.__name__.rstrip("_")
    return case(run)  # type: ignore[return-value]


# ---- caches and slabs: tests/cache_cases.c ---------------------------------------------


@lab_case
def geometry(lab: Lab) -> Done:
    for i in range(48):
        yield from lab.random_cache(i, (64, 256, 1024, KMEM_MAX_SIZE)[i % 4], BARE)
        yield from lab.alloc(i, i)
    for cache in lab.caches.values():
        view = CacheView(lab.ctx.guest, cache.address)
        lab.refuse(check_geometry(view, cache.size, cache.align))


@lab_case
def objects(lab: Lab) -> Done:
    for i in range(4):
        yield from lab.random_cache(i, 8 << 3 * i, BARE)
    yield from lab.trace(3000, 400, 4)
    for i in range(4):
        yield from lab.check(i)
    yield from lab.free_at_random(200)
    yield from lab.trace(1000, 400, 4)


@lab_case
def zeroed(lab: Lab) -> Done:
    for i, flags in enumerate((BARE, PLAIN, GUARDED)):
        yield from lab.random_cache(i, 600, flags)
    for _ in range(1200):
        slot = lab.prng.below(150)
        if slot in lab.slots:
            yield from lab.free(slot)
        else:
            yield from lab.alloc(slot, slot % 3, GFP_ZERO if lab.prng.below(2) else 0)


@lab_case
def exhaustion(lab: Lab) -> Done:
    before = yield from lab.frames()
    cache = yield from lab.random_cache(0, 600, BARE)
    for slabs in range(1, 4):
        for slot in range(slabs * cache.nr_objects):
            if slot not in lab.slots:
                yield from lab.alloc(slot, 0)
        yield from lab.slabs(slabs, 0, 0)
    yield from lab.alloc(3 * cache.nr_objects, 0)
    yield from lab.slabs(3, 1, 0)
    objects_ = [held.address for held in lab.slots.values()]
    yield from lab.check()
    yield from lab.free_at_random(3 * cache.nr_objects + 1)
    yield from lab.slabs(0, 0, 1)
    yield from lab.check()
    yield from lab.destroy(0)
    cache.gone = True
    yield from lab.frames(before.a)
    lab.check_unmarked(objects_)


@lab_case
def slabs_in_use_first(lab: Lab) -> Done:
    cache = yield from lab.random_cache(0, 400, BARE)
    shift = 12 + lab.view(0).order
    used: Counter[int] = Counter()  # objects in use, by slab

    def alloc(slot: int) -> Done:
        partial = any(0 < nr < cache.nr_objects for nr in used.values())
        yield from lab.alloc(slot, 0)
        block = lab.slots[slot].address >> shift
        if partial and not used[block]:
            lab.ctx.fail("it is from a slab without objects in use, though others had free ones")
        used[block] += 1

    def free(slot: int) -> Done:
        used[lab.slots[slot].address >> shift] -= 1
        yield from lab.free(slot)

    nr = min(8 * cache.nr_objects, LAB_SLOTS)
    for slot in range(nr):
        yield from alloc(slot)
    for slot in range(nr):
        if lab.prng.below(2):
            yield from free(slot)
    for _ in range(1500):
        slot = lab.prng.below(nr)
        yield from free(slot) if slot in lab.slots else alloc(slot)
    for slot in sorted(lab.slots):
        yield from free(slot)
    before = yield from lab.frames()
    for _ in range(100):
        yield from alloc(0)
        yield from free(0)
    after = yield from lab.frames(before.a)
    lab.ctx.check(
        after.b == before.b, f"100 times one object cost frames {after.b - before.b} times"
    )
    yield from lab.slabs(0, 0, 1)
    yield from alloc(0)


@case
def constructor(ctx: Context) -> Script:
    lab = Lab(ctx)
    cache = yield from lab.cache(0, 8 + 8 * lab.prng.below(60), 0, PLAIN)
    built: dict[int, int] = {}  # object -> its word
    total = 0
    held: dict[int, int] = {}
    for _ in range(1500):
        slot = lab.prng.below(150)
        if slot in held:
            address = held.pop(slot)
            yield Expect(Ev.FREE, a=address, b=cache.address, what="free an object")
            lab.model.free(address)
            continue
        fresh: list[int] = []
        record = yield Expect((Ev.CTOR, Ev.ALLOC), what="allocate, or construct")
        while record.kind == Ev.CTOR:
            ctx.check(record.b == 0x5EED_0000_0000_0000 + total, "the number is not the next one")
            ctx.check(record.a not in lab.model.live, "constructed anew while it is in use")
            built[record.a] = record.b
            fresh.append(record.a)
            total += 1
            record = yield Expect((Ev.CTOR, Ev.ALLOC), what="allocate, or construct")
        ctx.check(
            len(fresh) % cache.nr_objects == 0 and len(set(fresh)) == len(fresh),
            f"{len(fresh)} objects were constructed at once, but a slab has {cache.nr_objects}",
        )
        ctx.check(record.b == cache.address and record.a in built, "it was never constructed")
        lab.model.alloc(record.a, cache.size, 8)
        held[slot] = record.a
        yield Expect(Ev.WORD, a=record.a, b=built[record.a], what="look at its first word")
    yield from lab.check()
    for address in held.values():
        if ctx.guest.read_uint(address) != built[address]:
            lab.refuse(f"object {address:#x} does not hold what its constructor wrote")
    live = dict.fromkeys(held.values(), cache.size)
    lab.refuse(check_cache(lab.view(0), live, rests=False))


@lab_case
def colours(lab: Lab) -> Done:
    slot = 0
    blocks: list[list[int]] = []  # the slabs of each cache, as they came
    for i, size in enumerate((96, 328, 456, 712, 904, 1360)):
        align = 0 if lab.prng.below(2) else 8 << lab.prng.below(4)
        cache = yield from lab.cache(i, size + 8 * lab.prng.below(8), align, BARE)
        shift = 12 + lab.view(i).order
        blocks.append([])
        for _ in range(5 * cache.nr_objects):
            if slot == LAB_SLOTS:
                break
            yield from lab.alloc(slot, i)
            block = lab.slots[slot].address >> shift
            if block not in blocks[i]:
                blocks[i].append(block)
            slot += 1
    for i, cache in lab.caches.items():
        view = lab.view(i)
        lab.refuse(check_geometry(view, cache.size, cache.align))
        first = {slab.base >> 12 + view.order: slab.first - slab.base for slab in view.slabs()}
        starts = [first.get(block, -1) for block in blocks[i]]
        for one, next_ in zip(starts, starts[1:], strict=False):
            if one == next_ and view.fields["nr_colours"] > 1:
                lab.refuse(f"objects of two slabs in a row begin {one} bytes into their slab")


@lab_case
def shrink(lab: Lab) -> Done:
    size = 64 + lab.prng.below(400)
    yield from lab.cache(0, size, 0, PLAIN)
    view = lab.view(0)
    for turn in range(4):
        yield from lab.frames()
        for slot in range(600):
            if slot not in lab.slots:
                yield from lab.alloc(slot, 0)
        for slot in range(600):
            if slot // 60 != turn or lab.prng.below(8) == 0:
                yield from lab.free(slot)
        before = yield from lab.slabs()
        most = view.fields["max_empty"]
        lab.ctx.check(before.c <= most, f"{before.c} empty slabs are kept, not {most} at the most")
        frames = yield from lab.shrink(0)
        blocks = {held.address >> 12 + view.order for held in lab.slots.values()}
        after = yield from lab.slabs(empty=0)
        left = after.a + after.b
        lab.ctx.check(left == len(blocks), f"objects in use lie in {len(blocks)} slabs")
        gone = before.a + before.b + before.c - left
        # Slabs that go while the magazines are emptied need not be counted.
        counted = frames >> view.order
        lab.ctx.check(
            frames == counted << view.order and min(gone, most) <= counted <= gone,
            f"{gone} slabs went, not {frames} frames",
        )
        yield from lab.frames()
        yield from lab.check()
    ready = sum(len(objects) for _, objects in view.magazines())
    if ready:
        lab.refuse(f"{ready} objects lie in magazines after a shrink")


@lab_case
def destroy(lab: Lab) -> Done:
    kept = lab.prng.below(100)
    before = yield from lab.frames()
    for i, flags in enumerate((BARE, PLAIN, GUARDED)):
        yield from lab.random_cache(i, 500, flags)
    yield from lab.trace(800, 100, 3)
    if kept not in lab.slots:
        yield from lab.alloc(kept, kept % 3)
    yield from lab.destroy(kept % 3)
    yield from lab.destroy(kept % 3)
    yield from lab.trace(400, 100, 3)
    for i in range(3):
        yield from lab.check(i)
    if kept not in lab.slots:
        yield from lab.alloc(kept, kept % 3)
    yield from lab.destroy(kept % 3)
    yield from lab.free_all()
    for i, cache in lab.caches.items():
        yield from lab.destroy(i)
        cache.gone = True
    yield from lab.frames(before.a)


@lab_case
def merging(lab: Lab) -> Done:
    base = 24 + 8 * lab.prng.below(40)
    before = yield from lab.frames()
    plain = (2, 2, 2, PLAIN, 2 | NO_MAGAZINES, CHECK)
    known: list[tuple[int, Any]] = []  # address and description of those that may be shared
    for i in range(40):
        kind = lab.prng.below(8)
        flags = plain[kind % 6]
        size = base - lab.prng.below(16)
        align = 0 if lab.prng.below(2) else 8 << lab.prng.below(3)
        cache = yield from lab.cache(i, size, align, flags)
        loner = kind == 7 or flags & (NO_MERGE | CHECK) != 0
        stride = -(-size // max(align, 8)) * max(align, 8)
        here = [like for address, like in known if address == cache.address]
        for size_, align_, flags_, stride_, loner_ in here:
            if loner or loner_ or flags != flags_ or stride != stride_:
                lab.ctx.fail("it became one with a cache that is not like it")
        if here:
            size_, align_ = here[0][:2]
            lab.ctx.check(size <= size_ and align <= max(align_, 8), "its objects are too small")
        like = (size, align, flags, stride, loner)
        if not here and not loner and any(like == other for _, other in known):
            lab.ctx.fail("it is one of its own, though there is a cache just like it")
        known.append((cache.address, like))
        yield from lab.alloc(i, i)
    for i, cache in lab.caches.items():
        yield from lab.free(i)
        yield from lab.destroy(i)
        cache.gone = True
    yield from lab.frames(before.a)


# ---- magazines, several CPUs: tests/magazine_cases.c -------------------------------------


def swing(lab: Lab, runs: int, slots: int, longest: int) -> Generator[Expect, Record, int]:
    """Returns the number of calls."""
    held = calls = 0
    while held in lab.slots:
        held += 1
    for run in range(runs):
        for _ in range(1 + lab.prng.below(longest)):
            if run % 2 == 0 and held < slots:
                yield from lab.alloc(held, 0)
                held += 1
            elif run % 2 == 1 and held > 0:
                held -= 1
                yield from lab.free(held)
            else:
                break
            calls += 1
    return calls


@lab_case
def magazine(lab: Lab) -> Done:
    yield from lab.cache(0, 16 + lab.prng.below(240), 0, PLAIN)
    yield from lab.alloc(LAB_SLOTS - 1, 0)

    def log() -> Generator[Expect, Record, Record]:
        what = "count exchanges (a), look at the capacity (b) and the objects (c)"
        record = yield Expect(Ev.MAGAZINE, what=what)
        lab.ctx.check(record.c <= record.b, "it holds more than it has room for")
        return record

    yield from log()
    yield from swing(lab, 150, 600, 80)
    yield from lab.free_all()
    begin = yield from log()
    lab.ctx.check(begin.b > 12, f"after thousands of calls there is room for {begin.b} objects")
    calls = yield from swing(lab, 400, 600, 3)
    middle = yield from log()
    calls += yield from swing(lab, 61, 600, 80)
    end = yield from log()
    lab.ctx.check(end.a > 0, "it was never filled from the slabs nor emptied into them")
    if end.b == begin.b:
        most = 2 * calls // (end.b // 2) + 4
        lab.ctx.check(
            end.a - begin.a <= most,
            f"{calls} calls with room for {end.b} objects went to the slabs"
            f" {end.a - begin.a} times, {middle.a - begin.a} of them while swinging around a"
            f" point; {most} are enough",
        )
    yield from lab.check()
    ready = lab.view(0).magazines()[0]
    if (ready[0], len(ready[1])) != (end.b, end.c):
        lab.refuse("the magazine of CPU 0 is not the one that was logged")


@lab_case
def statistics(lab: Lab) -> Done:
    for i, flags in enumerate((BARE, PLAIN, CHECKED)):
        yield from lab.cache(i, 8 + lab.prng.below(1000), 0, flags)
    yield from lab.trace(3000, 600, 3)
    for i, cache in lab.caches.items():
        view = lab.view(i)
        in_use = sum(held.cache is cache for held in lab.slots.values())
        ready = sum(len(objects) for _, objects in view.magazines())
        slabs = view.slabs()
        free = sum(slab.free.bit_count() for slab in slabs)
        yield from lab.check(i)
        what = "count objects in use (a), in magazines (b), in slabs (c)"
        yield Expect(Ev.STATS, arg=0, a=in_use, b=ready, c=free, what=what)
        what = "count allocations (a), objects (b), bytes (c)"
        nr = len(slabs)
        yield Expect(
            Ev.STATS, arg=1, a=cache.nr_alloc, b=nr * view.nr_objects, c=nr * view.bytes, what=what
        )


def several_cpus(
    lab: Lab, end: Ev, least: int
) -> Generator[Expect, Record, Record]:
    """Objects come and go until a record of another kind, which is returned.

    A free is logged before, an allocation after the call: so in the order of the transcript no
    two objects may overlap.
    """
    caches = {cache.address: cache for cache in lab.caches.values()}
    nr_alloc = nr_free = 0
    cpus = set()
    while True:
        record = yield Expect((Ev.ALLOC, Ev.FREE, end), what="work on four CPUs")
        if record.kind == end:
            break
        cpus.add(record.cpu)
        cache = caches.get(record.b)
        if cache is None:
            lab.ctx.fail("that is no cache")
        if record.kind == Ev.ALLOC:
            lab.ctx.check(record.a != 0, "got none")
            lab.model.alloc(record.a, cache.size, 8)
            nr_alloc += 1
        else:
            lab.model.free(record.a)
            nr_free += 1
    lab.ctx.check(
        nr_alloc >= least and nr_alloc == nr_free and len(cpus) == 4,
        f"{nr_alloc} objects were handed out and {nr_free} came back, on {len(cpus)} CPUs",
    )
    return record


@lab_case
def smp_stress(lab: Lab) -> Done:
    yield from lab.cache(0, 8 + lab.prng.below(120), 0, PLAIN)
    yield from lab.cache(1, 513 + lab.prng.below(200), 0, PLAIN)
    yield from lab.cache(2, 1 + lab.prng.below(100), 0, BARE)
    record = yield from several_cpus(lab, Ev.CHECK, 4000)
    for i in range(3):
        if i > 0:
            record = yield Expect(Ev.CHECK, what="slab_check()")
        lab.ctx.check(record.a == 0, "slab_check() found contradictions")
        yield from lab.shrink(i)
        yield from lab.slabs(0, 0, 0)
        for k in range(30):
            yield from lab.alloc(30 * i + k, i)


@lab_case
def remote_free(lab: Lab) -> Done:
    cache = yield from lab.cache(0, 64 + lab.prng.below(400), 0, PLAIN)
    view = lab.view(0)
    record = yield from several_cpus(lab, Ev.SLABS, 4000)
    room = (record.a + record.b + record.c) * cache.nr_objects
    lab.ctx.check(room > 0, "there are no slabs")
    held = 64 + 4 + 4 * view.fields["max_capacity"]
    most = 2 * held + (view.fields["max_empty"] + 4) * cache.nr_objects
    lab.ctx.check(room <= most, f"there are slabs for {room} objects: {most} are enough")
    yield from lab.check()
    yield from lab.shrink(0)
    yield from lab.slabs(0, 0, 0)


@lab_case
def reclaim(lab: Lab) -> Done:
    yield from lab.cache(0, 200 + lab.prng.below(600), 0, PLAIN)
    record = yield from several_cpus(lab, Ev.SLABS, 400)
    lab.ctx.check(record.a + record.b + record.c > 0, "there are no slabs")
    before = yield from lab.frames()
    frames = (yield Expect(Ev.SHRINK, b=0, what="reclaim as many frames as can be had")).a
    after = yield from lab.frames()
    # Slabs that go while the magazines are emptied need not be counted.
    lab.ctx.check(
        0 < frames <= after.a - before.a,
        f"{after.a - before.a} frames more are free, but {frames} were counted",
    )
    yield from lab.slabs(0, 0, 0)


# ---- memory by the byte: tests/kmalloc_cases.c ---------------------------------------------


@lab_case
def size_classes(lab: Lab) -> Done:
    for i in range(600):
        size = 1 + i if i < 300 else lab.random_size(KMEM_MAX_SIZE)
        number = next(n for n, room in enumerate(CLASSES) if room >= size)
        what = f"find the class (a) of {size} bytes, and its size (b)"
        yield Expect(Ev.CLASS, arg=size, a=number, b=CLASSES[number], what=what)
    slot = 0
    for room in CLASSES:
        for size in (room - 1, room, room + 1):
            if size <= KMEM_MAX_SIZE:
                yield from lab.kmalloc(slot, size)
                slot += 1
    for _ in range(200):
        yield from lab.kmalloc(slot, 1 + lab.prng.below(KMEM_MAX_SIZE))
        slot += 1


@lab_case
def kmalloc(lab: Lab) -> Done:
    yield from lab.kmalloc_trace(5000, 500, 20000)
    for _ in range(200):
        slot = 1000 + lab.prng.below(40)
        if slot in lab.slots:
            yield from lab.free(slot)
        else:
            yield from lab.kmalloc(slot, lab.random_size(20000), GFP_ZERO)


@lab_case
def aligned(lab: Lab) -> Done:
    for _ in range(800):
        slot = lab.prng.below(250)
        align = 1 << lab.prng.below(15)
        if slot in lab.slots:
            yield from lab.kfree_sized(slot) if slot % 2 else lab.free(slot)
        else:
            yield from lab.kmalloc(slot, lab.random_size(20000), align=align)


@lab_case
def limits(lab: Lab) -> Done:
    before = yield from lab.frames()
    for i in range(4):
        yield from lab.kmalloc(i, 0, GFP_ZERO if i % 2 else 0)
    yield from lab.kmalloc(4, 0, align=64)
    yield from lab.free_all()
    lab.may_fail = True
    for size in (1 << 46, 1 << 62, (1 << 64) - 1 - PAGE, (1 << 64) - 1):
        got = yield from lab.kmalloc(0, size - lab.prng.below(2))
        got |= yield from lab.kmalloc(0, size, align=8192)
        lab.ctx.check(not got, "got more than there is")
    lab.may_fail = False
    for slot, size in enumerate((KMEM_MAX_SIZE, KMEM_MAX_SIZE + 1, 1)):
        yield from lab.kmalloc(slot, size)
    yield from lab.free_all()
    yield from lab.frames(before.a)


@lab_case
def large(lab: Lab) -> Done:
    free = (yield from lab.frames()).a
    gone = []
    for slot in range(60):
        size = KMEM_MAX_SIZE + 1 + lab.prng.below(100000)
        yield from lab.kmalloc(slot, size)
        frames = -(-size // PAGE)
        yield from lab.frames(free - frames)
        if lab.prng.below(2):
            gone.append(lab.slots[slot].address)
            yield from lab.free(slot)
            yield from lab.frames(free)
        else:
            free -= frames
    lab.check_unmarked(gone)


@lab_case
def realloc(lab: Lab) -> Done:
    for _ in range(1500):
        slot = lab.prng.below(100)
        size = lab.random_size(30000) if lab.prng.below(12) else 0
        if slot in lab.slots:
            yield from lab.krealloc(slot, size)
        elif size and lab.prng.below(2):
            yield from lab.kmalloc(slot, size)
        elif size:
            yield from lab.krealloc(slot, size)


# ---- cost and shortage: tests/cost_cases.c --------------------------------------------------

# Instructions in a debug build, which checks as it goes.
PAIR_LIMIT = 100
KMALLOC_LIMIT = 140
BATCH_LIMIT = 160


@lab_case
def cost(lab: Lab) -> Done:
    costs: dict[int, int] = {}

    def measure(phase: int, what: str) -> Done:
        costs[phase] = (yield Expect(Ev.COST, arg=phase, what=f"cost of {what}")).a

    yield from lab.cache(0, 64, 0, PLAIN)
    yield from lab.cache(1, 64, 0, BARE)
    yield from measure(0, "a pair of calls")
    yield from measure(1, "a pair of calls without magazines")
    lab.prng.below(1000)
    yield from measure(2, "kmalloc() and kfree()")
    for phase in (10, 12):
        if phase == 12:
            lab.prng.below(LAB_SLOTS // 2)
        yield from measure(phase, "one of thousands of allocations")
        yield from measure(phase + 1, "one of thousands of frees")
    for slot in range(LAB_SLOTS):
        yield from lab.alloc(slot, slot % 2)
    yield from measure(3, "a pair of calls, with thousands of objects in use")
    yield from measure(4, "a pair of calls without magazines, with thousands of objects in use")
    lab.prng.below(1000)
    yield from measure(5, "kmalloc() and kfree(), with thousands of objects in use")
    for slot in range(0, LAB_SLOTS, 7):
        yield from lab.free(slot)
    yield from measure(6, "a pair of calls without magazines, with holes in all slabs")
    for phase, limit in ((0, PAIR_LIMIT), (3, PAIR_LIMIT), (2, KMALLOC_LIMIT), (5, KMALLOC_LIMIT)):
        if costs[phase] > limit:
            lab.ctx.fail(f"a pair of calls costs {costs[phase]} instructions, not {limit}")
    for phase in range(10, 14):
        if costs[phase] > BATCH_LIMIT:
            lab.ctx.fail(
                f"a call costs {costs[phase]} instructions where thousands of objects come or go:"
                f" {BATCH_LIMIT} are enough"
            )
    for phase in (4, 6):
        if costs[phase] > 2 * costs[1]:
            lab.ctx.fail(
                f"a pair of calls costs {costs[1]} instructions with few objects in use, but"
                f" {costs[phase]} with thousands: the cost must not depend on their number"
            )


def faults(lab: Lab, every: int) -> Done:
    yield Expect(Ev.FAULTS, arg=0, a=every, what=f"make one request for frames in {every} fail")
    lab.may_fail = every != 0


def injected(lab: Lab) -> Done:
    record = yield Expect(Ev.FAULTS, arg=1, what="count the failures")
    lab.ctx.check(record.a > 0, "no request for frames was made")


@lab_case
def shortage(lab: Lab) -> Done:
    before = yield from lab.frames()
    for i in range(9):
        size = 1 + lab.prng.below(500 if i < 6 else 6000)
        yield from lab.cache(i, size, 0, (BARE, PLAIN, GUARDED)[i % 3])
    yield from faults(lab, 2)
    for _ in range(1500):
        slot = lab.prng.below(450)
        if slot in lab.slots:
            yield from lab.free(slot)
        else:
            yield from lab.alloc(slot, slot % 9, GFP_NOWAIT if slot % 2 else 0)
    yield from injected(lab)
    yield from faults(lab, 0)
    for i in range(9):
        yield from lab.check(i)
    yield from lab.trace(600, 450, 9)
    yield from lab.free_all()
    for i, cache in lab.caches.items():
        yield from lab.destroy(i)
        cache.gone = True
    yield from lab.frames(before.a)


@lab_case
def kmalloc_shortage(lab: Lab) -> Done:
    before = yield from lab.frames()
    yield from faults(lab, 2)
    for _ in range(1200):
        slot = lab.prng.below(200)
        size = lab.random_size(60000)
        if slot not in lab.slots:
            yield from lab.kmalloc(slot, size, GFP_NOWAIT)
        elif slot % 3:
            yield from lab.krealloc(slot, size, GFP_NOWAIT)
        else:
            yield from lab.free(slot)
    yield from injected(lab)
    yield from faults(lab, 0)
    yield from lab.free_all()
    yield from lab.frames(before.a)


# ---- protection: tests/protection_cases.c --------------------------------------------------


def probe(lab: Lab, address: int, offset: int) -> Done:
    what = f"change the byte at offset {offset} of object {address:#x}"
    yield Expect(Ev.MISUSE, arg=1, a=address + offset, b=address, what=what)
    lab.prng.below(8)
    what = f"slab_check(), with the byte at offset {offset} of {address:#x} changed"
    yield Expect(Ev.CHECK, a=1, b=offset % (1 << 64), what=what)


@lab_case
def red_zones(lab: Lab) -> Done:
    for i, most in enumerate((16, 64, 300, 2000)):
        cache = yield from lab.cache(i, 1 + lab.prng.below(most), 0, GUARDED)
        for slot in range(6):
            yield from lab.alloc(6 * i + slot, i)
        for _ in range(16):
            held = lab.slots[6 * i + lab.prng.below(6)]
            distance = lab.prng.below(ZONE)
            yield from probe(lab, held.address, -1 - distance)
            yield from probe(lab, held.address, cache.size + distance)
        yield from lab.check(i)


@lab_case
def poison(lab: Lab) -> Done:
    for i in range(3):
        size = 1 + lab.prng.below(40 << 3 * i)
        yield from lab.cache(i, size, 0, GUARDED)
        for slot in range(8):
            yield from lab.alloc(8 * i + slot, i)
        for slot in range(4):
            address = lab.slots[8 * i + slot].address
            yield from lab.free(8 * i + slot)
            for _ in range(6):
                yield from probe(lab, address, lab.prng.below(size))
        yield from lab.check(i)


@lab_case
def no_false_alarm(lab: Lab) -> Done:
    lab.guarded = True
    yield from lab.cache(0, 1 + lab.prng.below(60), 0, GUARDED)
    yield from lab.cache(1, 1 + lab.prng.below(300), 64, GUARDED)
    yield from lab.cache(2, 1 + lab.prng.below(100), 0, CHECKED)
    for i in range(5):
        yield from lab.trace(6000, 900, 3)
        yield from lab.free_at_random(300)
        yield from lab.check(i % 3)
        if i == 2:
            yield from lab.shrink(0)
        yield from lab.free_all()
        yield from lab.kmalloc_trace(3500, 300, 500)
        yield from lab.free_all()


@lab_case
def guarded_kmalloc(lab: Lab) -> Done:
    lab.guarded = True
    yield from lab.kmalloc_trace(2500, 200, 20000)
    for _ in range(500):
        slot = lab.prng.below(100)
        align = 1 << lab.prng.below(13)
        if slot in lab.slots:
            yield from lab.krealloc(slot, lab.random_size(20000))
        else:
            yield from lab.kmalloc(slot, lab.random_size(9000), align=align)


@lab_case
def quarantine(lab: Lab) -> Done:
    yield from lab.cache(0, 1 + lab.prng.below(200), 0, GUARDED)
    yield from lab.cache(1, 2000 + lab.prng.below(3000), 0, GUARDED)
    freed: dict[int, dict[int, int]] = {0: {}, 1: {}}  # by cache: object -> number of its free
    count = [0, 0]
    for _ in range(3000):
        slot = lab.prng.below(60)
        i = int(slot % 6 == 0)
        if slot in lab.slots:
            freed[i][lab.slots[slot].address] = count[i]
            count[i] += 1
            yield from lab.free(slot)
            continue
        yield from lab.alloc(slot, i)
        since = freed[i].pop(lab.slots[slot].address, None)
        least = 8 if i else 64
        if since is not None and count[i] - since - 1 < least:
            lab.ctx.fail(
                f"it was freed a short time ago: only {count[i] - since - 1} others since, not"
                f" {least}"
            )
    for i, objects in freed.items():
        resting = sorted(objects, key=lambda address: objects[address])[-8:]
        contents = b"".join(lab.ctx.guest.read(o, lab.caches[i].size) for o in resting)
        if len(set(contents)) != 1:
            lab.refuse("objects that were freed are not filled with one pattern")


@lab_case
def history(lab: Lab) -> Done:
    image = lab.ctx.guest.image
    yield from lab.cache(0, 1 + lab.prng.below(500), 0, GUARDED)

    def site(address: int, what: str, caller: str) -> None:
        function = image.function_at(address - 1)
        # A call at the end of a function may have been made a jump.
        good = function in (caller, "ktest_slab_history")
        lab.ctx.check(good, f"{what} at {address:#x} in {function or 'no function'}, it says")

    for _ in range(200):
        slot = lab.prng.below(30)
        if slot in lab.slots:
            address = lab.slots[slot].address
            yield from lab.free(slot)
            record = yield Expect(Ev.SITE, arg=0, a=address, what="ask who freed an object")
            site(record.b, "allocated", "lab3_alloc")
            site(record.c, "freed", "lab3_free")
        else:
            yield from lab.alloc(slot, 0)
            address = lab.slots[slot].address
            record = yield Expect(Ev.SITE, arg=1, a=address, c=0, what="ask who allocated it")
            site(record.b, "allocated", "lab3_alloc")


# ---- mistakes of the caller: tests/misuse_cases.c ------------------------------------------


def misuse_case(panic: str) -> Callable[[Callable[[Lab], Done]], Callable[[Context], Script]]:
    """Register a script that ends in that panic, with a look at the objects that are held."""

    def register(script: Callable[[Lab], Done]) -> Callable[[Context], Script]:
        def run(ctx: Context) -> Script:
            lab = Lab(ctx)
            yield from script(lab)
            lab.final(structures=False, spoilt=VICTIM)

        run.__name__ = script.__name__
        return case(run, panic=panic)  # type: ignore[no-any-return]

    return register


def victim(lab: Lab, most: int, flags: int) -> Generator[Expect, Record, Slot]:
    yield from lab.cache(0, 1 + lab.prng.below(most), 0, flags)
    yield from lab.trace(300, 80, 1)
    yield from lab.alloc(VICTIM, 0)
    return lab.slots[VICTIM]


def kmalloc_victim(lab: Lab, least: int, most: int) -> Generator[Expect, Record, Slot]:
    yield from lab.kmalloc_trace(300, 80, 10000)
    yield from lab.kmalloc(VICTIM, least + lab.prng.below(most - least))
    return lab.slots[VICTIM]


def damage(lab: Lab, address: int) -> Done:
    bits = 1 + lab.prng.below(255)
    yield from lab.misuse(address, VICTIM, bits)


@misuse_case("slab: red zone after object")
def write_after(lab: Lab) -> Done:
    held = yield from victim(lab, 600, GUARDED)
    yield from damage(lab, held.address + held.size + lab.prng.below(ZONE))
    yield from lab.free(VICTIM)


@misuse_case("slab: red zone before object")
def write_before(lab: Lab) -> Done:
    held = yield from victim(lab, 600, GUARDED)
    yield from damage(lab, held.address - 1 - lab.prng.below(ZONE))
    yield from lab.free(VICTIM)


@misuse_case("slab: red zone after object")
def write_after_kmalloc(lab: Lab) -> Done:
    lab.guarded = True
    held = yield from kmalloc_victim(lab, 1, 2000)
    yield from damage(lab, held.address + held.size)
    yield from lab.free(VICTIM)


@misuse_case("slab: red zone")
def write_beside_large(lab: Lab) -> Done:
    lab.guarded = True
    held = yield from kmalloc_victim(lab, KMEM_MAX_SIZE + 1, 40000)
    offset = lab.prng.below(ZONE)
    after = lab.prng.below(2)
    yield from damage(lab, held.address + (held.size + offset if after else -1 - offset))
    yield from lab.free(VICTIM)


@misuse_case("slab: written after free")
def write_to_freed(lab: Lab) -> Done:
    held = yield from victim(lab, 600, GUARDED)
    yield from lab.free(VICTIM)
    yield from damage(lab, held.address + lab.prng.below(held.size))
    # Somewhere in these it is found: before an allocation is logged, or after a free was.
    while lab.ctx.remaining:
        yield from lab.trace(1, 80, 1)


@misuse_case("slab: written after free")
def write_to_freed_shrink(lab: Lab) -> Done:
    held = yield from victim(lab, 600, GUARDED)
    yield from lab.free(VICTIM)
    yield from damage(lab, held.address + lab.prng.below(held.size))


@misuse_case("slab: double free")
def double_free(lab: Lab) -> Done:
    held = yield from victim(lab, 600, CHECKED)
    yield from lab.free(VICTIM)
    yield from lab.misuse(held.address, VICTIM)


@misuse_case("slab: double free")
def double_free_guarded(lab: Lab) -> Done:
    held = yield from victim(lab, 600, GUARDED)
    yield from lab.free(VICTIM)
    yield from lab.trace(20, 80, 1)
    yield from lab.misuse(held.address, VICTIM)


@misuse_case("slab: double free")
def double_free_late(lab: Lab) -> Done:
    held = yield from victim(lab, 600, PLAIN)
    yield from lab.free(VICTIM)
    yield from lab.misuse(held.address, VICTIM)


@misuse_case("slab: interior pointer")
def interior(lab: Lab) -> Done:
    held = yield from victim(lab, 600, CHECKED if lab.prng.below(2) else GUARDED)
    yield from lab.misuse(held.address + 1 + lab.prng.below(7), VICTIM)


@misuse_case("slab: interior pointer")
def interior_large(lab: Lab) -> Done:
    held = yield from kmalloc_victim(lab, 3 * PAGE, 40000)
    yield from lab.misuse(held.address + 1 + lab.prng.below(held.size - 1), VICTIM)


@misuse_case("slab: foreign pointer")
def foreign_in_slab(lab: Lab) -> Done:
    lab.prng.below(2)
    yield from lab.cache(0, 200 + lab.prng.below(400), 0, CHECKED)
    yield from lab.trace(300, 80, 1)
    yield from lab.alloc(VICTIM, 0)
    yield from lab.misuse(None, VICTIM)
    view, address = lab.view(0), lab.ctx.records[lab.ctx.index].a
    slabs = [slab for slab in view.slabs() if slab.base <= address < slab.base + view.bytes]
    beside = slabs and not 0 <= (address - slabs[0].first) // view.stride < view.nr_objects
    lab.ctx.check(bool(beside), "that is no place in a slab beside its objects")


@misuse_case("slab: foreign pointer")
def foreign_frame(lab: Lab) -> Done:
    yield from kmalloc_victim(lab, 1, 2000)
    lab.prng.below(2)
    yield from lab.misuse(None, VICTIM)
    address = lab.ctx.records[lab.ctx.index].a
    lab.ctx.check(not lab.model.covers(address), "that is an object")
    lab.ctx.guest.read(address, 1)


@misuse_case("slab: foreign pointer")
def foreign_address(lab: Lab) -> Done:
    yield from kmalloc_victim(lab, 1, 2000)
    address = (None, DIRECT_MAP_BASE + (1 << 45), 4096)[lab.prng.below(3)]
    yield from lab.misuse(address, VICTIM)


@misuse_case("slab: wrong cache")
def wrong_cache(lab: Lab) -> Done:
    held = yield from victim(lab, 600, CHECKED if lab.prng.below(2) else GUARDED)
    yield from lab.cache(1, held.size, 0, lab.caches[0].flags)
    yield from lab.alloc(VICTIM - 1, 1)
    yield from lab.misuse(lab.slots[VICTIM - 1].address, VICTIM)


@misuse_case("slab: wrong cache")
def wrong_cache_kfree(lab: Lab) -> Done:
    held = yield from victim(lab, 600, CHECKED)
    yield from lab.misuse(held.address, VICTIM)


@misuse_case("slab: wrong size")
def wrong_size(lab: Lab) -> Done:
    held = yield from kmalloc_victim(lab, 100, 20000)
    size = held.size * 2 + lab.prng.below(100)
    yield from lab.misuse(held.address, VICTIM, size)


@misuse_case("slab: wrong size")
def wrong_size_guarded(lab: Lab) -> Done:
    lab.guarded = True
    held = yield from kmalloc_victim(lab, 100, 20000)
    size = held.size + 1 if lab.prng.below(2) else held.size - 1
    yield from lab.misuse(held.address, VICTIM, size)


# ---- pools: tests/pool_cases.c -----------------------------------------------------------


class Pool:
    """Which elements a pool has, which callers have, which are to be had elsewhere."""

    def __init__(self, lab: Lab, minimum: int) -> None:
        self.ctx, self.lab, self.minimum = lab.ctx, lab, minimum
        self.reserve: set[int] = set()
        self.outstanding: set[int] = set()
        self.lent = 0  # outstanding elements that the reserve gave and has not got back
        self.address = 0

    def fresh(self, element: int) -> None:
        if element:
            known = element in self.reserve or element in self.outstanding
            self.ctx.check(not known, f"element {element:#x} is the pool's already")
            self.reserve.add(element)

    def returned(self, element: int) -> None:
        self.ctx.check(element in self.reserve, f"element {element:#x} is not in the pool")
        self.reserve.remove(element)

    def given(self, element: int) -> None:
        self.ctx.check(element in self.reserve, f"got {element:#x}, which is not the pool's")
        self.reserve.remove(element)
        self.outstanding.add(element)

    def freed(self, element: int) -> None:
        self.ctx.check(element in self.outstanding, f"{element:#x} is freed, but nobody has it")
        self.outstanding.remove(element)
        self.reserve.add(element)

    def until(self, *ends: Ev) -> Generator[Expect, Record, Record]:
        """Elements that come and go until a record of another kind, which is returned."""
        while True:
            record = yield Expect((Ev.POOL_FRESH, Ev.POOL_RETURN, *ends), what="use a pool")
            if record.kind == Ev.POOL_FRESH:
                self.fresh(record.a)
            elif record.kind == Ev.POOL_RETURN:
                self.returned(record.a)
            else:
                return record

    def create(self, most: int) -> Done:
        record = yield from self.until(Ev.POOL)
        self.address = record.a
        self.ctx.check(record.arg == self.minimum, "asked for another minimum")
        self.ctx.check(
            (record.a != 0) == (most >= self.minimum),
            f"there are {most} elements for a pool of {self.minimum}",
        )
        expected = self.minimum if record.a else 0
        self.ctx.check(
            len(self.reserve) == expected, f"it has {len(self.reserve)} elements, not {expected}"
        )

    def destroyed(self) -> Done:
        """After POOL_DESTROY: everything is given back."""
        for _ in range(len(self.reserve)):
            record = yield Expect(Ev.POOL_RETURN, what="destroy a pool")
            self.returned(record.a)


@lab_case
def pool_create(lab: Lab) -> Done:
    minimum = 1 + lab.prng.below(16)
    for _ in range(8):
        most = lab.prng.below(2 * minimum)
        before = yield from lab.frames()
        pool = Pool(lab, minimum)
        yield from pool.create(most)
        if pool.address:
            yield Expect(Ev.POOL_DESTROY, a=pool.address, what="destroy a pool")
            yield from pool.destroyed()
        yield from lab.frames(before.a)


@lab_case
def pool_guarantee(lab: Lab) -> Done:
    pool = Pool(lab, 2 + lab.prng.below(8))
    yield from pool.create(pool.minimum)
    held: list[int] = []
    most, lent = 0, 0

    def settled() -> None:
        lab.ctx.check(
            len(pool.reserve) + lent >= pool.minimum,
            f"{len(pool.reserve)} elements are left and {lent} lent, of {pool.minimum}",
        )
        limit = pool.minimum + min(3 * pool.minimum, 128)
        lab.ctx.check(
            len(pool.reserve) <= limit, f"it keeps {len(pool.reserve)} elements, not {limit}"
        )

    for i in range(2000):
        if i % 50 == 0:
            most = lab.prng.below(2) * 64
        if lab.prng.below(20) < (13 if i // 50 % 2 else 7):
            if len(held) == 40:
                continue
            record = yield Expect(Ev.POOL_FRESH, what="take an element")
            pool.fresh(record.a)
            new = record.a
            lab.ctx.check(
                (new != 0) == (len(pool.reserve) + len(pool.outstanding) - (new != 0) < most),
                "how many elements there are to be had is not true",
            )
            record = yield Expect(Ev.POOL_ALLOC, what="take an element")
            if record.a:
                pool.given(record.a)
                held.append(record.a)
                lab.ctx.check(new in (0, record.a), "there was a fresh one, but got another")
                lent += new == 0
            else:
                lab.ctx.check(not pool.reserve, "got none, but there are some in the reserve")
        elif held:
            at = lab.prng.below(len(held))
            element, last = held[at], held.pop()
            if at < len(held):
                held[at] = last
            yield Expect(Ev.POOL_FREE, a=element, what="give an element back")
            pool.freed(element)
            lent -= lent > 0
            while lab.ctx.remaining and lab.ctx.records[lab.ctx.index + 1].kind == Ev.POOL_RETURN:
                pool.returned((yield Expect(Ev.POOL_RETURN, what="give an element back")).a)
            settled()
    if held:
        yield Expect(Ev.POOL_DESTROY, a=pool.address, what="destroy a pool that is in use")
    while held:
        element = held.pop()
        yield Expect(Ev.POOL_FREE, a=element, what="give an element back")
        pool.freed(element)
        lent -= lent > 0
        while lab.ctx.remaining and lab.ctx.records[lab.ctx.index + 1].kind == Ev.POOL_RETURN:
            pool.returned((yield Expect(Ev.POOL_RETURN, what="give an element back")).a)
        settled()
    yield Expect(Ev.POOL_DESTROY, a=pool.address, what="destroy a pool")
    yield from pool.destroyed()


@lab_case
def pool_order(lab: Lab) -> Done:
    pool = Pool(lab, 1 + lab.prng.below(3))
    yield from pool.create(pool.minimum)
    held = []
    for _ in range(pool.minimum):
        record = yield from pool.until(Ev.POOL_ALLOC)
        pool.given(record.a)
        held.append(record.a)
    lab.prng.below(2)
    served: list[int] = []
    freed: list[int] = []
    while len(served) < 6 or len(freed) < 6 + pool.minimum:
        record = yield from pool.until(Ev.POOL_ALLOC, Ev.POOL_FREE)
        if record.kind == Ev.POOL_ALLOC:
            pool.given(record.a)
            served.append(record.arg)
        else:
            pool.freed(record.a)
            freed.append(record.arg)
    lab.ctx.check(served == sorted(served), f"served were, in this order: {served}")
    yield from pool.until(Ev.POOL_DESTROY)
    yield from pool.destroyed()
