# SPDX-License-Identifier: MIT
"""Does a buddy allocator's memory, read from outside, agree with a model?

Judged is what any correct solution must keep true, and nothing of how it does it: every
frame is reserved, or belongs to one block whose head says what it is. Free blocks need not
have been merged, and free lists may be empty for a solution that keeps its free blocks in
another way; a list that is used must hold free blocks of its order only, each once.
"""

from .errors import GuestError
from .frames import FrameModel
from .guest import Guest
from .pageview import (
    PAGE_ALLOCATED,
    PAGE_FREE,
    PAGE_RESERVED,
    PAGE_TAIL,
    Pages,
    read_free_lists,
    read_pages,
    state_name,
)


def check_free_memory(
    guest: Guest, buddy: int, model: FrameModel, span: tuple[int, int]
) -> str | None:
    """What contradicts the model in the frames of span, or in the struct buddy, if anything."""
    problem, heads = check_frames(read_pages(guest, *span), model, span)
    return problem or check_lists(guest, buddy, heads)


def check_frames(
    pages: Pages, model: FrameModel, span: tuple[int, int]
) -> tuple[str | None, dict[int, int]]:
    """What contradicts the model in the frames of span; and the order of each free block."""
    heads: dict[int, int] = {}
    pfn, end = span
    while pfn < end:
        problem, frames = _check_frame(pages, model, pfn, end, heads)
        if problem:
            return problem, heads
        pfn += frames
    return None, heads


def _check_frame(
    pages: Pages, model: FrameModel, pfn: int, end: int, heads: dict[int, int]
) -> tuple[str | None, int]:
    """Check the block that begins at pfn. Returns what is wrong, and its frames."""
    state, order = pages.state_of(pfn), pages.order_of(pfn)
    if state == PAGE_RESERVED:
        managed = model.managed >> (pfn - model.base) & 1
        problem = f"frame {pfn:#x} is marked reserved, but is the allocator's"
        return (problem if managed else None), 1
    if state not in (PAGE_FREE, PAGE_ALLOCATED):
        return f"frame {pfn:#x} is marked as a tail, but belongs to no block", 1
    frames = 1 << order
    if order > model.max_order or pfn % frames or pfn + frames > end:
        return f"frame {pfn:#x} is marked as head of a block of order {order}", 1
    at = pfn - pages.first
    tails = pages.state[at + 1 : at + frames]
    if tails != bytes([PAGE_TAIL]) * (frames - 1):
        wrong = next(i for i, tail in enumerate(tails) if tail != PAGE_TAIL)
        return (
            f"frame {pfn + 1 + wrong:#x} inside the block {pfn:#x} of order {order} is"
            f" {state_name(tails[wrong])}, not PAGE_TAIL"
        ), 1
    if state == PAGE_FREE:
        heads[pfn] = order
        problem = f"the block {pfn:#x} of order {order} is marked free, but is not"
        return (None if model.is_free(pfn, pfn + frames) else problem), frames
    return _check_live(model, pfn, order), frames


def _check_live(model: FrameModel, pfn: int, order: int) -> str | None:
    """Is the block, marked allocated, a caller's, or inside a range that is a caller's?"""
    if model.live_orders.get(pfn) == order:
        return None
    for first, frames in model.live.items():
        if first not in model.live_orders and first <= pfn and pfn + (1 << order) <= first + frames:
            return None
    return f"the block {pfn:#x} of order {order} is marked allocated, but nobody has it"


def check_lists(guest: Guest, buddy: int, heads: dict[int, int]) -> str | None:
    """Do the free lists of a struct buddy hold blocks of heads only, each once?"""
    try:
        lists = read_free_lists(guest, buddy)
    except GuestError as error:
        return str(error)
    for order, listed in enumerate(lists):
        for pfn in listed:
            if heads.get(pfn) != order:
                return f"free list {order} holds frame {pfn:#x}, no free block of that order"
        if len(set(listed)) != len(listed):
            return f"free list {order} holds a block twice"
    return None
