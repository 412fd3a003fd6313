# SPDX-License-Identifier: MIT
"""A lab as its lab.toml describes it: the graded cases and what each is worth."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import GradingError

_CASE_KEYS = {"name", "points", "cpus", "section", "hint", "options", "memory_mib", "initrd"}


@dataclass(frozen=True)
class Case:
    """One graded case: one boot."""

    name: str
    points: int
    section: str  # anchor in the handout
    hint: str
    cpus: int = 1
    memory_mib: int = 128
    options: str = ""  # more for the kernel's command line
    initrd: bool = False  # is it booted with the initrd, whose programs it runs?


@dataclass(frozen=True)
class Exercise:
    """A function that a student writes. In a starter it calls lab_todo() with that text."""

    file: str  # path in the tree
    function: str
    todo: str


@dataclass(frozen=True)
class Lab:
    number: int
    name: str
    title: str
    suite: str
    handout: str  # path in the tree
    oracle: Path
    cases: tuple[Case, ...]
    exercises: tuple[Exercise, ...]  # in the order in which they are best written

    def select(self, names: list[str]) -> tuple[Case, ...]:
        """The cases of those names, in the lab's order; all for no names."""
        known = {case.name for case in self.cases}
        for name in names:
            if name not in known:
                raise GradingError(
                    f"lab {self.name} has no case {name}; it has: {', '.join(sorted(known))}"
                )
        return tuple(case for case in self.cases if not names or case.name in names)

    def next_exercise(self, tree: Path) -> Exercise | None:
        """The first one that is not written yet in a tree."""
        for exercise in self.exercises:
            try:
                text = (tree / exercise.file).read_text(errors="replace")
            except OSError:
                continue
            if f'"{exercise.todo}"' in text:
                return exercise
        return None


def find(tree: Path, wanted: str) -> Lab:
    """The lab of that number or name in a tree; for "" the last one."""
    directories = sorted(path.parent for path in tree.glob("labs/lab[0-9]*-*/lab.toml"))
    if not wanted and directories:
        return load(directories[-1] / "lab.toml")
    for directory in directories:
        number, _, name = directory.name.removeprefix("lab").partition("-")
        if wanted in (number, name, directory.name):
            return load(directory / "lab.toml")
    names = ", ".join(directory.name.partition("-")[2] for directory in directories) or "none"
    raise GradingError(f"there is no lab {wanted} in {tree}; there is: {names}")


def load(path: Path) -> Lab:
    """Read a lab.toml. Tables that other tools use are passed over."""
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise GradingError(f"cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise GradingError(f"{path}: {error}") from error
    try:
        lab = Lab(
            number=content["number"],
            name=content["name"],
            title=content["title"],
            suite=content["suite"],
            handout=content["handout"],
            oracle=path.with_name("oracle.py"),
            cases=tuple(_case(table, content.get("options", "")) for table in content["case"]),
            exercises=tuple(
                Exercise(table["file"], table["function"], table["todo"])
                for table in content.get("exercise", [])
            ),
        )
    except KeyError as error:
        raise GradingError(f"{path}: the key {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise GradingError(f"{path}: {error}") from error
    names = [case.name for case in lab.cases]
    for name in names:
        if names.count(name) > 1:
            raise GradingError(f"{path}: case {name} stands there twice")
    return lab


def _case(table: dict[str, Any], options: str) -> Case:
    unknown = set(table) - _CASE_KEYS
    if unknown:
        raise ValueError(f"case {table.get('name')}: unknown key {min(unknown)}")
    case = Case(**table)
    case = replace(case, options=f"{options} {case.options}".strip())
    if case.points < 0 or case.cpus < 1:
        raise ValueError(f"case {case.name}: points must not be negative, cpus at least 1")
    return case
