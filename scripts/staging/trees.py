# SPDX-License-Identifier: MIT
"""Trees that are written, built and graded to be checked."""

import json
import shutil
from pathlib import Path
from typing import Any

from . import output, tools
from .manifest import Lab
from .reference import Files


class Wrong(Exception):
    """A check has failed: what was found."""


def starter_of(out: Path, lab: Lab) -> Path:
    """Where the starter of a lab is written."""
    return out / lab.branch


def rewrite(files: Files, tree: Path, like: Path | None = None) -> None:
    """Write a tree of our own again, and keep what was built in it.

    like: a tree that is built, and of whose files most are the same: a new tree begins with it.
    """
    if like and like.exists() and not tree.exists():
        shutil.copytree(like, tree)
    for name in sorted(_names(tree) - set(files)):
        output.remove(tree, name)
    output.write_files(files, tree)


def _names(tree: Path) -> set[str]:
    return {
        path.relative_to(tree).as_posix()
        for path in tree.rglob("*")
        if path.is_file() and path.relative_to(tree).parts[0] != "build"
    }


def build(tree: Path, *words: str) -> str:
    """What make prints in a tree. Raises Wrong if it fails."""
    status, printed, complaint = tools.run_make(tree, *words)
    if status != 0:
        raise Wrong(f"make {' '.join(words)} in {tree} failed:\n{printed}{complaint}")
    return printed + complaint


def grade(tree: Path, lab: Lab, *words: str) -> tuple[dict[str, Any], str]:
    """The marks as JSON, and the report. words: more for make."""
    report = tree / "build/marks.json"
    report.unlink(missing_ok=True)
    words = (f"LAB={lab.name}", f"JSON={report}", "SEED=3", *words, "grade")
    _, printed, complaint = tools.run_make(tree, *words)
    if not report.is_file():
        raise Wrong(f"make {' '.join(words)} in {tree} failed:\n{printed}{complaint}")
    return json.loads(report.read_text()), printed


def expect_full_marks(marks: dict[str, Any]) -> None:
    for test in marks["tests"]:
        if test["status"] != "pass":
            raise Wrong(f"{test['name']}: {test['status']}: {test['output']}")
