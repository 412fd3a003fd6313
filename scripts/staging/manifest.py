# SPDX-License-Identifier: MIT
"""What a lab.toml says to the staging tool; the grader reads the rest of it.

    [submission]
    editable = ["mm/a.c"]       # the files that a student may change
    symbols = ["panic"]         # what their objects may use of other files

    [[exercise]]                # in the order in which they are best written
    file = "mm/a.c"
    function = "f"              # all of its body is the exercise
    todo = "what is missing"    # one line, for the student
    stub = "stubs/f.c"          # may be left out: a file with an f() that lets the kernel boot

What comes with a lab, and not with those before, is said in the Makefile: MM_LABn, FILES_LABn.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import StageError

# With the call around it and a tab before it, no line of a starter is longer than 100.
MAX_TODO = 76

_EXERCISE_KEYS = {"file": True, "function": True, "todo": True, "stub": False}
_DIRECTORY = re.compile(r"lab([1-9])-([a-z][a-z0-9]*)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Exercise:
    file: str
    function: str
    todo: str
    stub: str | None  # path in the tree


@dataclass(frozen=True)
class Lab:
    number: int
    name: str
    title: str
    handout: str
    directory: str  # labs/labN-NAME
    editable: tuple[str, ...]
    symbols: tuple[str, ...]
    exercises: tuple[Exercise, ...]
    cases: tuple[str, ...]  # names of what is graded

    @property
    def branch(self) -> str:
        return f"lab{self.number}-{self.name}"


def load_all(root: Path) -> tuple[Lab, ...]:
    """All labs of a tree, in order: 1, 2 and so on without a gap."""
    labs = [load(root, path.parent.name) for path in root.glob("labs/lab*-*/lab.toml")]
    labs.sort(key=lambda lab: lab.number)
    if [lab.number for lab in labs] != list(range(1, len(labs) + 1)) or not labs:
        found = ", ".join(lab.directory for lab in labs) or "none"
        raise StageError(f"the labs of {root} must count from 1 without a gap; found: {found}")
    return tuple(labs)


def select(labs: tuple[Lab, ...], wanted: str) -> Lab:
    """The lab of that number or name."""
    for lab in labs:
        if wanted in (str(lab.number), lab.name, lab.branch):
            return lab
    names = ", ".join(lab.name for lab in labs)
    raise StageError(f"there is no lab {wanted!r}: use one of {names}")


def load(root: Path, directory: str) -> Lab:
    path = root / "labs" / directory / "lab.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _lab(content, directory)
    except OSError as error:
        raise StageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
        raise StageError(f"{path}: {error}") from error


def _lab(content: dict[str, Any], directory: str) -> Lab:
    match = _DIRECTORY.fullmatch(directory)
    number, name = _value(content, "number", int), _value(content, "name", str)
    if not match or (str(number), name) != match.groups():
        raise ValueError(f"number and name must be those of the directory {directory}")
    if "starter" in content:
        raise ValueError(f"[starter]: name its files in FILES_LAB{number} in the Makefile")
    here = f"labs/{directory}"
    submission = _value(content, "submission", dict)
    editable = _strings(submission, "editable", "[submission]")
    exercises = tuple(
        _exercise(table, number, here) for table in _value(content, "exercise", list)
    )
    if not exercises:
        raise ValueError("there is no [[exercise]]")
    for kind, values in (
        ("function", [f"{e.function} of {e.file}" for e in exercises]),
        ("todo", [e.todo for e in exercises]),
    ):
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"two exercises have the {kind} {value}")
    for exercise in exercises:
        if exercise.file not in editable:
            raise ValueError(
                f"{exercise.function}: {exercise.file} is not among the editable files"
            )
    return Lab(
        number=number,
        name=name,
        title=_value(content, "title", str),
        handout=_value(content, "handout", str),
        directory=here,
        editable=editable,
        symbols=_strings(submission, "symbols", "[submission]"),
        exercises=exercises,
        cases=tuple(case["name"] for case in content.get("case", [])),
    )


def _value(table: dict[str, Any], key: str, kind: type) -> Any:
    if key not in table:
        raise ValueError(f"the key {key!r} is missing")
    if not isinstance(table[key], kind):
        raise ValueError(f"the value of {key!r} is of the wrong type")
    return table[key]


def _strings(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where} must have a list of strings {key!r}")
    return tuple(values)


def _exercise(table: dict[str, Any], number: int, here: str) -> Exercise:
    name = table.get("function", "an [[exercise]]")
    for key in table:
        if key not in _EXERCISE_KEYS:
            raise ValueError(f"{name}: unknown key {key!r}")
    for key, needed in _EXERCISE_KEYS.items():
        if (needed or key in table) and not isinstance(table.get(key), str):
            raise ValueError(f"{name}: there must be a string {key!r}")
    if not _IDENTIFIER.fullmatch(table["function"]):
        raise ValueError(f"{name!r} is no name of a function")
    todo = table["todo"]
    if not todo or not todo.isascii() or not todo.isprintable() or set(todo) & set('"\\%'):
        raise ValueError(f"{name}: todo must be plain text, without quotes, backslashes or %")
    if len(todo) > MAX_TODO:
        raise ValueError(f"{name}: todo is longer than {MAX_TODO} characters")
    stub = f"{here}/{table['stub']}" if "stub" in table else None
    return Exercise(table["file"], table["function"], todo, stub)
