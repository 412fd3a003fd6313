# SPDX-License-Identifier: MIT
"""Submissions that are no solutions, made from the sources that a lab keeps in cheats/."""

import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grading.errors import GradingError

_KEYS = {"name", "sources", "special", "status", "message", "cases"}


@dataclass(frozen=True)
class Cheat:
    name: str
    sources: tuple[str, ...]
    status: tuple[str, ...]  # what every case may come to
    message: str  # part of what the first case says
    special: str = ""
    cases: tuple[str, ...] = ()  # only these; none: all


def load(directory: Path) -> list[Cheat]:
    path = directory / "cheats.toml"
    try:
        return [_cheat(table, path) for table in tomllib.loads(path.read_text())["cheat"]]
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise GradingError(f"{path}: {error!r}") from error


def _cheat(table: dict[str, Any], path: Path) -> Cheat:
    if unknown := set(table) - _KEYS:
        raise GradingError(f"{path}: {table.get('name')}: unknown key {min(unknown)}")
    if (special := table.get("special", "")) not in {"", *_SPECIAL}:
        raise GradingError(f"{path}: {table['name']}: special must be one of {', '.join(_SPECIAL)}")
    return Cheat(
        name=table["name"],
        sources=tuple(table["sources"]),
        status=tuple(table["status"]),
        message=table["message"],
        special=special,
        cases=tuple(table.get("cases", ())),
    )


def make(cheat: Cheat, directory: Path, target: str, given: dict[str, str], out: Path) -> None:
    """Write a submission to out. target: the file made of the sources; given: all the others."""
    text = "".join((directory / source).read_text() for source in cheat.sources)
    for name, content in {**given, target: text}.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(content)
    if cheat.special:
        _SPECIAL[cheat.special](out, out / target)


def traces(out: Path) -> list[str]:
    """What a submission has done that it must not be able to: files that it made."""
    return [path.name for path in out.glob("TRACE*")]


def _makefile(out: Path, _target: Path) -> None:
    """Build files that leave a trace when they are used."""
    command = f"$(shell touch {out}/TRACE-make)\n"
    for name in ("Makefile", "GNUmakefile", "starter/lab1.mk", "make/more.mk"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(command)
    for name in ("kernel/x86_64/kernel.ld", "include/allocators.h", "grading/oracle.py"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("not even this\n")


def _newline(out: Path, target: Path) -> None:
    (target.parent / f"{target.name}\ntouch {out.name}-TRACE").write_text("int x;\n")
    (target.parent / "$(touch TRACE)`touch TRACE`.c").write_text("int x;\n")


def _sparse(_out: Path, target: Path) -> None:
    os.truncate(target, 1 << 30)


def _missing(_out: Path, target: Path) -> None:
    target.unlink()


def _binary(_out: Path, target: Path) -> None:
    target.write_bytes(bytes(range(256)) * 16)


def _link(_out: Path, target: Path) -> None:
    target.unlink()
    target.symlink_to("/etc/passwd")


def _directory_link(out: Path, target: Path) -> None:
    shutil.move(target.parent, out / "elsewhere")
    target.parent.symlink_to(out / "elsewhere")


def _fifo(_out: Path, target: Path) -> None:
    target.unlink()
    os.mkfifo(target)


_SPECIAL: dict[str, Callable[[Path, Path], None]] = {
    "makefile": _makefile,
    "newline": _newline,
    "sparse": _sparse,
    "missing": _missing,
    "binary": _binary,
    "link": _link,
    "directory-link": _directory_link,
    "fifo": _fifo,
}
