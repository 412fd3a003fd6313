# SPDX-License-Identifier: MIT
"""A kernel from what a student handed in, without trusting any of it.

Of a submission only the files that the lab lets a student change are read; everything else,
the Makefile too, is this tree's. On the way to a kernel each step may end it:

    read      plain files of text, of a reasonable size                nobuild
    screen    no include, directive, attribute or assembly that        cheat
              reaches outside of C (screen.py)
    compile   in the sandbox; warnings are shown and cost nothing      nobuild
    audit     no symbols, sections and instructions but those that     cheat
              a solution needs (audit.py)
    link                                                               nobuild
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from . import audit, screen
from .audit import Rules
from .c_tokens import Kind, tokens
from .errors import GradingError
from .lab import Lab
from .result import Status
from .sandbox import Done
from .symbols import Image
from .workshop import Bench, BenchImage, Workshop, errors_of

# Where the headers lie that a source may include: the kernel's, and the compiler's own.
_HEADERS = ("include/", "kernel/x86_64/include/", "/usr/lib/gcc", "/usr/lib/llvm")
_WARNING = re.compile(r"(?:\./)?(?P<text>\S+:\d+(?::\d+)?: warning: .*)")
_MAX_WARNINGS = 10


@dataclass(frozen=True)
class Built:
    """A kernel to grade."""

    image: Image
    warnings: list[str]


class Refused(Exception):
    """There is nothing to grade: what every case comes to, and why."""

    def __init__(self, status: Status, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.status = status
        self.lines = lines


class Counter:
    """Where submissions to a lab are handed in."""

    def __init__(self, the_lab: Lab, workshop: Workshop) -> None:
        path = the_lab.oracle.with_name("lab.toml")
        try:
            table = tomllib.loads(path.read_text())["submission"]
            self._editable = [str(name) for name in table["editable"]]
            self._symbols = {str(name) for name in table["symbols"]}
        except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
            raise GradingError(f"{path} does not say what a submission is: {error!r}") from error
        self._workshop = workshop
        workshop.prepare()

    @contextmanager
    def accept(self, directory: Path) -> Iterator[Built]:
        """The kernel of a submission, gone at the end. Raises Refused."""
        sources, texts = self._read(directory)
        with self._workshop.bench() as bench:
            bench.put(sources)
            for name in texts:
                _raise_cheat(self._preprocess(bench, name))
            done = bench.make()
            self._audit(bench, texts)
            if done.status != 0 or not bench.kernel.is_file():
                _raise_unbuilt(done)
            image = BenchImage(bench.kernel, self._workshop.image.debug)
            yield Built(image, _warnings(done.output))

    def _read(self, directory: Path) -> tuple[dict[str, bytes], dict[str, str]]:
        """The files, as they are and as text."""
        try:
            sources = {name: screen.read_source(directory, name) for name in self._editable}
            texts = {name: content.decode() for name, content in sources.items()}
            for name, text in texts.items():
                _raise_cheat(screen.check_source(name, text))
        except screen.NotText as error:
            raise Refused(Status.NOBUILD, [str(error)]) from error
        return sources, texts

    def _preprocess(self, bench: Bench, name: str) -> screen.Finding | None:
        """Judge what a source is after preprocessing, and what it includes."""
        command = self._workshop.commands[name]
        at = command.index("-c")
        done = bench.run(
            *command[:at], "-E", *command[at + 1 :], "-MD", "-MF", "screen.d", "-o", "screen.i"
        )
        if done.status != 0:
            _raise_unbuilt(done)
        rule = (bench.directory / "screen.d").read_text(errors="replace")
        # Headers of mm/ are the tree's own, as a submission has only the editable files.
        mm = [f"mm/{path.name}" for path in (self._workshop.pristine.directory / "mm").glob("*.h")]
        found = screen.check_dependencies(name, rule, [*_HEADERS, *mm, *self._editable])
        text = (bench.directory / "screen.i").read_text(errors="replace")
        # A section of the linker's own is none of them, but that of DEFINE_PER_CPU() is.
        known = self._rules.sections
        tables = {name for name in known if not name.startswith(".") or name == ".percpu"}
        return found or screen.check_preprocessed(name, text, tables)

    def _audit(self, bench: Bench, texts: Mapping[str, str]) -> None:
        """Judge the objects that there are."""
        paths = {name: path for name in texts if (path := bench.object(name)).is_file()}
        own = {symbol for path in paths.values() for symbol in audit.defined_symbols(path)}
        for name, path in paths.items():
            command = audit.disassemble(str(path.relative_to(bench.directory)))
            listing = bench.run(*command, output_mib=64).output
            compiled = audit.Object(name, path, listing, _first_lines(texts[name]))
            try:
                _raise_cheat(audit.check(compiled, own, self._rules))
            except audit.TooLarge as error:
                raise Refused(Status.NOBUILD, [str(error)]) from error

    @cached_property
    def _rules(self) -> Rules:
        pristine = self._workshop.pristine
        objects = [pristine.object(name) for name in self._editable]
        own = {symbol for path in objects for symbol in audit.defined_symbols(path)}
        segments = self._workshop.image.segments
        last = max(segments, key=lambda segment: segment.vaddr)
        offset = last.vaddr - last.paddr
        return Rules(
            symbols=self._symbols,
            kernel=audit.defined_symbols(pristine.kernel) - own,
            # Some come with the kernel's headers.
            sections={section for path in objects for section in audit.sections(path)},
            image=range(offset + min(s.paddr for s in segments), last.vaddr + last.size),
        )


def _raise_cheat(finding: screen.Finding | None) -> None:
    if finding:
        raise Refused(Status.CHEAT, [str(finding)])


def _raise_unbuilt(done: Done) -> NoReturn:
    if done.too_slow:
        raise Refused(Status.NOBUILD, ["compiling did not end in time"])
    raise Refused(Status.NOBUILD, ["the submission does not build:", *errors_of(done.output)])


def _warnings(output: str) -> list[str]:
    found = [match["text"] for match in map(_WARNING.match, output.splitlines()) if match]
    if len(found) > _MAX_WARNINGS:
        found[_MAX_WARNINGS:] = [f"({len(found) - _MAX_WARNINGS} more warnings)"]
    return found


def _first_lines(text: str) -> dict[str, int]:
    """The line of each name where it stands first."""
    lines: dict[str, int] = {}
    for token in tokens(text):
        if token.kind is Kind.NAME:
            lines.setdefault(token.text, token.line)
    return lines
