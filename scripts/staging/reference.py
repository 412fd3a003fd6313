# SPDX-License-Identifier: MIT
"""The files of the reference: those that git tracks, as they are in the working tree."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import manifest
from .errors import StageError
from .manifest import Lab


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
    return Reference(files, manifest.load_all(root), changed)


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
