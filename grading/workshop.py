# SPDX-License-Identifier: MIT
"""Building a kernel from a tree with other files in place of some of it, quickly.

A copy of the tree's sources, the pristine one, is kept in a directory and built there once.
For each kernel wanted it is copied with everything that was built, some files are put in
place, and make compiles these and links. The copy holds what a build needs and nothing that
could help a submission: no oracles, no known solutions.
"""

import fcntl
import filecmp
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .debuginfo import DebugInfo
from .errors import GradingError
from .lab import Lab
from .sandbox import Done, Runner
from .symbols import Image

_NOT_NEEDED = {"build", "grading", "handouts", "alternatives", "cheats", "mutants", "stubs"}
_NOT_NEEDED |= {"oracle.py", "__pycache__"}
_COMMANDS = "compile_commands.json"
_ERROR_LINES = 12


@dataclass(frozen=True)
class Bench:
    """One copy, in which one kernel is built."""

    directory: Path
    shop: "Workshop"

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files over those of the tree; what was built of them is removed."""
        for name, content in files.items():
            path = self.directory / name
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            for built in (self.object(name), self.object(name).with_suffix(".d"), self.kernel):
                built.unlink(missing_ok=True)

    def make(self) -> Done:
        """Build the kernel. An object may be there without the kernel, if linking failed."""
        return self.run("make", *self.shop.words, "kernel")

    def run(self, *command: str, output_mib: int = 1) -> Done:
        return self.shop.runner.run(self.directory, command, output_mib)

    def object(self, name: str) -> Path:
        """Where the object file of a source is, once it is built."""
        return self.kernel.parent / Path(name).with_suffix(".o")

    @property
    def kernel(self) -> Path:
        return self.directory / self.shop.kernel_name


class Workshop:
    """The pristine copy of a tree, built for one lab, below a scratch directory."""

    def __init__(self, tree: Path, lab: Lab, scratch: Path, runner: Runner) -> None:
        self._tree = tree
        self._scratch = scratch.absolute()
        self._pristine = self._scratch / f"pristine-{lab.name}"
        self.runner = runner
        self.words = ["O=build", f"LAB={lab.number}", "CC=gcc", "FLAVOR=debug", "WERROR=0", "-j2"]
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GradingError(f"cannot write to {scratch}: {error.strerror}") from error

    def prepare(self) -> None:
        """Bring the pristine copy up to date with the tree, and build it."""
        with self._lock(fcntl.LOCK_EX):
            _synchronise(self._tree, self._pristine, {self._scratch})
            done = self.runner.run(
                self._pristine, ["make", *self.words, "kernel", _COMMANDS]
            )
        if done.status != 0:
            raise GradingError(
                f"{self._tree} does not build: {errors_of(done.output)[0]}"
            )

    @contextmanager
    def bench(self) -> Iterator[Bench]:
        """A copy of the pristine tree, removed at the end."""
        with tempfile.TemporaryDirectory(prefix="work-", dir=self._scratch) as name:
            directory = Path(name) / "tree"
            with self._lock(fcntl.LOCK_SH):
                shutil.copytree(self._pristine, directory)
            yield Bench(directory, self)

    @cached_property
    def kernel_name(self) -> str:
        """The kernel's place in a tree that is built; make names the directory."""
        found = list(self._pristine.glob("build/*/kernel.elf"))
        if not found:
            raise GradingError(f"{self._tree} builds no build/*/kernel.elf")
        newest = max(found, key=lambda path: path.stat().st_mtime_ns)
        return str(newest.relative_to(self._pristine))

    @property
    def pristine(self) -> Bench:
        return Bench(self._pristine, self)

    @cached_property
    def image(self) -> Image:
        """The pristine kernel."""
        return Image(self.pristine.kernel)

    @cached_property
    def commands(self) -> dict[str, list[str]]:
        """How each C source is compiled."""
        entries = json.loads((self._pristine / _COMMANDS).read_text())
        return {entry["file"]: shlex.split(entry["command"]) for entry in entries}

    @contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        with (self._scratch / ".lock").open("w") as file:
            fcntl.flock(file, how)
            yield


class BenchImage(Image):
    """A kernel with the headers of another one: layouts of structures are taken from that,
    and only when source lines are asked for is its own debugging information read."""

    def __init__(self, path: Path, layouts: DebugInfo) -> None:
        super().__init__(path)
        self._layouts = layouts

    @cached_property
    def debug(self) -> DebugInfo:
        return _Debug(self._layouts, self.path)


class _Debug(DebugInfo):
    def __init__(self, layouts: DebugInfo, kernel: Path) -> None:
        vars(self).update(vars(layouts))
        self._kernel = kernel

    @cached_property
    def _own(self) -> DebugInfo:
        return DebugInfo.of(self._kernel)

    def line_at(self, address: int) -> str | None:
        return self._own.line_at(address)


def errors_of(output: str) -> list[str]:
    """The first lines of a build's output that say what is wrong."""
    lines = [line.removeprefix("./") for line in output.splitlines()]
    telling = ("error:", "undefined reference", "multiple definition", "overflow", "limit exceeded")
    wrong = [line for line in lines if any(word in line for word in telling)]
    return (wrong or lines[-_ERROR_LINES:] or ["the build printed nothing"])[:_ERROR_LINES]


def _synchronise(source: Path, copy: Path, skip: set[Path]) -> None:
    """Make a directory hold the same sources, touching only what differs."""
    copy.mkdir(exist_ok=True)
    wanted = {
        entry.name
        for entry in os.scandir(source)
        if not entry.name.startswith(".") and entry.name not in _NOT_NEEDED
        and Path(entry.path).absolute() not in skip and not entry.is_symlink()
    }
    for entry in os.scandir(copy):
        # What is built in the copy stays.
        if entry.name in wanted or entry.name in ("build", _COMMANDS):
            continue
        path = Path(entry.path)
        shutil.rmtree(path) if entry.is_dir() else path.unlink()
    for name in wanted:
        one, other = source / name, copy / name
        if one.is_dir():
            _synchronise(one, other, skip)
        elif not (other.is_file() and filecmp.cmp(one, other, shallow=False)):
            shutil.copyfile(one, other)
