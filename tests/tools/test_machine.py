# SPDX-License-Identifier: MIT
"""What the host allows an emulator."""

import math

import pytest
from grading.machine import Limits


@pytest.mark.parametrize(
    ("boot_s", "allowed"),
    [
        (None, 20),  # nothing was printed yet
        (0.01, 10),  # never less than this, however fast the host
        (0.12, 12),
        (5, 20),  # nor more than before
    ],
)
def test_time_is_counted_in_boots(boot_s: float | None, allowed: float) -> None:
    assert Limits(charged_s=20, boots=100).charged(boot_s) == pytest.approx(allowed)


def test_unless_nobody_asks_for_that() -> None:
    assert Limits(charged_s=120).boots == math.inf
    assert Limits(charged_s=120).charged(0.01) == 120
