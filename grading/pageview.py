# SPDX-License-Identifier: MIT
"""The kernel's frame structures, read from outside: struct page and struct buddy.

Where a member lies and what number a state has come from the debugging information of the
kernel that ran, so nothing here knows a layout. Lists are followed with a limit, and their
backward links compared: a damaged list is a GuestError that says where.
"""

from dataclasses import dataclass

from .debuginfo import DebugInfo
from .errors import GuestError
from .guest import Guest

# States here, whatever numbers the kernel's enum page_state gives them.
PAGE_RESERVED, PAGE_TAIL, PAGE_FREE, PAGE_ALLOCATED, PAGE_UNKNOWN = range(5)
_STATES = ("PAGE_RESERVED", "PAGE_TAIL", "PAGE_FREE", "PAGE_ALLOCATED")


def state_name(state: int) -> str:
    """A page's state as the source calls it."""
    return _STATES[state] if state < len(_STATES) else "in no state that there is"


MEMMAP_BASE = 0xFFFFE00000000000


@dataclass(frozen=True)
class Pages:
    """States and orders of the frames [first, first + len(state))."""

    first: int
    state: bytes
    order: bytes

    def state_of(self, pfn: int) -> int:
        return self.state[pfn - self.first]

    def order_of(self, pfn: int) -> int:
        return self.order[pfn - self.first]


def read_pages(guest: Guest, first: int, end: int) -> Pages:
    """struct page of the frames [first, end)."""
    debug = guest.image.debug
    size = debug.size_of("page")
    raw = guest.read(MEMMAP_BASE + first * size, (end - first) * size)
    return Pages(
        first=first,
        state=raw[debug.member("page", "state").offset :: size].translate(_translation(debug)),
        order=raw[debug.member("page", "order").offset :: size],
    )


def _translation(debug: DebugInfo) -> bytes:
    """From the kernel's numbers to those here, for bytes.translate()."""
    table = bytearray([PAGE_UNKNOWN]) * 256
    for state, name in enumerate(_STATES):
        table[debug.enumerator(name)] = state
    return bytes(table)


def read_free_lists(guest: Guest, buddy: int) -> list[list[int]]:
    """By order: frame numbers on the free list of the struct buddy at a virtual address."""
    debug = guest.image.debug
    area = debug.member("buddy", "area")
    area_size = debug.size_of(area.type)
    list_offset = debug.member(area.type, "list").offset
    return [
        [
            _page_of_link(guest, link)
            for link in list_links(guest, buddy + area.offset + order * area_size + list_offset)
        ]
        for order in range(area.size // area_size)
    ]


def list_links(guest: Guest, head: int) -> list[int]:
    """Addresses of the entries of the circular list at head."""
    limit = 1 << 20
    links: list[int] = []
    entry = guest.member(head, "list_head", "next")
    previous = head
    while entry != head:
        if guest.member(entry, "list_head", "prev") != previous:
            raise GuestError(f"list at {head:#x}: entry {entry:#x} does not point back")
        links.append(entry)
        if len(links) > limit:
            raise GuestError(f"list at {head:#x} does not end")
        previous, entry = entry, guest.member(entry, "list_head", "next")
    if guest.member(head, "list_head", "prev") != previous:
        raise GuestError(f"list at {head:#x}: the head does not point back to {previous:#x}")
    return links


def _page_of_link(guest: Guest, link: int) -> int:
    debug = guest.image.debug
    page = link - debug.member("page", "link").offset
    pfn, rest = divmod(page - MEMMAP_BASE, debug.size_of("page"))
    if rest or pfn < 0:
        raise GuestError(f"free list entry {link:#x} is not the link of a struct page")
    return pfn
