# SPDX-License-Identifier: MIT
"""What a submission's source must not hold, before anything is built from it.

A source may say anything that is C. It may not reach for files that are none of the kernel's
headers, speak to the assembler or the linker, or change what the compiler believes to be the
place of a line, because everything else here goes by places. Whoever needs one of these does
not solve the lab; each is found in the tokens, and those of macros after preprocessing.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .c_tokens import Kind, Token, tokens
from .errors import GradingError

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """Something that a submission must not hold, and where."""

    file: str
    line: int  # 0: not known
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class NotText(Exception):
    """The file is no source file; the text says why."""


# -- the file ----------------------------------------------------------------------------


def read_source(directory: Path, name: str) -> bytes:
    """A file of a submission. Follows no symbolic link below the directory; never blocks."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise GradingError(f"cannot read {directory}: {error.strerror}") from error
    try:
        for part in Path(name).parts:
            # Opening a device or a FIFO must neither wait nor have an effect.
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
            os.close(fd)
            fd = inner
        return _read_text(fd, name)
    except FileNotFoundError:
        raise NotText(f"the submission has no file {name}") from None
    except OSError as error:
        raise NotText(f"{name} is no plain file ({error.strerror})") from error
    finally:
        os.close(fd)


def _read_text(fd: int, name: str) -> bytes:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise NotText(f"{name} is no plain file")
    if status.st_size > MAX_BYTES:
        raise NotText(f"{name} has {status.st_size} bytes: at most {MAX_BYTES} are read")
    content = os.pread(fd, MAX_BYTES, 0)
    try:
        if "\0" in content.decode():
            raise NotText(f"{name} is no text: it holds a byte 0")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotText(f"{name}:{line}: is no text in UTF-8") from error
    return content


# -- the source as written -----------------------------------------------------------------

_DIRECTIVE = re.compile(r"# ?(?P<name>\w*) ?(?P<rest>.*)", re.DOTALL)
# Those that only concern how C is read and optimised.
_PRAGMAS = re.compile(
    r"(once|message|pack|push_macro|pop_macro|STDC|clang (diagnostic|loop)"
    r"|GCC (diagnostic|unroll|ivdep|optimize|push_options|pop_options|poison|error|warning))\b.*"
)


def check_source(name: str, text: str) -> Finding | None:
    """The first thing that a source must not hold, of those that are there as written."""
    for token in tokens(text):
        if token.kind is Kind.RAW_STRING:  # nothing behind it would be read as gcc does
            raise NotText(f"{name}:{token.line}: a raw string, which is no C11")
        what = _check_directive(token.text) if token.kind is Kind.DIRECTIVE else None
        if what:
            return Finding(name, token.line, what)
    return None


def _check_directive(text: str) -> str | None:
    match = _DIRECTIVE.match(text)
    directive, rest = (match["name"], match["rest"]) if match else ("", "")
    if directive in ("include", "include_next", "import"):
        path = rest.strip('<>"')
        if path.startswith("/") or ".." in path.split("/"):
            return f"#{directive} {rest}: a solution includes only the kernel's headers"
    if directive == "line" or directive.isdigit():
        return "#line, which hides where a line stands"
    if directive == "pragma" and not _PRAGMAS.fullmatch(rest):
        return f"#pragma {rest}, which a solution does not need"
    if directive in ("ident", "sccs", "assert", "unassert", "embed"):
        return f"#{directive}, which a solution does not need"
    return None


# -- what it includes ------------------------------------------------------------------------


def check_dependencies(name: str, rule: str, allowed: Sequence[str]) -> Finding | None:
    """rule: what the compiler says that the object depends on, as "-MD" writes it."""
    names = rule.replace("\\\n", " ").partition(": ")[2].split()
    for dependency in names:
        path = os.path.normpath(dependency)
        if path != name and not any(path.startswith(folder) for folder in allowed):
            return Finding(name, 0, f"includes {dependency}, which is none of the kernel's headers")
    return None


# -- the source after preprocessing ------------------------------------------------------------

_MARKER = re.compile(r'# ?(?P<line>\d+) ?"(?P<file>[^"]*)".*', re.DOTALL)
_ASM = {"asm", "__asm", "__asm__"}
_ATTRIBUTES = {
    "section", "constructor", "destructor", "init_priority", "alias", "ifunc", "weak", "weakref",
    "symver", "naked", "interrupt", "target", "target_clones", "noinit", "persistent",
}  # fmt: skip


def check_preprocessed(name: str, text: str, sections: Collection[str] = ()) -> Finding | None:
    """The first thing that a source must not hold, of those that macros could hide.

    sections: tables of the kernel's that the reference puts something into as well, by a macro
    of a header.
    """
    own: list[Token] = []  # tokens of the source itself, with its own lines
    here, offset = False, 0
    for token in tokens(text):
        if token.kind is Kind.DIRECTIVE:
            marker = _MARKER.fullmatch(token.text)
            if marker:
                here = os.path.normpath(marker["file"]) == name
                offset = int(marker["line"]) - token.line - 1
                continue
            what = _check_directive(token.text)
            if here and what:
                return Finding(name, token.line + offset, what)
        elif here:
            own.append(Token(token.kind, token.text, token.line + offset, token.start))
    return next(_findings(name, own, sections), None)


def _findings(name: str, own: Sequence[Token], sections: Collection[str]) -> Iterator[Finding]:
    for at, token in enumerate(own):
        if token.kind is not Kind.NAME:
            continue
        if token.text in _ASM and not _is_barrier(own, at):
            yield Finding(name, token.line, "inline assembly, which a solution does not need")
        attributes: list[Token] = []
        if token.text in ("__attribute__", "__attribute"):
            attributes = list(_in_parentheses(own, at + 1))
        elif [t.text for t in own[max(at - 2, 0) : at]] == [":", ":"]:  # [[gnu::...]]
            attributes = [token]
        for i, attribute in enumerate(attributes):
            if attribute.text.strip("_") in _ATTRIBUTES and not (
                attribute.text == "section" and _argument(attributes, i) in sections
            ):
                what = f"the attribute {attribute.text}, which a solution does not need"
                yield Finding(name, attribute.line, what)


def _argument(attributes: Sequence[Token], i: int) -> str | None:
    """The one string that an attribute has in parentheses."""
    texts = [token.text for token in attributes[i + 1 : i + 4]]
    if len(texts) < 3 or texts[0] != "(" or texts[2] != ")":
        return None
    return texts[1][1:-1] if texts[1].startswith('"') else None


def _is_barrier(own: Sequence[Token], at: int) -> bool:
    """Is it asm volatile("" ...), a statement that only stops the compiler from reordering?"""
    if at and own[at - 1].text not in (";", "{", "}"):
        return False  # it could name the symbol of a declaration
    texts = [token.text for token in own[at + 1 : at + 5]]
    while texts and texts[0] in ("volatile", "__volatile__", "__volatile"):
        texts.pop(0)
    return texts[:2] == ["(", '""'] and texts[2:3] in ([":"], [")"])


def _in_parentheses(own: Sequence[Token], start: int) -> Iterator[Token]:
    depth = 0
    for token in own[start:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth <= 0:
            return
        yield token
