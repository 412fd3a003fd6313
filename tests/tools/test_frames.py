# SPDX-License-Identifier: MIT
import random
import time

import pytest
from grading.frames import FrameModel
from grading.oracle import ModelError


def test_alloc_and_release() -> None:
    model = FrameModel([(0x8000, 0x8400)])
    model.alloc(0x8010, 4)
    assert model.frames_free == 1024 - 16
    assert not model.is_free(0x800F, 0x8011)
    assert model.is_free(0x8000, 0x8010)
    model.release_block(0x8010, 4)
    assert model.frames_free == 1024
    assert model.live == {} and model.live_orders == {}


@pytest.mark.parametrize(
    ("first", "order", "message"),
    [
        (0x8001, 1, "not aligned"),
        (0x8400, 0, "not the allocator's"),
        (0x7000, 0, "outside"),
        (0xFFFFFFFFFFFFFFFF, 0, "so much memory"),
        (0x8010, 2, "still in use, in the 16 frames at 0x8010"),
        (0x8000, 6, "still in use"),
    ],
)
def test_what_cannot_be_handed_out(first: int, order: int, message: str) -> None:
    model = FrameModel([(0x8000, 0x8400)])
    model.alloc(0x8010, 4)
    with pytest.raises(ModelError, match=message):
        model.alloc(first, order)
    assert model.frames_free == 1024 - 16


def test_absurd_claims_cost_nothing() -> None:
    model = FrameModel([(0x8000, 0x8400)])
    for first, frames in ((0x8000, 1 << 60), (1 << 60, 1), (0x8000, 0)):
        with pytest.raises(ModelError):
            model.take(first, frames)


def test_only_what_was_handed_out_can_come_back() -> None:
    model = FrameModel([(0, 64)])
    model.take(3, 10)
    for first, frames in ((3, 9), (4, 10), (0, 1)):
        with pytest.raises(ModelError, match="was not handed out so"):
            model.release(first, frames)
    model.release(3, 10)


def test_holes_and_reserved_frames() -> None:
    model = FrameModel([(0, 7), (9, 16)])
    with pytest.raises(ModelError, match="not the allocator's"):
        model.alloc(4, 2)
    assert model.can_alloc(2) and not model.can_alloc(3)
    model.reserve(0, 4)
    assert model.frames_free == 10
    with pytest.raises(ModelError, match="not all free"):
        model.reserve(0, 1)
    with pytest.raises(ModelError, match="already managed"):
        model.add(6, 8)


def naive_can_alloc(free: set[int], order: int, end: int) -> bool:
    size = 1 << order
    return any(
        all(frame in free for frame in range(head, head + size)) for head in range(0, end, size)
    )


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_sets_of_frames(seed: int) -> None:
    draw = random.Random(seed)
    base, end, max_order = 64, 64 + 128, 5
    ranges = [(base + 3, base + 50), (base + 50, base + 70), (base + 71, end)]
    model = FrameModel(ranges, max_order)
    free = {frame for first, last in ranges for frame in range(first, last)}
    for _ in range(300):
        if model.live and draw.random() < 0.4:
            first = draw.choice(sorted(model.live))
            free |= set(range(first, first + model.live[first]))
            model.release(first, model.live[first])
        else:
            order = draw.randrange(4)
            first = draw.randrange(base, end) >> order << order
            block = set(range(first, first + (1 << order)))
            if block <= free:
                model.alloc(first, order)
                free -= block
            else:
                with pytest.raises(ModelError):
                    model.alloc(first, order)
        assert model.frames_free == len(free)
        for order in range(max_order + 1):
            assert model.can_alloc(order) == naive_can_alloc(free, order, end)


def test_fast_enough_for_long_transcripts() -> None:
    """100,000 operations over 32,768 frames; the bound leaves room for a slow host."""
    draw = random.Random(1)
    model = FrameModel([(0, 32768)])
    start = time.process_time()
    for i in range(50_000):
        frame = draw.randrange(32768)
        if model.is_free(frame, frame + 1):
            model.alloc(frame, 0)
        if i % 100 == 0:
            model.can_alloc(10)
        if frame in model.live:
            model.release_block(frame, 0)
    assert time.process_time() - start < 5
