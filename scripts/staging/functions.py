# SPDX-License-Identifier: MIT
"""Bodies of C functions: where they are, and how to put others in their place.

Universal-ctags says on which line a function's name stands and on which it ends. Between
these, a scanner that knows comments, literals, directives and brackets looks for the braces.
Where the two disagree, for instance because a brace stands under an #if, nothing is guessed:
that function cannot be an exercise until it is written in a plainer way.

Text is what a file holds, decoded so that any bytes come back unchanged (see decode()).
"""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import StageError

# What a scanner must not look into, then the brackets, longest alternatives first.
_TOKEN = re.compile(
    r"""
      /\*.*?\*/                                       # comment
    | //(?:\\\r?\n|[^\n])*                            # comment to the end of the line
    | "(?:\\.|[^"\\\n])*"                             # string
    | '(?:\\.|[^'\\\n])*'                             # character
    | ^[ \t]*\#(?:/\*.*?\*/|\\\r?\n|[^\n])*           # directive, with its continuations
    | [(){};]
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_COMMENT_OR_LITERAL = re.compile(
    r"""/\*.*?\*/ | //(?:\\\r?\n|[^\n])* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Body:
    """text[start:end] is a function's body, from "{" to "}"."""

    start: int
    end: int


def decode(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def find_bodies(text: str, shown: str) -> dict[str, Body]:
    """The bodies of all functions of a C file. shown: its name, for messages."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    bodies: dict[str, Body] = {}
    for name, first, last in _tags(text, shown):
        if name in bodies:
            raise StageError(f"{shown}:{first}: {name}() is defined a second time")
        body = _scan(text, starts[first - 1])
        ends_on = text.count("\n", 0, body.end) + 1 if body else None
        if not body or ends_on != last:
            raise StageError(
                f"{shown}:{first}: cannot tell where the body of {name}() begins and ends:"
                " write it without braces under #if or in macros"
            )
        bodies[name] = body
    return bodies


def _tags(text: str, shown: str) -> list[tuple[str, int, int]]:
    """(name, line of the name, line of the end) of every function, by universal-ctags."""
    command = ["ctags", "--options=NONE", "--language-force=C", "--kinds-C=f"]
    command += ["--output-format=json", "--fields=+ne", "-f", "-"]
    with tempfile.NamedTemporaryFile(prefix="stage-", suffix=".c") as file:
        file.write(encode(text))
        file.flush()
        try:
            done = subprocess.run([*command, file.name], capture_output=True, check=False)
        except OSError as error:
            raise StageError(f"cannot run ctags ({error.strerror}): run scripts/setup") from error
    if done.returncode != 0:
        raise StageError("ctags cannot write JSON: run scripts/setup for universal-ctags")
    found = []
    for line in done.stdout.decode(errors="replace").splitlines():
        tag = json.loads(line)
        if tag.get("_type") != "tag":
            continue
        if "end" not in tag:
            raise StageError(f"{shown}:{tag['line']}: {tag['name']}() has no end")
        found.append((tag["name"], tag["line"], tag["end"]))
    return found


def _scan(text: str, position: int) -> Body | None:
    """The body of the function whose name stands on the line that begins at position."""
    parentheses = braces = start = 0
    for match in _TOKEN.finditer(text, position):
        match match[0]:
            case "(":
                parentheses += 1
            case ")":
                parentheses -= 1
            case "{":
                if braces == 0:
                    if parentheses != 0:
                        return None
                    start = match.start()
                braces += 1
            case "}":
                braces -= 1
                if braces <= 0:
                    return Body(start, match.end()) if braces == 0 else None
            case ";":
                if braces == 0 and parentheses == 0:
                    return None
    return None


def replace_bodies(text: str, new: dict[str, str], shown: str) -> str:
    """The text with the bodies of these functions replaced, in the file's own line ends."""
    bodies = find_bodies(text, shown)
    for name in new:
        if name not in bodies:
            raise StageError(f"{shown}: there is no function {name}()")
    for name in sorted(new, key=lambda name: bodies[name].start, reverse=True):
        body = bodies[name]
        text = text[: body.start] + with_line_ends_of(text, new[name]) + text[body.end :]
    return text


def with_line_ends_of(text: str, body: str) -> str:
    first = text.find("\n")
    ending = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
    return body.replace("\r\n", "\n").replace("\n", ending)


def without_comments(text: str) -> str:
    """The text with a blank for each comment."""
    return _COMMENT_OR_LITERAL.sub(lambda m: " " if m[0][0] == "/" else m[0], text)
