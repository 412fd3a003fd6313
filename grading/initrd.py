# SPDX-License-Identifier: MIT
"""The initrd, for the cases that run programs: build/initrd.cpio, by "make initrd" of the tree.

It is made of the pristine tree's programs; of a submission nothing goes into it.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import GradingError
from .lab import Case


def needed(
    cases: Sequence[Case], tree: Path, path: Path | None = None, *, build: bool
) -> Path | None:
    """Its path, if one of the cases is booted with it. build: bring it up to date first."""
    if not any(case.initrd for case in cases):
        return None
    path = path or tree / "build/initrd.cpio"
    if build:
        _make(tree)
    if not path.exists():
        raise GradingError(f"there is no initrd {path}; build it with: make initrd")
    return path


def _make(tree: Path) -> None:
    done = subprocess.run(
        ["make", "-C", str(tree), "initrd"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        why = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise GradingError(f"cannot build the initrd: {''.join(why)}")
