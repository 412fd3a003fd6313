# SPDX-License-Identifier: MIT
"""Writing a tree to a directory, but never over somebody's work.

A directory that was written to holds .stage-manifest: the SHA-256 of each file, as sha256sum
prints them. It may be written again if nothing in it differs from that, or if it has since
become a git repository in which everything is committed.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from .errors import StageError
from .reference import Files

MANIFEST = ".stage-manifest"

# What building and grading leave behind, and nobody misses.
_LEFT_BEHIND = {"build", "__pycache__", ".pytest_cache", "compile_commands.json"}


def write(files: Files, out: Path) -> None:
    """Make a directory hold these files, or raise StageError and change nothing."""
    try:
        old = _check(out)
        for name in sorted(old - set(files)):
            remove(out, name)
        write_files(files, out)
        (out / MANIFEST).write_text(
            "".join(f"{_digest(file.content)}  {name}\n" for name, file in files.items())
        )
    except OSError as error:
        raise StageError(f"cannot write {error.filename}: {error.strerror}") from error


def write_files(files: Files, out: Path) -> None:
    """Write those that are not there yet as they should be, so that make rebuilds only these."""
    for name, file in files.items():
        path = out / name
        mode = 0o755 if file.executable else 0o644
        if path.is_file() and path.read_bytes() == file.content:
            path.chmod(mode)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(mode)


def _check(out: Path) -> set[str]:
    """The files that an earlier run left in out. Raises StageError if it must not be touched."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return set()
    advice = "move it away or name another directory with OUT="
    if not (out / MANIFEST).is_file():
        raise StageError(f"{out} is there already, and no starter that was staged: {advice}")
    expected = {}
    for line in (out / MANIFEST).read_text().splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    change = _change_in_git(out) if (out / ".git").exists() else _change(out, expected)
    if change:
        raise StageError(f"{out} holds changes, such as {change}: {advice}")
    return set(expected)


def _change(out: Path, expected: dict[str, str]) -> str | None:
    """The first file that is not as it was written, is gone or is new."""
    for name, digest in expected.items():
        path = out / name
        if not path.is_file() or _digest(path.read_bytes()) != digest:
            return name
    for folder, subfolders, names in os.walk(out):
        subfolders[:] = sorted(set(subfolders) - _LEFT_BEHIND)
        for base in sorted(set(names) - _LEFT_BEHIND):
            name = (Path(folder) / base).relative_to(out).as_posix()
            if name not in expected and name != MANIFEST:
                return name
    return None


def _change_in_git(out: Path) -> str | None:
    done = subprocess.run(
        ["git", "-C", str(out), "status", "--porcelain", "-z"], capture_output=True, check=False
    )
    if done.returncode != 0:
        raise StageError(f"{out} has a .git that git cannot read: move it away")
    return os.fsdecode(done.stdout).split("\0")[0][3:] or None


def remove(out: Path, name: str) -> None:
    """Remove a file, and the directories that it leaves empty."""
    path = out / name
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == out or not parent.is_dir() or any(parent.iterdir()):
            break
        parent.rmdir()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
