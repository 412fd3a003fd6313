# SPDX-License-Identifier: MIT
"""Known mistakes: unified diffs against the reference, each with one sentence before it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grading.errors import GradingError

_FILE = re.compile(r"\+\+\+ b/(?P<name>\S+)")
_HUNK = re.compile(r"@@ -(?P<line>\d+)(?:,\d+)? \+\d+(?:,\d+)? @@.*")


@dataclass(frozen=True)
class Hunk:
    file: str
    line: int  # where it was, from 1
    old: list[str]
    new: list[str]


@dataclass(frozen=True)
class Patch:
    name: str
    sentence: str  # what is wrong
    hunks: list[Hunk]

    def apply(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts of the files that it changes, changed. Context must match exactly."""
        changed: dict[str, list[str]] = {}
        for hunk in self.hunks:
            if hunk.file not in texts:
                raise GradingError(f"{self.name}: no student may change {hunk.file}")
            lines = changed.setdefault(hunk.file, texts[hunk.file].split("\n"))
            at = self._find(hunk, lines)
            lines[at : at + len(hunk.old)] = hunk.new
        return {name: "\n".join(lines) for name, lines in changed.items()}

    def _find(self, hunk: Hunk, lines: list[str]) -> int:
        size = len(hunk.old)
        places = [i for i in range(len(lines) - size + 1) if lines[i : i + size] == hunk.old]
        if not places:
            raise GradingError(
                f"{self.name} does not apply to {hunk.file} near line {hunk.line}:"
                " make the patch again for the reference as it is now"
            )
        return min(places, key=lambda place: abs(place + 1 - hunk.line))


def read_all(directory: Path) -> list[Patch]:
    """The patches of a directory, by name."""
    found = [_read(path) for path in sorted(directory.glob("*.patch"))]
    if not found:
        raise GradingError(f"there is no patch in {directory}")
    return found


def _read(path: Path) -> Patch:
    sentence, *lines = path.read_text().removesuffix("\n").split("\n")
    hunks: list[Hunk] = []
    file = ""
    for line in lines:
        if match := _FILE.fullmatch(line):
            file = match["name"]
        elif match := _HUNK.fullmatch(line):
            hunks.append(Hunk(file, int(match["line"]), [], []))
        elif hunks and line[:1] in ("", " ", "-", "+"):
            # An empty line of the context may have lost its blank.
            if not line.startswith("+"):
                hunks[-1].old.append(line[1:])
            if not line.startswith("-"):
                hunks[-1].new.append(line[1:])
    if not hunks or not file or not sentence or sentence.startswith("---"):
        raise GradingError(f"{path}: must hold one sentence, and then a unified diff of one file")
    return Patch(path.stem, sentence, hunks)
