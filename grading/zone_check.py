# SPDX-License-Identifier: MIT
"""Does a node's memory, read from outside, agree with a model?

Frames are judged as those of a buddy allocator are (frame_check.py), where a block in a CPU's
list counts as allocated. Beyond that: every managed frame says the group that its page block is
in; what is free lies in the free lists of that group; lists hold what they say, and no more than
they may; only what a caller has is lent to one.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import GuestError
from .frame_check import check_frames, check_lists
from .frames import FrameModel
from .guest import Guest
from .oracle import ModelError
from .pageview import MEMMAP_BASE, read_pages

_BLOCK = 1024  # frames of a page block
_LENT_LARGE = 0x40
_LIST_ORDERS = 4


@dataclass(frozen=True)
class NodeView:
    """A struct node at an address, with zones that the model knows the spans of."""

    guest: Guest
    address: int
    spans: Sequence[tuple[int, int]]  # [first, end) of each zone, also of empty ones

    @property
    def nr_mobilities(self) -> int:
        return self.guest.image.debug.enumerator("NR_MOBILITIES")

    def zone(self, number: int) -> int:
        """The address of a struct zone."""
        debug = self.guest.image.debug
        return self.address + debug.member("node", "zone").offset + number * debug.size_of("zone")

    def group(self, number: int) -> int:
        """The address of a struct page_group."""
        debug = self.guest.image.debug
        zone, mobility = divmod(number, self.nr_mobilities)
        offset = debug.member("zone", "group").offset
        return self.zone(zone) + offset + mobility * debug.size_of("page_group")

    def lists(self, cpu: int) -> list[tuple[int, int, int]]:
        """Group, order and address of each struct cpu_list of a CPU."""
        debug = self.guest.image.debug
        cpus, lists = debug.member("node", "cpu"), debug.member("cpu_pages", "list")
        size = debug.size_of("cpu_list")
        at = self.address + cpus.offset + cpu * debug.size_of("cpu_pages") + lists.offset
        return [
            (*divmod(i, _LIST_ORDERS), at + i * size) for i in range(lists.size // size)
        ]


def check_node(
    view: NodeView, model: FrameModel, mobility: Mapping[int, int] | None, movable: set[int]
) -> str | None:
    """What contradicts the model, if anything.

    mobility: of each page block, by its first frame, where that is known. movable: first frames
    of the live blocks that have a mover.
    """
    try:
        cached = _read_lists(view)
        return _check(view, model, cached, mobility or {}, movable)
    except GuestError as error:
        return str(error)


def _check(
    view: NodeView,
    model: FrameModel,
    cached: dict[int, tuple[int, int]],
    mobility: Mapping[int, int],
    movable: set[int],
) -> str | None:
    # For the buddy allocators a cached block is one that is in use.
    in_use = copy.copy(model)
    in_use.live, in_use.live_orders = dict(model.live), dict(model.live_orders)
    for pfn, (_, order) in cached.items():
        try:
            in_use.alloc(pfn, order)
        except ModelError:
            return f"a CPU's list holds the block {pfn:#x} of order {order}, which is not free"
    span = (view.spans[0][0], view.spans[-1][1])
    problem, heads = check_frames(read_pages(view.guest, *span), in_use, span)
    if problem:
        return problem
    groups, problem = _check_blocks(view, mobility)
    return (
        problem
        or _check_pages(view, model, groups, cached, movable)
        or _check_groups(view, groups, heads)
    )


def _read_lists(view: NodeView) -> dict[int, tuple[int, int]]:
    """The blocks in all CPUs' lists: group and order by first frame."""
    guest, debug = view.guest, view.guest.image.debug
    page_size, link = debug.size_of("page"), debug.member("page", "link.next").offset
    cached: dict[int, tuple[int, int]] = {}
    for cpu in range(guest.read_uint(guest.image.address("nr_cpus"), 4)):
        for group, order, at in view.lists(cpu):
            limit, room = (_signed(guest.member(at, "cpu_list", m)) for m in ("limit", "room"))
            what = f"the list of CPU {cpu}, group {group}, order {order}"
            if not 0 <= room <= limit:
                raise GuestError(f"{what} has room for {room} blocks, its limit is {limit}")
            page = guest.member(at, "cpu_list", "first")
            for _ in range(limit - room):
                pfn, rest = divmod(page - MEMMAP_BASE, page_size)
                if rest or not view.spans[0][0] <= pfn < view.spans[-1][1]:
                    raise GuestError(f"{what} leads to {page:#x}, which is no page of the node")
                if pfn in cached:
                    raise GuestError(f"{what} holds frame {pfn:#x}, which a list holds already")
                cached[pfn] = (group, order)
                page = guest.read_uint(page + link)
            if page != 0:
                raise GuestError(f"{what} holds more than the {limit - room} blocks that it says")
    return cached


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _check_blocks(
    view: NodeView, mobility: Mapping[int, int]
) -> tuple[dict[int, int], str | None]:
    """The group of each page block, by first frame."""
    groups: dict[int, int] = {}
    for zone, (first, end) in enumerate(view.spans):
        if first == end:
            continue
        table = view.guest.member(view.zone(zone), "zone", "block_mobility")
        said = view.guest.read(table, (end - first) // _BLOCK)
        for block, kind in zip(range(first, end, _BLOCK), said, strict=True):
            expected = mobility.get(block, kind)
            if kind >= view.nr_mobilities or kind != expected:
                return {}, (
                    f"block_mobility of the page block {block:#x} is {kind}, not {expected}"
                )
            groups[block] = zone * view.nr_mobilities + kind
        for kind in range(view.nr_mobilities):
            number = zone * view.nr_mobilities + kind
            counted = view.guest.member(view.group(number), "page_group", "nr_blocks")
            if counted != said.count(kind):
                return {}, (
                    f"group {number} says that it has {counted} page blocks, but"
                    f" {said.count(kind)} are marked so"
                )
    return groups, None


def _check_pages(
    view: NodeView,
    model: FrameModel,
    groups: Mapping[int, int],
    cached: Mapping[int, tuple[int, int]],
    movable: set[int],
) -> str | None:
    """What each page says of its group, of whether it is lent, and of its use."""
    debug = view.guest.image.debug
    first, end = view.spans[0][0], view.spans[-1][1]
    size = debug.size_of("page")
    raw = view.guest.read(MEMMAP_BASE + first * size, (end - first) * size)
    group, lent, use = (
        raw[debug.member("page", name).offset :: size] for name in ("group", "lent", "use")
    )
    for block, number in groups.items():
        at = block - first
        if group[at : at + _BLOCK] == bytes([number]) * _BLOCK:
            continue
        for pfn in range(block, block + _BLOCK):
            if group[pfn - first] != number and model.managed >> (pfn - model.base) & 1:
                return (
                    f"frame {pfn:#x} says that it is in group {group[pfn - first]}, but its page"
                    f" block is in group {number}"
                )
    for pfn, (number, _) in cached.items():
        if groups[pfn // _BLOCK * _BLOCK] != number:
            return f"a list of group {number} holds frame {pfn:#x}, which is another group's"
    for pfn, mark in enumerate(lent, first):
        order = model.live_orders.get(pfn)
        expected = 0 if order is None else order + 1
        if order is not None and order >= _LIST_ORDERS:
            expected += _LENT_LARGE
        if mark != expected:
            return f"page->lent of frame {pfn:#x} is {mark}, not {expected}"
    in_use = debug.enumerator("PAGE_USE_MOVABLE")
    for pfn, kind in enumerate(use, first):
        if kind != (in_use if pfn in movable else 0):
            return f"page->use of frame {pfn:#x} is {kind}"
    return None


def _check_groups(
    view: NodeView, groups: Mapping[int, int], heads: Mapping[int, int]
) -> str | None:
    """Free blocks against the groups' free lists, and the zones' counts."""
    buddy = view.guest.image.debug.member("page_group", "buddy").offset
    for zone, (first, end) in enumerate(view.spans):
        if first == end:
            continue
        here = {pfn: order for pfn, order in heads.items() if first <= pfn < end}
        free = sum(1 << order for order in here.values())
        said = view.guest.member(view.zone(zone), "zone", "nr_free")
        if said != free:
            return f"nr_free of zone {zone} is {said}, but {free} frames are free"
        for kind in range(view.nr_mobilities):
            number = zone * view.nr_mobilities + kind
            own = {p: o for p, o in here.items() if groups[p // _BLOCK * _BLOCK] == number}
            problem = check_lists(view.guest, view.group(number) + buddy, own)
            if problem:
                return f"group {number}: {problem}"
    return None
