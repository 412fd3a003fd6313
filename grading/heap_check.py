# SPDX-License-Identifier: MIT
"""Does a slab cache's memory, read from outside, agree with a model?

Judged is what include/slab.h says of the structures, and nothing of how a solution chooses:
each slab is on the list of its kind, counts its free objects, and is what the pages of its
frames say; objects lie inside of it, beside its header and each other; an object that is not
free in its slab is a caller's, or lies in exactly one magazine, or rests in quarantine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import GuestError
from .guest import Guest
from .pageview import MEMMAP_BASE, list_links

PAGE = 4096
FULL, PARTIAL, EMPTY = range(3)
MAX_ORDER = 3
COLOUR = 64
OFF_SLAB_OBJECTS = 64
_WORD = 8


class Fields:
    """The numbers of a structure in guest memory, read once."""

    def __init__(self, guest: Guest, address: int, name: str) -> None:
        self._name, self._debug = name, guest.image.debug
        self._raw = guest.read(address, self._debug.size_of(name))

    def __getitem__(self, path: str) -> int:
        member = self._debug.member(self._name, path)
        return int.from_bytes(self._raw[member.offset : member.offset + member.size], "little")

    def word(self, path: str, i: int) -> int:
        """One of an array of words."""
        at = self._debug.member(self._name, path).offset + i * _WORD
        return int.from_bytes(self._raw[at : at + _WORD], "little")


@dataclass(frozen=True)
class Slab:
    address: int
    base: int  # address of its frames
    first: int  # of object 0
    kind: int
    free: int  # the bitmap


class CacheView:
    """A struct kmem_cache, and what hangs on it. Whatever is damaged is a GuestError."""

    def __init__(self, guest: Guest, address: int) -> None:
        self.guest, self.address = guest, address
        cache = Fields(guest, address, "kmem_cache")
        self.fields = cache
        self.order, self.stride = cache["order"], cache["stride"]
        self.nr_objects, self.off_slab = cache["nr_objects"], bool(cache["off_slab"])
        self.bytes = PAGE << self.order
        if self.order > MAX_ORDER or not self.stride or not self.nr_objects:
            raise GuestError(
                f"the cache {address:#x} has slabs of order {self.order} with {self.nr_objects}"
                f" objects, {self.stride} bytes each"
            )
        self.nr_words = -(-self.nr_objects // 64)
        self.header = guest.image.debug.member("slab", "free").offset + self.nr_words * _WORD

    def slabs(self) -> list[Slab]:
        debug = self.guest.image.debug
        node = self.address + debug.member("kmem_cache", "node").offset
        lists = node + debug.member("cache_node", "list").offset
        counts, link = Fields(self.guest, node, "cache_node"), debug.member("slab", "link").offset
        slabs = []
        for kind in (FULL, PARTIAL, EMPTY):
            links = list_links(self.guest, lists + kind * debug.size_of("list_head"))
            said = counts.word("nr", kind)
            if len(links) != said:
                raise GuestError(f"node->nr[{kind}] is {said}, but {len(links)} are on that list")
            slabs += [self._slab(entry - link, kind) for entry in links]
        return slabs

    def _slab(self, address: int, kind: int) -> Slab:
        slab, what = Fields(self.guest, address, "slab"), f"the slab {address:#x}"
        debug = self.guest.image.debug
        size = debug.size_of("page")
        pfn, rest = divmod(slab["page"] - MEMMAP_BASE, size)
        if slab["cache"] != self.address:
            raise GuestError(f"{what} is on the cache's list, but says that it is another's")
        if rest or pfn < 0 or pfn % (1 << self.order):
            raise GuestError(f"page of {what} is {slab['page']:#x}, which heads no block")
        first = slab["first"]
        base = first - self.guest.to_physical(first) + pfn * PAGE
        if not base <= first <= base + self.bytes - self.nr_objects * self.stride:
            raise GuestError(f"the objects of {what} do not lie in its frames")
        if not self.off_slab and not (address == base and base + self.header <= first):
            raise GuestError(f"the header of {what} does not lie in front of its objects")
        bits = self.guest.read(address + debug.member("slab", "free").offset, self.nr_words * _WORD)
        free = int.from_bytes(bits, "little")
        nr_free = free.bit_count()
        if free >> self.nr_objects:
            raise GuestError(f"the bitmap of {what} has bits set beyond its last object")
        if slab["nr_free"] != nr_free:
            raise GuestError(f"nr_free of {what} is {slab['nr_free']}, but {nr_free} bits are set")
        proper = FULL if nr_free == 0 else EMPTY if nr_free == self.nr_objects else PARTIAL
        if kind != proper:
            raise GuestError(f"{what} is on list {kind}, but {nr_free} of its objects are free")
        in_slab = debug.enumerator("PAGE_USE_SLAB")
        for i in range(1 << self.order):
            page = Fields(self.guest, MEMMAP_BASE + (pfn + i) * size, "page")
            if page["use"] != in_slab or page["owner"] != address:
                raise GuestError(f"the page of frame {i} of {what} does not say whose it is")
        return Slab(address, base, first, kind, free)

    def taken(self, slabs: list[Slab]) -> set[int]:
        """The objects that are not free in their slabs."""
        return {
            slab.first + i * self.stride
            for slab in slabs
            for i in range(self.nr_objects)
            if not slab.free >> i & 1
        }

    def magazines(self) -> list[tuple[int, list[int]]]:
        """Capacity and objects of each CPU's magazine that there is."""
        debug, found = self.guest.image.debug, []
        nr_cpus = self.guest.read_uint(self.guest.image.address("nr_cpus"), 4)
        for cpu in range(nr_cpus):
            address = self.fields.word("magazine", cpu)
            magazine = Fields(self.guest, address, "magazine")
            nr, capacity = magazine["nr"], magazine["capacity"]
            if nr > capacity or capacity > self.fields["max_capacity"]:
                raise GuestError(
                    f"the magazine of CPU {cpu} holds {nr} objects, has room for {capacity}, and"
                    f" may have for {self.fields['max_capacity']}"
                )
            raw = self.guest.read(address + debug.member("magazine", "object").offset, nr * _WORD)
            words = range(0, len(raw), _WORD)
            found.append((capacity, [int.from_bytes(raw[i : i + _WORD], "little") for i in words]))
        return found


