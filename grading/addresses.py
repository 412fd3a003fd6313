# SPDX-License-Identifier: MIT
"""Addresses in what a kernel prints, turned into functions and source lines.

A kernel knows the places of its callers only as return addresses, and prints these after the
word "at": "allocated at 0xffffffff80123456". Panics print lines "backtrace: ADDRESS ...".
"""

import re
from collections.abc import Iterable, Iterator

from . import backtrace
from .symbols import Image

# After a trap the address is that of the instruction; elsewhere it is one to return to.
_SITE = re.compile(r"(?P<trap>\bfrom \w+ )?\bat (?P<address>0xffffffff8[0-9a-f]{7})(?![0-9a-f])")


def explain(line: str, image: Image) -> str:
    """The line with "at ADDRESS" as "at FUNCTION (FILE:LINE)", where that is one of the code."""

    def replace(match: re.Match[str]) -> str:
        trap = match["trap"] or ""
        # The call is the instruction before the one it returns to, perhaps of another function.
        place = backtrace.describe(int(match["address"], 16) - (0 if trap else 1), image)
        return f"{trap}at {place}" if place else match[0]

    return _SITE.sub(replace, line)


def explain_log(lines: Iterable[str], image: Image) -> Iterator[str]:
    """A serial log, explained line by line; after each backtrace, the functions that it names."""
    seen: list[str] = []  # from a panic on, or from a backtrace without one
    for line in lines:
        if seen and backtrace.is_backtrace(seen[-1]) and not backtrace.is_backtrace(line):
            yield from _functions(seen, image)
            seen = []
        if backtrace.find_panic([line]):
            seen = [line]
        elif seen or backtrace.is_backtrace(line):
            seen.append(line)
        yield explain(line, image)
    yield from _functions(seen, image)


def _functions(seen: list[str], image: Image) -> Iterator[str]:
    panic = backtrace.find_panic(seen) or backtrace.find_panic(["panic: ", *seen])
    if panic:
        yield from (f"  {line}" for line in backtrace.explain(panic, image))
