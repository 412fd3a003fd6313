# SPDX-License-Identifier: MIT
"""Mistakes by rule, each against the cases until one catches it.

What no case catches is either no mistake, and then stands in mutants/equivalent.toml with the
reason, or asks for a better case.
"""

import collections
import random
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from grading.errors import GradingError
from grading.lab import Case

from .mutator import Change, changes
from .shop import DoesNotBuild, Shop

# What survives one seed may not survive the next: cases choose what they do.
_SEEDS = 8
_KEYS = {"function", "line", "change", "reason"}


def run(shop: Shop, only: Sequence[str], jobs: int, sample: int | None) -> int:
    """Print what survives. Returns the exit status."""
    known = _load(shop.directory / "mutants/equivalent.toml")
    mutants = [
        change
        for file, text in shop.reference.items()
        for change in changes(file, text, [f for name, f in shop.exercises if name == file])
    ]
    stale = set(known) - {_key(change) for change in mutants}
    if only:
        mutants = [change for change in mutants if change.function in only]
    if sample and sample < len(mutants):
        mutants = random.Random(shop.seed).sample(mutants, sample)
    tally: collections.Counter[str] = collections.Counter()
    wrong = [f"not a mutant any more: {' | '.join(key)}" for key in sorted(stale)]
    for change, caught in _run_all(shop, mutants, jobs):
        listed = _key(change) in known
        tally["equivalent" if listed and not caught else caught or "survived"] += 1
        if caught and caught != "did not build" and listed:
            wrong.append(f"listed as equivalent, but {caught} catches it: {change}")
        if not caught and not listed:
            wrong.append(f"survived: {change}")
    for what, count in tally.most_common():
        print(f"{count:>5} {what}")
    for line in wrong:
        print(line)
    print(f"{len(mutants)} mutants: {len(wrong)} complaints")
    return 1 if wrong else 0


def _run_all(
    shop: Shop, mutants: Sequence[Change], jobs: int
) -> Iterator[tuple[Change, str]]:
    """Each mutant and the case that caught it, "did not build", or ""."""
    kills: collections.Counter[str] = collections.Counter()
    seeds = range(shop.seed, shop.seed + _SEEDS)

    def mark(change: Change) -> tuple[Change, str]:
        # What has caught most so far goes first.
        order: list[Case] = sorted(shop.lab.cases, key=lambda case: -kills[case.name])
        text = change.apply(shop.reference[change.file])
        try:
            marks = shop.mark({change.file: text}, order, seeds, stop_early=True)
        except DoesNotBuild:
            return change, "did not build"
        caught = "".join(marks.caught_by)
        kills[caught] += 1
        return change, caught

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in as_completed([pool.submit(mark, change) for change in mutants]):
                yield future.result()
        except BaseException:
            shop.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _key(change: Change) -> tuple[str, str, str]:
    return change.function, change.source, change.what


def _load(path: Path) -> dict[tuple[str, str, str], str]:
    """(function, line, change) -> reason."""
    if not path.exists():
        return {}
    try:
        entries = tomllib.loads(path.read_text())["equivalent"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise GradingError(f"cannot use {path}: {error}") from error
    for entry in entries:
        if set(entry) != _KEYS or not entry["reason"]:
            raise GradingError(f"{path}: an entry has {', '.join(sorted(_KEYS))}, and no more")
    return {(e["function"], e["line"], e["change"]): e["reason"] for e in entries}
