# SPDX-License-Identifier: MIT
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SAMPLE_ORACLE
from grading import oracle
from grading.errors import GradingError
from grading.evidence import Kind, Record, Transcript
from grading.oracle import Context, Expect, Forged, ModelError, Refused, Script

GUEST: Any = SimpleNamespace()


def begin(seed: int = 7) -> Record:
    return Record(Kind.CASE_BEGIN, 0, 0, seed, 0, 0)


def end(failures: int = 0) -> Record:
    return Record(Kind.CASE_END, 0, 0, failures, 0, 0)


def panic(message: bytes) -> Record:
    words = [int.from_bytes(message[i : i + 8].ljust(8, b"\0"), "little") for i in (0, 8, 16)]
    return Record(Kind.PANIC, 0, 0, *words)


def event(kind: int, arg: int = 0, a: int = 0) -> Record:
    return Record(kind, 0, arg, a, 0, 0)


def two_events(ctx: Context) -> Script:
    order = ctx.prng.below(5)
    yield Expect(64, arg=order, what=f"allocate order {order}")
    record = yield Expect((65, 66), what="free it")
    ctx.check(record.a == 1, f"expected frame 1, got {record.a}")


# With seed 7 the oracle draws this order.
ORDER = oracle.Prng(7).below(5)


def check(records: list[Record], panic_prefix: str | None = None, lost: int = 0) -> None:
    registered = oracle.Case("two_events", two_events, panic_prefix)
    oracle.check(registered, GUEST, Transcript(records, lost), 7)


def test_accepts_what_fits() -> None:
    check([begin(), event(64, ORDER), event(66, a=1), end()])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([event(64, 9), event(65, a=1)], r"operation 1 of 2 \(allocate order .*expected arg to be"),
        ([event(64, ORDER), event(65, a=2)], "operation 2 of 2 .free it.: expected frame 1, got 2"),
        ([event(64, ORDER), event(70)], "expected kind 65 or kind 66, but the record is kind 70"),
        ([event(64, ORDER)], "ends after 1 operations; next should be: free it"),
        ([event(64, ORDER), event(65, a=1), event(64)], "1 records follow"),
    ],
)
def test_refuses_and_says_where(records: list[Record], message: str) -> None:
    with pytest.raises(Refused, match=message):
        check([begin(), *records, end()])


def test_what_belongs_to_the_runner() -> None:
    good = [event(64, ORDER), event(65, a=1)]
    for records in ([], [begin(8), *good, end()], [*good, end()], [begin(), end()]):
        with pytest.raises(Forged):
            check(records)
    with pytest.raises(Refused, match="counted 2 failures"):
        check([begin(), *good, end(2)])
    with pytest.raises(Refused, match="does not end"):
        check([begin(), *good])
    with pytest.raises(Refused, match="does not end"):
        check([begin(), *good, end(), event(64)])
    with pytest.raises(Refused, match="5 records did not fit"):
        check([begin(), *good, end()], lost=5)


def test_expected_panic() -> None:
    good = [begin(), event(64, ORDER), event(65, a=1)]
    wanted = "buddy: frame was never given out"
    # The record holds 24 bytes only, of a message that may go on.
    check([*good, panic(b"buddy: frame was never given out: 0x123"[:24]), end()], wanted)
    check([*good, panic(b"buddy: double free of 0x1"[:24]), end()], "buddy: double free")
    with pytest.raises(Refused, match='recorded is "buddy: wrong order"'):
        check([*good, panic(b"buddy: wrong order"), end()], wanted)
    with pytest.raises(Refused, match='recorded is ""'):
        check([*good, panic(b""), end()], wanted)
    for records in ([*good], [*good, end()]):
        with pytest.raises(Refused, match="expected the panic"):
            check(records, wanted)


def test_errors_of_a_model_carry_the_place() -> None:
    def script(ctx: Context) -> Script:
        yield Expect(what="first")
        raise ModelError("cannot be")

    with pytest.raises(Refused, match=r"operation 1 of 1 \(first\): cannot be"):
        registered = oracle.Case("script", script, None)
        oracle.check(registered, GUEST, Transcript([begin(), event(64), end()], 0), 7)


def test_kinds_have_names() -> None:
    assert Expect(Kind.SKIP).mismatch(event(Kind.LAB)) == "expected SKIP, but the record is LAB"
    assert Expect(Kind.SKIP).mismatch(event(70)) == "expected SKIP, but the record is kind 70"


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "oracle.py"
    with pytest.raises(GradingError, match="no oracle"):
        oracle.load(path)
    path.write_text(SAMPLE_ORACLE)
    cases = oracle.load(path)
    assert list(cases) == ["work"]
    assert cases["work"].panic is None
