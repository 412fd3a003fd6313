# SPDX-License-Identifier: MIT
"""The files of the reference: those that git tracks, as they are in the working tree."""

import os
import re
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from . import manifest, tools
from .errors import StageError
from .manifest import Lab


_LAB = re.compile(r"labs/(lab([1-9])-[^/]+)/")


@dataclass(frozen=True)
class File:
    content: bytes
    executable: bool = False


# A tree, or a part of one: path from its top -> file.
Files = dict[str, File]


@dataclass(frozen=True)
class Reference:
    files: Files
    labs: tuple[Lab, ...]
    changed: frozenset[str]  # tracked files that are not as in the last commit
    comes_with: dict[int, tuple[str, ...]]  # number of a lab -> patterns of its files

    def is_later(self, path: str, number: int) -> bool:
        """Does a file come with a lab after that one?"""
        later = (lab for lab in self.comes_with if lab > number)
        return any(fnmatchcase(path, pattern) for lab in later for pattern in self.comes_with[lab])


def read(root: Path, *, untracked: bool = False) -> Reference:
    """untracked: take files too that git would add."""
    others = ["--others", "--exclude-standard"] if untracked else []
    names = _git(root, "ls-files", "-z", "--cached", *others)
    if not names:
        raise StageError(f"git tracks no file of {root} yet: commit the reference first")
    files = {name: _file(root, name) for name in sorted(set(names)) if os.path.lexists(root / name)}
    status = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", ".")
    # Paths of status count from the top of the repository, others from root.
    [prefix] = _git(root, "rev-parse", "--show-prefix")
    changed = frozenset(entry[3:].removeprefix(prefix.strip()) for entry in status)
    labs = manifest.load_all(root)
    reference = Reference(files, labs, changed, _comes_with(root, files))
    _check(reference)
    return reference


def _comes_with(root: Path, files: Files) -> dict[int, tuple[str, ...]]:
    """What the Makefile says, and what goes without saying."""
    found: dict[int, list[str]] = {}
    for line in tools.ask_make(root, "print-files").splitlines():
        number, _, pattern = line.partition(" ")
        if number:
            found.setdefault(int(number), []).append(pattern.replace("%", "*"))
    for branch, number in sorted({match.groups() for match in map(_LAB.match, files) if match}):
        found.setdefault(int(number), []).extend((f"labs/{branch}/*", f"handouts/{branch}*"))
    return {number: tuple(patterns) for number, patterns in found.items()}


def _check(reference: Reference) -> None:
    """A lab must not blank what an earlier one gives, and the lists must be of today."""
    for lab in reference.labs:
        for path in lab.editable:
            if path not in reference.files:
                raise StageError(f"{lab.directory}/lab.toml: there is no file {path}")
            if lab.number > 1 and not reference.is_later(path, lab.number - 1):
                raise StageError(
                    f"{lab.directory}/lab.toml: {path} is in the starters of earlier labs too:"
                    f" name it in MM_LAB{lab.number} in the Makefile"
                )
            if reference.is_later(path, lab.number):
                raise StageError(f"{lab.directory}/lab.toml: {path} comes with a later lab")
        for pattern in reference.comes_with[lab.number]:
            if not pattern.startswith("handouts/") and not any(
                fnmatchcase(path, pattern) for path in reference.files
            ):
                what = f"{pattern}, which comes with lab {lab.number}, is not there"
                raise StageError(f"Makefile: {what}")


def _file(root: Path, name: str) -> File:
    path = root / name
    if path.is_symlink() or not path.is_file():
        raise StageError(f"{name} is no plain file: starters are made of plain files only")
    try:
        return File(path.read_bytes(), bool(path.stat().st_mode & 0o100))
    except OSError as error:
        raise StageError(f"cannot read {path}: {error.strerror}") from error


def _git(root: Path, *words: str) -> list[str]:
    """The NUL-terminated answers of git, in root."""
    # Variables of a git that runs this, say in a hook, would lead elsewhere.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, env=environment, check=False
        )
    except OSError as error:
        raise StageError(f"cannot run git ({error.strerror}): run scripts/setup") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise StageError(f"{root} must be a git working tree: {reason}")
    return [name for name in os.fsdecode(done.stdout).split("\0") if name]
