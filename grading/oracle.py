# SPDX-License-Identifier: MIT
"""Oracles: a lab's model of what a correct kernel does, which the guest never sees.

labs/labN-NAME/oracle.py holds one generator function for each graded case. It mirrors the
case in C: it draws the same random numbers from the same seed, and wherever the C code
logs a record, it yields what the record must look like and is given the record there is.

    @case
    def split(ctx):
        order = ctx.prng.below(4)
        record = yield Expect(Event.ALLOC, arg=order, what=f"allocate order {order}")
        model.alloc(record.a, order)

Whatever does not fit is refused with ctx.fail(), a failed Expect or a ModelError. The
driver itself checks what holds for every case: begin and end, seed, nothing left over.
After the last record the oracle may look at the guest's memory through ctx.guest.
"""

import enum
import importlib.util
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import GradingError, GuestError
from .evidence import Kind, Record, Transcript
from .guest import Guest
from .prng import Prng


class Refused(Exception):
    """The transcript is not that of a correct solution; the text says where and why."""


class ModelError(Exception):
    """What a record says cannot be so, by the model: raised by models, without the place."""


class Forged(Exception):
    """The transcript is not of this run at all."""


class Expect:
    """What the next record must be. A field that is None may be anything.

    kind: a number, an enum member (then messages name it) or a tuple of several.
    what: the operation, for messages: "allocate order 3".
    """

    __slots__ = ("kind", "arg", "a", "b", "c", "what")

    def __init__(
        self,
        kind: int | tuple[int, ...] | None = None,
        arg: int | None = None,
        a: int | None = None,
        b: int | None = None,
        c: int | None = None,
        what: str = "",
    ) -> None:
        self.kind, self.arg, self.a, self.b, self.c, self.what = kind, arg, a, b, c, what

    def mismatch(self, record: Record) -> str | None:
        """What is wrong with the record, if anything."""
        kind = self.kind
        if kind is not None and record.kind not in (kind if isinstance(kind, tuple) else (kind,)):
            return f"expected {self.kind_name()}, but the record is {self.name_of(record.kind)}"
        for field in ("arg", "a", "b", "c"):
            expected, actual = getattr(self, field), getattr(record, field)
            if expected is not None and expected != actual:
                return f"expected {field} to be {_number(expected)}, but it is {_number(actual)}"
        return None

    def matches(self, record: Record) -> bool:
        """The same as mismatch() is None, quickly."""
        kind, _, arg, a, b, c = record
        return (
            (self.kind is None or self.kind == kind or self.mismatch(record) is None)
            and (self.arg is None or self.arg == arg)
            and (self.a is None or self.a == a)
            and (self.b is None or self.b == b)
            and (self.c is None or self.c == c)
        )

    def kind_name(self) -> str:
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        return " or ".join("anything" if kind is None else self.name_of(kind) for kind in kinds)

    def name_of(self, kind: int) -> str:
        """A kind as the lab calls it, if it gave its kinds names."""
        known = self.kind[0] if isinstance(self.kind, tuple) else self.kind
        if isinstance(known, enum.IntEnum):
            try:
                return type(known)(kind).name
            except ValueError:
                pass  # a number that the lab does not use
        return f"kind {kind}"


Script = Generator[Expect, Record, None]


class Context:
    """What an oracle is given."""

    def __init__(self, guest: Guest, records: list[Record], seed: int) -> None:
        self.guest = guest
        self.records = records  # without begin and end
        self.seed = seed
        self.prng = Prng(seed)
        self.index = -1  # of the record that the oracle was given last
        self.what = ""  # the operation that belongs to it

    @property
    def remaining(self) -> int:
        """Records still to come."""
        return len(self.records) - self.index - 1

    def fail(self, message: str) -> NoReturn:
        """Refuse the transcript here."""
        raise Refused(f"{self.place()}: {message}")

    def check(self, condition: bool, message: str) -> None:
        if not condition:
            self.fail(message)

    def place(self) -> str:
        what = f" ({self.what})" if self.what else ""
        return f"operation {self.index + 1} of {len(self.records)}{what}"


@dataclass(frozen=True)
class Case:
    """One registered oracle."""

    name: str
    script: Callable[[Context], Script]
    panic: str | None  # the case must end in a panic whose message begins so


def case(
    script: Callable[[Context], Script] | None = None,
    *,
    panic: str | None = None,
) -> Any:
    """Register a generator function as the oracle of the case of its name.

    panic: how the message of the panic begins that the case must end in.
    """

    def register(function: Callable[[Context], Script]) -> Callable[[Context], Script]:
        function.oracle = Case(function.__name__, function, panic)  # type: ignore[attr-defined]
        return function

    return register if script is None else register(script)


def load(path: Path) -> dict[str, Case]:
    """The oracles of a lab, by case."""
    spec = importlib.util.spec_from_file_location("lab_oracle", path)
    if spec is None or spec.loader is None or not path.exists():
        raise GradingError(f"there is no oracle {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases = [value.oracle for value in vars(module).values() if hasattr(value, "oracle")]
    return {registered.name: registered for registered in cases}


def check(oracle: Case, guest: Guest, transcript: Transcript, seed: int) -> None:
    """Accept a transcript by returning; else raise Refused or Forged."""
    records = transcript.records
    if not records:
        raise Forged("the transcript is empty")
    if records[0].kind != Kind.CASE_BEGIN:
        raise Forged("the transcript has no beginning")
    if records[0].a != seed:
        raise Forged(f"the transcript is of seed {records[0].a}, not {seed}")
    if transcript.lost:
        raise Refused(f"{transcript.lost} records did not fit into the transcript")
    ends = (Kind.CASE_END, Kind.PANIC)
    end = next((i for i, record in enumerate(records) if record.kind in ends), len(records))
    if end == 1:
        raise Forged("the transcript holds nothing of what the case does")
    _check_script(oracle, Context(guest, records[1:end], seed))
    _check_end(oracle, records[end:])


def _check_script(oracle: Case, ctx: Context) -> None:
    """Run the oracle beside the records."""
    script = oracle.script(ctx)
    try:
        expect = next(script)
        for ctx.index, record in enumerate(ctx.records):
            ctx.what = expect.what
            if not expect.matches(record):
                ctx.fail(expect.mismatch(record) or "")
            expect = script.send(record)
    except StopIteration:
        if ctx.remaining:
            raise Refused(
                f"{ctx.place()}: the case should end here, but {ctx.remaining} records follow"
            ) from None
        return
    except ModelError as error:
        raise Refused(f"{ctx.place()}: {error}") from error
    except GuestError as error:
        raise Refused(f"{ctx.place()}: in the kernel's memory: {error}") from error
    finally:
        script.close()
    wanted = expect.what or expect.kind_name()
    count = len(ctx.records)
    raise Refused(f"the transcript ends after {count} operations; next should be: {wanted}")


def _check_end(oracle: Case, ends: list[Record]) -> None:
    """ends: the record that ends the case and all that follow."""
    if oracle.panic is not None:
        # The record holds only the first bytes of the message.
        text = ends.pop(0).text() if ends and ends[0].kind == Kind.PANIC else ""
        if not text or not (oracle.panic.startswith(text) or text.startswith(oracle.panic)):
            raise Refused(f'expected the panic "{oracle.panic}", but recorded is "{text}"')
    if [end.kind for end in ends] != [Kind.CASE_END]:
        raise Refused("the transcript does not end with the end of the case")
    if ends[0].a != 0:
        raise Refused(f"the case counted {ends[0].a} failures")


def _number(value: int) -> str:
    return str(value) if value < 10 else f"{value} ({value:#x})"
