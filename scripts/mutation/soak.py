# SPDX-License-Identifier: MIT
"""The reference with many seeds: a case that now and then fails it would cost a student marks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from grading.errors import GradingError
from grading.lab import Case
from grading.result import Status

from .shop import Shop


def run(shop: Shop, only: Sequence[str], jobs: int, seeds: Sequence[int]) -> int:
    """Print each case that did not pass, with its seed. Returns the exit status."""
    cases = [c for c in shop.lab.cases if not only or c.name.startswith(tuple(only))]
    if not cases:
        raise GradingError(f"no case's name begins with {' or '.join(only)}")
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for seed, lines in pool.map(lambda seed: (seed, _failures(shop, cases, seed)), seeds):
                failed += len(lines)
                print(f"seed {seed}: {len(cases) - len(lines)} of {len(cases)} pass", flush=True)
                for line in lines:
                    print(f"    {line}", flush=True)
        except BaseException:
            shop.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    print(f"{len(seeds)} seeds, {len(cases)} cases: {failed} of {len(seeds) * len(cases)} failed")
    return 1 if failed else 0


def _failures(shop: Shop, cases: Sequence[Case], seed: int) -> list[str]:
    """Each case that did not pass: why, and how to see it again."""
    marks = shop.mark({}, cases, [seed])
    return [
        f"{name}: {status.value}: {marks.outputs[name].partition(chr(10))[0]}; "
        f"replay: make replay LAB={shop.lab.name} CASE={name} SEED={seed}"
        for name, status in marks.statuses.items()
        if status is not Status.PASS
    ]