def check_cache(view: CacheView, live: Mapping[int, int], *, rests: bool) -> str | None:
    """What contradicts the model in a cache, if anything.

    live: the objects of the cache that callers have. rests: what was freed may be in quarantine.
    """
    try:
        slabs = view.slabs()
        taken = view.taken(slabs)
        held = [ready for _, objects in view.magazines() for ready in objects]
    except GuestError as error:
        return str(error)
    for slab in slabs:
        if view.off_slab:
            continue
        inside = [o for o in live if slab.base <= o < slab.address + view.header]
        if inside:
            return f"object {inside[0]:#x} lies in the header of the slab {slab.address:#x}"
    if missing := live.keys() - taken:
        return f"object {min(missing):#x} is in use, but no slab of the cache says so"
    if len(set(held)) != len(held):
        return "an object lies in the magazines twice"
    if both := live.keys() & set(held):
        return f"object {min(both):#x} is in use, but lies in a magazine"
    if strange := set(held) - taken:
        return f"{min(strange):#x} lies in a magazine, but is free in its slab, or no object"
    lost = taken - live.keys() - set(held)
    if lost and not rests:
        return f"object {min(lost):#x} is neither in use, nor in a magazine, nor free in its slab"
    return None


def check_geometry(view: CacheView, size: int, align: int) -> str | None:
    """What is wrong with how a cache cuts its slabs, if anything.

    Waste is what is in no object's stride: rest and header, also one that lies beside its slab.
    """
    cache, align = view.fields, max(align, 8)
    stride, nr, offset = view.stride, view.nr_objects, cache["offset"]
    guards = cache["guard_before"] + cache["guard_after"]
    if stride % align or not size + guards <= stride < size + guards + align:
        return f"stride is {stride} for objects of {size} bytes, guards of {guards}, at {align}"
    header = 0 if view.off_slab else view.header
    if view.off_slab and nr > OFF_SLAB_OBJECTS:
        return f"{nr} objects are more than a header beside its slab has bits for"
    if offset % align or offset < header + cache["guard_before"]:
        return f"offset is {offset}, but the header takes {header} bytes, at {align}"
    rest = view.bytes - offset - nr * stride
    if rest < 0 or cache["nr_words"] != view.nr_words:
        return f"{nr} objects of {stride} bytes do not fit, or not into {cache['nr_words']} words"
    step = max(COLOUR, align)
    if cache["nr_colours"] != rest // step + 1:
        return f"nr_colours is {cache['nr_colours']}, but {rest} bytes are left, in steps of {step}"
    last = nr * stride
    for at in (x + d for x in range(0, last, stride) for d in (0, stride - 1)):
        if at * cache["reciprocal"] >> 32 != at // stride:
            return f"by reciprocal {cache['reciprocal']} byte {at} is not in object {at // stride}"
    return _check_waste(view, align)


def _check_waste(view: CacheView, align: int) -> str | None:
    """Is the order a good one? Wasting a little more than the best, or 1/16, is good enough."""
    before, stride = view.fields["guard_before"], view.stride
    own = view.guest.image.debug.member("slab", "free").offset
    layouts = [
        _layout(order, off, stride, align, before, own)
        for order in range(MAX_ORDER + 1)
        for off in (False, True)
    ]
    waste = view.bytes - view.nr_objects * stride + (own + 8 if view.off_slab else 0)
    best = min(waste / bytes_ for nr, bytes_, waste in layouts if nr)
    if waste / view.bytes > max(1 / 16, 1.25 * best):
        return (
            f"slabs of {view.bytes} bytes with {view.nr_objects} objects of {stride} waste"
            f" {waste}, but there is a layout that wastes {best:.1%}"
        )
    good = [bytes_ for nr, bytes_, waste in layouts[::2] if nr >= 32 and waste * 32 <= bytes_]
    if good and view.bytes > min(good):
        return (
            f"slabs have {view.bytes} bytes, but {min(good)} are enough for 32 objects of {stride}"
            " and next to no waste"
        )
    return None


def _layout(
    order: int, off: bool, stride: int, align: int, before: int, own: int
) -> tuple[int, int, int]:
    """Objects, bytes and waste of a slab, with the header in it or elsewhere."""
    size = PAGE << order
    for nr in range(min(size // stride, OFF_SLAB_OBJECTS) if off else size // stride, 0, -1):
        header = 0 if off else own + 8 * -(-nr // 64)
        offset = -(-(header + before) // align) * align
        if offset + nr * stride <= size:
            return nr, size, size - nr * stride + (own + 8 if off else 0)
    return 0, size, size
