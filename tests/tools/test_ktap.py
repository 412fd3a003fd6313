# SPDX-License-Identifier: MIT
from grading import ktap

SUITE = """\
IKOS: started by PVH
KTAP version 1
1..1
    KTAP version 1
    # Subtest: buddy
    1..4
    # seed: 7  virtual_ns: 1234
    ok 1 split
    # mm/buddy_allocator.c:12: expected a == b
a line of the console
    # seed: 8  virtual_ns: 99
    not ok 2 merge
    ok 3 smp # SKIP needs 2 CPUs, there are 1
    ok 4 mixed/0
# buddy: pass:2 fail:1 skip:1 total:4
not ok 1 buddy
"""


def test_reads_results_in_order() -> None:
    parsed = ktap.parse(SUITE.splitlines())
    assert parsed.started
    assert [(r.name, r.ok, r.skip) for r in parsed.cases()] == [
        ("split", True, None),
        ("merge", False, None),
        ("smp", True, "needs 2 CPUs, there are 1"),
        ("mixed/0", True, None),
    ]
    assert [r.name for r in parsed.results if not r.nested] == ["buddy"]


def test_diagnostics_belong_to_the_result_that_follows() -> None:
    merge = ktap.parse(SUITE.splitlines()).cases("merge")[0]
    assert merge.diagnostics == ("mm/buddy_allocator.c:12: expected a == b",)
    assert merge.virtual_ns == 99


def test_a_case_that_never_ends_leaves_its_diagnostics() -> None:
    cut = SUITE.splitlines()[:9]
    parsed = ktap.parse(cut)
    assert not parsed.cases("merge")
    assert parsed.pending == ("mm/buddy_allocator.c:12: expected a == b",)


def test_nothing_counts_before_the_header() -> None:
    parsed = ktap.parse(["    ok 1 split", "KTAP version 1", "    ok 1 merge"])
    assert [r.name for r in parsed.cases()] == ["merge"]


def test_garbage_is_passed_over() -> None:
    lines = ["\x00\xff", "KTAP version 1", "ok", "ok 1", "not", "    ok x name", "1..", "#", ""]
    assert ktap.parse(lines).results == []
