# SPDX-License-Identifier: MIT
"""C source as tokens: translation phases 1 to 3 of the C standard (C11, 5.1.1.2).

Lines that end in a backslash are joined, comments become blanks, and what is left falls into
tokens, each with the line of the file that it stands on. A directive is one token, from its
"#" to the end of the line, without comments: nothing that a compiler takes for a directive is
taken for anything else here, however it is spelt. Raw strings, which do not belong to C11 but
which gcc knows, would break that; they are tokens of their own kind for a caller to refuse.
"""

import bisect
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass


class Kind(enum.Enum):
    NAME = "name"  # identifier or keyword
    NUMBER = "number"
    STRING = "string"
    CHARACTER = "character"
    PUNCTUATOR = "punctuator"
    DIRECTIVE = "directive"
    RAW_STRING = "raw string"
    STRAY = "stray"  # anything else, such as a lone quote


@dataclass(frozen=True)
class Token:
    kind: Kind
    text: str
    line: int  # from 1
    start: int  # offset in the text with its lines joined

    @property
    def end(self) -> int:
        return self.start + len(self.text)


# A backslash and blanks before the end of a line count as a backslash, for gcc and clang.
_SPLICE = re.compile(r"\\[ \t\f\v]*\r?\n")
_TOKEN = re.compile(
    r"""
      (?P<blank> [ \t\f\v\r]+ | /\*.*?(?:\*/|\Z) | //[^\n]* )
    | (?P<newline> \n )
    | (?P<raw> (?:u8|[uUL])?R"[^()\\\s]*\( )
    | (?P<string> (?:u8|[uUL])?"(?:\\.|[^"\\\n])*" )
    | (?P<character> [uUL]?'(?:\\.|[^'\\\n])*' )
    | (?P<name> (?:[A-Za-z_$]|[^\x00-\x7f]|\\[uU][0-9a-fA-F]+)(?:[\w$]|\\[uU][0-9a-fA-F]+)* )
    | (?P<number> \.?[0-9](?:[eEpP][+-]|[\w.$])* )
    | (?P<punctuator> %:%: | <<= | >>= | \.\.\. | \#\# | %: | -> | \+\+ | -- | << | >> | <= | >=
        | == | != | && | \|\| | [-*/%+&^|]= | <: | :> | <% | %> | [][(){}.&*+~!/%<>^|?:;=,\#-] )
    | (?P<stray> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS = {
    "raw": Kind.RAW_STRING,
    "string": Kind.STRING,
    "character": Kind.CHARACTER,
    "name": Kind.NAME,
    "number": Kind.NUMBER,
    "punctuator": Kind.PUNCTUATOR,
    "stray": Kind.STRAY,
}


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a source file, in order."""
    joined = _Joined(text)
    found: list[Token] = []  # those of a directive, until its line ends
    at_line_start, directive_start = True, -1
    for match in _TOKEN.finditer(joined.text):
        if match.lastgroup == "blank":
            continue
        if match.lastgroup == "newline":
            if directive_start >= 0:
                yield _directive(found, joined, directive_start)
                found, directive_start = [], -1
            at_line_start = True
            continue
        token = Token(
            _KINDS[match.lastgroup or ""], match[0], joined.line_at(match.start()), match.start()
        )
        if directive_start >= 0:
            found.append(token)
        elif at_line_start and token.text in ("#", "%:"):
            directive_start = token.start
        else:
            yield token
        at_line_start = False
    if directive_start >= 0:
        yield _directive(found, joined, directive_start)


def joined_text(text: str) -> str:
    """The text that offsets of tokens count in."""
    return _Joined(text).text


def _directive(found: list[Token], joined: "_Joined", start: int) -> Token:
    """One token of all, with one blank between any two that had something between them."""
    text, end = "#", start + 1
    for token in found:
        text += (" " if token.start > end and text != "#" else "") + token.text
        end = token.end
    return Token(Kind.DIRECTIVE, text, joined.line_at(start), start)


class _Joined:
    """A text with its lines joined, that still knows the lines of the file."""

    def __init__(self, text: str) -> None:
        pieces, self._splices = [], []
        position = length = 0
        for match in _SPLICE.finditer(text):
            pieces.append(text[position : match.start()])
            length += match.start() - position
            self._splices.append(length)
            position = match.end()
        self.text = "".join([*pieces, text[position:]])
        self._newlines = [match.start() for match in re.finditer("\n", self.text)]

    def line_at(self, offset: int) -> int:
        newlines = bisect.bisect_left(self._newlines, offset)
        return 1 + newlines + bisect.bisect_right(self._splices, offset)
