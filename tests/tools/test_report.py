# SPDX-License-Identifier: MIT
import json
import xml.etree.ElementTree as ET
from pathlib import Path

from grading import lab, report, verdict
from grading.result import Result, Status, total


def results(tree: Path, *statuses: Status) -> tuple[lab.Lab, list[Result]]:
    the_lab = lab.find(tree, "9")
    return the_lab, [
        verdict.make_result(
            the_lab, the_lab.cases[0], status, [f"line <{n}> & \x1b[31m", "second"], n, 1.5
        )
        for n, status in enumerate(statuses)
    ]


def test_score_and_exit_status(sample_tree: Path) -> None:
    for statuses, expected in (
        ([Status.PASS, Status.PASS], (10, 10, 0)),
        ([Status.PASS, Status.PANIC], (5, 10, 1)),
        ([Status.PASS, Status.UNGRADED], (5, 10, 2)),
        ([Status.FAIL, Status.UNGRADED], (0, 10, 2)),
    ):
        score = total(results(sample_tree, *statuses)[1])
        assert (score.score, score.max_score, score.exit_status) == expected


def test_text(sample_tree: Path) -> None:
    _, (passed, failed) = results(sample_tree, Status.PASS, Status.HANG)
    assert report.text(passed) == "work ........................  5/5  ok"
    assert report.text(failed).splitlines() == [
        "work ........................  0/5  hang",
        "    line <1> & \\x1b[31m",
        "    second",
        "    read:   handouts/lab9-sample.md#working",
        "    hint:   Work harder.",
        "    replay: make replay LAB=sample CASE=work SEED=1",
    ]
    assert report.summary([passed, failed], total([passed, failed])) == "score: 5/10"


def test_what_to_write_next_comes_first(sample_tree: Path) -> None:
    toml = sample_tree / "labs/lab9-sample/lab.toml"
    for name in ("one", "two", "three"):
        exercise = f'file = "mm/{name}.c"\nfunction = "{name}"\ntodo = "count to {name}"\n'
        toml.write_text(toml.read_text() + "[[exercise]]\n" + exercise)
    (sample_tree / "mm").mkdir()
    (sample_tree / "mm/one.c").write_text("int one(void) { return 1; }\n")
    (sample_tree / "mm/two.c").write_text('int two(void) { lab_todo(9, "count to two"); }\n')
    the_lab, missing = results(sample_tree, Status.TODO)
    exercise = the_lab.next_exercise(sample_tree)
    assert report.summary(missing, total(missing), exercise).splitlines() == [
        "next: write two() in mm/two.c: count to two",
        "score: 0/5",
    ]
    (sample_tree / "mm/two.c").unlink()
    assert the_lab.next_exercise(sample_tree) is None


def test_text_of_what_could_not_be_graded(sample_tree: Path) -> None:
    _, (ungraded,) = results(sample_tree, Status.UNGRADED)
    assert "hint" not in report.text(ungraded)
    last = report.summary([ungraded], total([ungraded])).splitlines()
    assert last == ["1 case could not be graded: the score is not final", "score: 0/5"]


def test_json_has_the_agreed_fields(sample_tree: Path) -> None:
    the_lab, both = results(sample_tree, Status.PASS, Status.FAIL)
    content = json.loads(report.to_json(the_lab, both, total(both)))
    assert list(content) == ["lab", "score", "max_score", "tests"]
    assert list(content["tests"][1]) == [
        "name", "status", "score", "max_score", "output", "seed", "replay", "virtual_ms",
    ]  # fmt: skip
    assert content["tests"][1]["status"] == "fail"
    assert content["score"] == 5


def test_junit(sample_tree: Path) -> None:
    the_lab, all_three = results(sample_tree, Status.PASS, Status.FAIL, Status.UNGRADED)
    suite = ET.fromstring(report.to_junit(the_lab, all_three))
    assert suite.attrib == {"name": "sample", "tests": "3", "failures": "1", "errors": "1"}
    passed, failed, ungraded = suite
    assert len(passed) == 0
    assert failed[0].tag == "failure" and failed[0].get("message") == "line <1> & \\x1b[31m"
    assert ungraded[0].tag == "error"


def test_long_output_is_cut(sample_tree: Path) -> None:
    the_lab = lab.find(sample_tree, "9")
    cut = verdict.make_result(the_lab, the_lab.cases[0], Status.FAIL, ["x" * 10_000] * 500, 1)
    assert len(cut.output) < 20_000
    assert cut.output.endswith("(484 more lines)")
