# SPDX-License-Identifier: MIT
"""Mistakes made by rule: one small change to one function of the solution.

    operators    < and <=, == and !=, + and -, << and >>, && and ||, += and -= ...
    constants    numbers and MAX_ORDER one larger and one smaller, another state, MIN and MAX
    conditions   of if and while, negated
    statements   left out

Checks of the code by itself, such as assertions, and trace points are left alone: they have
no effect on what the code does. (The operators are those of the coupling effect's literature:
Offutt et al., "An experimental determination of sufficient mutant operators", 1996.)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grading.c_tokens import Kind, Token, tokens
from staging.functions import find_bodies

_OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<",
    "&": "|", "|": "&", "^": "|", "&&": "||", "||": "&&", "++": "--", "--": "++",
    "+=": "-=", "-=": "+=", "&=": "|=", "|=": "&=", "<<=": ">>=", ">>=": "<<=",
}  # fmt: skip
_NAMES = {
    "MIN": ["MAX"],
    "MAX": ["MIN"],
    "true": ["false"],
    "false": ["true"],
    "MAX_ORDER": ["(MAX_ORDER - 1)", "(MAX_ORDER + 1)"],
    "MAX_ORDER_FRAMES": ["(MAX_ORDER_FRAMES - 1)", "(MAX_ORDER_FRAMES + 1)"],
    "PAGE_RESERVED": ["PAGE_TAIL"],
    "PAGE_TAIL": ["PAGE_RESERVED"],
    "PAGE_FREE": ["PAGE_ALLOCATED", "PAGE_TAIL"],
    "PAGE_ALLOCATED": ["PAGE_FREE", "PAGE_TAIL"],
}
_UNARY_TOO = {"+", "-", "*", "&"}
_NUMBER = re.compile(r"(?P<digits>0|[1-9][0-9]*)(?P<suffix>[uUlL]*)")
_CHECK = re.compile(r"(DEBUG_)?ASSERT\w*|\w*validate\w*|trace_\w+")
_DECLARES = {"struct", "const", "static", "unsigned", "int", "bool", "char", "void"}


@dataclass(frozen=True)
class Change:
    """One mutant: text[start:end] of a file becomes new."""

    file: str
    function: str
    line: int
    source: str  # the line as it is
    start: int
    end: int
    new: str
    what: str  # "< -> <="

    def apply(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.what}    {self.source}"


def changes(file: str, text: str, functions: Sequence[str]) -> list[Change]:
    """All mutants of the functions of a file, in its order. Two are never alike."""
    bodies = find_bodies(text, file)
    lines = text.split("\n")
    found: list[Change] = []
    for function in functions:
        body = bodies[function]
        own = [t for t in tokens(text) if body.start <= t.start < body.end]
        own = _without_checks(own)
        for start, end, new, what in sorted(_sites(own, text)):
            line = text.count("\n", 0, start) + 1
            source = lines[line - 1].strip()
            change = Change(file, function, line, source, start, end, new, what)
            # Two changes that read alike on lines that read alike: tell them apart.
            alike = sum(
                (c.function, c.source, c.what.partition(" #")[0]) == (function, source, what)
                for c in found
            )
            if alike:
                change = Change(
                    file, function, line, source, start, end, new, f"{what} #{alike + 1}"
                )
            found.append(change)
    return sorted(found, key=lambda change: change.start)


def _without_checks(own: list[Token]) -> list[Token]:
    """Tokens without statements that only check: ASSERT(...)."""
    kept: list[Token] = []
    at = 0
    while at < len(own):
        if own[at].kind is Kind.NAME and _CHECK.fullmatch(own[at].text):
            at = _matching(own, at + 1) + 2  # the ";" too
            continue
        kept.append(own[at])
        at += 1
    return kept


def _matching(own: Sequence[Token], start: int) -> int:
    """The index of the parenthesis that closes the one at start."""
    depth = 0
    for at in range(start, len(own)):
        depth += (own[at].text == "(") - (own[at].text == ")")
        if depth == 0:
            return at
    raise ValueError("a parenthesis is not closed")


Site = tuple[int, int, str, str]


def _sites(own: Sequence[Token], text: str) -> Iterator[Site]:
    for at, token in enumerate(own):
        if token.kind is Kind.PUNCTUATOR and token.text in _OPERATORS:
            if token.text not in _UNARY_TOO or _is_binary(own, at):
                yield _replace(token, _OPERATORS[token.text])
        elif token.kind is Kind.NAME and token.text in _NAMES:
            yield from (_replace(token, new) for new in _NAMES[token.text])
        elif token.kind is Kind.NUMBER and (match := _NUMBER.fullmatch(token.text)):
            number = int(match["digits"])
            for other in (number - 1, number + 1):
                if other >= 0:
                    yield _replace(token, f"{other}{match['suffix']}")
        elif token.text in ("if", "while"):
            first, last = own[at + 1], own[_matching(own, at + 1)]
            condition = text[first.end : last.start]
            yield first.start, last.end, f"(!({condition}))", f"{token.text}: negated"
    yield from _statements(own, text)


def _replace(token: Token, new: str) -> Site:
    return token.start, token.end, new, f"{token.text} -> {new}"


def _is_binary(own: Sequence[Token], at: int) -> bool:
    """Has the operator a left operand, and is it no part of a declaration?"""
    before, after = own[at - 1], own[at + 1]
    if own[at].text == "*":
        numbers = Kind.NUMBER in (before.kind, after.kind)
        return numbers or before.text == ")"
    if before.text == "return":
        return False
    return before.kind in (Kind.NAME, Kind.NUMBER) or before.text in (")", "]")


def _statements(own: Sequence[Token], text: str) -> Iterator[Site]:
    """Each simple statement, left out."""
    start, depth = 1, 0  # after the body's "{"
    at = 1
    while at < len(own):
        word = own[at].text
        if at == start and word in ("if", "while", "for", "switch"):
            at = start = _matching(own, at + 1) + 1
            continue
        depth += (word == "(") - (word == ")")
        if word == ";" and depth == 0:
            if at > start and not _declares(own[start:at]) and own[start].text != "return":
                first, last = own[start], own[at]
                shown = " ".join(text[first.start : last.start].split())
                yield first.start, last.end, ";", f"left out: {shown}"
            start = at + 1
        elif word in ("{", "}", "else", "do") and depth == 0:
            start = at + 1
        at += 1


def _declares(statement: Sequence[Token]) -> bool:
    """struct page *page, size_t n, pfn_t pfn..."""
    first = statement[0]
    if first.text in _DECLARES or first.text.endswith("_t"):
        return True
    return len(statement) > 1 and {first.kind, statement[1].kind} == {Kind.NAME}
