# SPDX-License-Identifier: MIT
"""Known mistakes against all cases, or each against one case that is known to catch it."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grading.errors import GradingError
from grading.lab import Case

from . import patches
from .matrix import Matrix
from .patches import Patch
from .shop import DoesNotBuild, Marks, Shop

_HEADER = """\
# SPDX-License-Identifier: MIT
# The cases that catch each known mistake, as "make mutants RECORD=1" found them: so that
# "make mutants QUICK=1" need run only one of them.

"""


def run(shop: Shop, only: Sequence[str], jobs: int, *, quick: bool, record: bool) -> int:
    """Print the table and what is wrong. Returns the exit status."""
    selected = _select(patches.read_all(shop.directory / "mutants"), only)
    expectations = shop.directory / "mutants/expected.toml"
    cases = {patch.name: list(shop.lab.cases) for patch in selected}
    if quick:
        cases = _one_each(_load(expectations), selected, shop.lab.cases)
    marks: dict[str, Marks] = {}
    matrix = Matrix(shop.lab.cases, marks)
    print("\n".join(matrix.header()), flush=True)
    for patch, found in _mark_all(shop, selected, cases, jobs):
        marks[patch.name] = found
        print(matrix.row(patch.name), flush=True)
    print("\n".join(matrix.footer()))
    # A part of the mistakes need not use every case.
    wrong = matrix.complaints(selected) + ([] if only else matrix.idle_cases())
    for line in wrong:
        print(line)
    if record:
        _save(expectations, marks)
    print(f"{len(selected)} mistakes, {len(shop.lab.cases)} cases: {len(wrong)} complaints")
    return 1 if wrong else 0


def _select(known: list[Patch], only: Sequence[str]) -> list[Patch]:
    """Those whose names begin with one of the words; all for no words."""
    for word in only:
        if not any(patch.name.startswith(word) for patch in known):
            raise GradingError(f"no mistake's name begins with {word}")
    return [p for p in known if not only or any(p.name.startswith(word) for word in only)]


def _mark_all(
    shop: Shop, selected: Sequence[Patch], cases: Mapping[str, Sequence[Case]], jobs: int
) -> Iterable[tuple[Patch, Marks]]:
    def mark(patch: Patch) -> tuple[Patch, Marks]:
        try:
            return patch, shop.mark(patch.apply(shop.reference), cases[patch.name], [shop.seed])
        except DoesNotBuild as error:
            raise GradingError(f"{patch.name} does not build: {error}") from error

    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(mark, selected)
        except BaseException:
            shop.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_each(
    expected: Mapping[str, list[str]], selected: Sequence[Patch], cases: Sequence[Case]
) -> dict[str, list[Case]]:
    """For each mistake a case that catches it, so that every case is used if it can be."""
    for patch in selected:
        if not expected.get(patch.name):
            raise GradingError(f"{patch.name} is not in expected.toml: run make mutants RECORD=1")
    chosen: dict[str, Case] = {}

    def place(case: Case, tried: set[str]) -> bool:
        """Give a case a mistake, moving others if need be (augmenting path)."""
        for patch in selected:
            if case.name in expected[patch.name] and patch.name not in tried:
                tried.add(patch.name)
                if patch.name not in chosen or place(chosen[patch.name], tried):
                    chosen[patch.name] = case
                    return True
        return False

    for case in cases:
        place(case, set())
    by_name = {case.name: case for case in cases}
    return {
        patch.name: [chosen.get(patch.name) or by_name[expected[patch.name][0]]]
        for patch in selected
    }


def _load(path: Path) -> dict[str, list[str]]:
    try:
        return tomllib.loads(path.read_text())["caught_by"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise GradingError(f"cannot use {path} ({error}): run make mutants RECORD=1") from error


def _save(path: Path, marks: Mapping[str, Marks]) -> None:
    lines = ["[caught_by]"]
    for name, found in marks.items():
        names = ", ".join(f'"{case}"' for case in found.caught_by)
        lines.append(f'"{name}" = [{names}]')
    path.write_text(_HEADER + "\n".join(lines) + "\n")
