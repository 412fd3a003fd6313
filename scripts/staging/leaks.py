# SPDX-License-Identifier: MIT
"""Looking for the solution where it must not be.

A line of a blanked body gives something away if it is long enough to mean something and does
not stand in the code that students get anyway: to take a lock is no secret. Such lines are
looked for in everything that students get, comments and prose included, and in a repository in
every object, reachable or not. Blanks and line breaks make no difference.
"""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import functions
from .course import environment
from .errors import StageError
from .reference import Files

# Characters that are no blanks; "return NULL;" has 11.
MIN_TELLING = 12

_CODE = (".c", ".h", ".S")


@dataclass(frozen=True)
class Leak:
    where: str
    function: str
    line: str  # of the solution

    def __str__(self) -> str:
        return f'{self.where} holds a line of {self.function}(): "{self.line}"'


def telling_lines(solutions: dict[tuple[str, str], str], kept: Files) -> dict[str, tuple[str, str]]:
    """The lines that give something away, without blanks -> (function, line)."""
    code = "\n".join(
        _squeeze(functions.without_comments(functions.decode(file.content)))
        for name, file in kept.items()
        if name.endswith(_CODE)
    )
    found = {}
    for (_, function), body in solutions.items():
        for line in body.splitlines():
            squeezed = _squeeze(line)
            if len(squeezed) >= MIN_TELLING and squeezed not in code:
                found[squeezed] = (function, line.strip())
    return found


def search(lines: dict[str, tuple[str, str]], texts: Iterable[tuple[str, bytes]]) -> list[Leak]:
    """texts: where each is, and what it holds."""
    leaks = []
    for where, content in texts:
        squeezed = _squeeze(functions.decode(content))
        for line, (function, shown) in lines.items():
            if line in squeezed:
                leaks.append(Leak(where, function, shown))
    return leaks


def check_files(solutions: dict[tuple[str, str], str], files: Files) -> None:
    """Raise StageError if a starter gives something away."""
    texts = ((name, file.content) for name, file in files.items())
    for leak in search(telling_lines(solutions, files), texts):
        raise StageError(f"{leak}: students must not get that")


def objects_of(repository: Path) -> Iterator[tuple[str, bytes]]:
    """Every blob, commit and tag of a repository, also those that no branch leads to."""
    command = ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch"]
    done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    if done.returncode != 0:
        raise StageError(f"cannot read the objects of {repository}")
    position = 0
    while position < len(done.stdout):
        line_end = done.stdout.index(b"\n", position)
        name, kind, size = done.stdout[position:line_end].decode().split()
        content = done.stdout[line_end + 1 : line_end + 1 + int(size)]
        position = line_end + 1 + int(size) + 1  # a line end follows each object
        if kind != "tree":
            yield f"{kind} {name[:12]}", content


def _squeeze(text: str) -> str:
    return "".join(text.split())
