# SPDX-License-Identifier: MIT
"""Running make in a tree, as if nobody had started this tool from another make."""

import os
import subprocess
from pathlib import Path

from .errors import StageError

TOOL_LIMIT_S = 900

# What a make above handed down would change what is built or said here.
_NOT_INHERITED = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LAB", "CASE", "SEED"}
_NOT_INHERITED |= {"CMDLINE", "CPUS", "MEMORY", "O", "OUT", "REF", "REFS"}


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}


def run_make(tree: Path, *words: str) -> tuple[int, str, str]:
    """The exit status of make in a tree, and what it printed on each of its outputs."""
    command = ["make", "--no-print-directory", "-C", str(tree), *words]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=TOOL_LIMIT_S,
            check=False,
        )
    except OSError as error:
        raise StageError(f"cannot run make ({error.strerror}): run scripts/setup") from error
    except subprocess.TimeoutExpired as error:
        raise StageError(f"make {' '.join(words)} in {tree} did not end") from error
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def ask_make(tree: Path, *words: str) -> str:
    """What make prints, silently, about a tree."""
    status, printed, complaint = run_make(tree, "-s", *words)
    if status != 0:
        reason = (complaint.strip() or printed.strip()).partition("\n")[0]
        raise StageError(f"make {' '.join(words)} in {tree} failed: {reason}")
    return printed
