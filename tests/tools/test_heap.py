# SPDX-License-Identifier: MIT
"""The heap model that lab 3's oracle holds answers to."""

import pytest

from grading.heap import HeapModel
from grading.oracle import ModelError


def test_neighbours_do_not_overlap() -> None:
    heap = HeapModel()
    heap.alloc(64, 64, 64)
    heap.alloc(0, 64, 8)
    heap.alloc(128, 1, 8)
    assert heap.live == {0: 64, 64: 64, 128: 1}


@pytest.mark.parametrize("address, size", [(100, 8), (92, 9), (92, 100), (107, 1), (100, 1)])
def test_overlap_is_refused(address: int, size: int) -> None:
    heap = HeapModel()
    heap.alloc(100, 8, 1)
    heap.alloc(300, 8, 1)
    with pytest.raises(ModelError, match="overlaps"):
        heap.alloc(address, size, 1)


def test_alignment_is_held_to() -> None:
    with pytest.raises(ModelError, match="not aligned to 16"):
        HeapModel().alloc(24, 8, 16)


def test_free_makes_room_again() -> None:
    heap = HeapModel()
    heap.alloc(8, 8, 8)
    heap.free(8)
    heap.alloc(8, 16, 8)
    with pytest.raises(ModelError, match="nobody has it"):
        heap.free(16)


def test_covers() -> None:
    heap = HeapModel()
    heap.alloc(100, 50, 1)
    assert [heap.covers(address) for address in (99, 100, 149, 150)] == [False, True, True, False]
