# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest
from conftest import SAMPLE_LAB, TREE
from grading import lab
from grading.errors import GradingError


TWIN = '[[case]]\nname = "work"\npoints = 1\nsection = "s"\nhint = "h"\n'


@pytest.mark.parametrize("wanted", ["9", "sample", "lab9-sample"])
def test_found_by_number_and_name(sample_tree: Path, wanted: str) -> None:
    found = lab.find(sample_tree, wanted)
    assert (found.number, found.name, found.suite) == (9, "sample", "sample")
    assert [case.points for case in found.cases] == [5]


def test_an_unknown_lab_names_those_there_are(sample_tree: Path) -> None:
    with pytest.raises(GradingError, match="there is: sample"):
        lab.find(sample_tree, "8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Lab 9: a sample"', ""), "'title' is missing"),
        (("points = 5", "pionts = 5"), "unknown key pionts"),
        (("points = 5", "points = -5"), "must not be negative"),
        (("points = 5", ""), "points"),
        (("points = 5", "points ="), "Invalid value"),
        (("[[case]]", TWIN + "[[case]]"), "twice"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(SAMPLE_LAB.replace(*change))
    with pytest.raises(GradingError, match=message) as caught:
        lab.load(path)
    assert str(path) in str(caught.value)


def test_select(sample_tree: Path) -> None:
    found = lab.find(sample_tree, "9")
    assert [case.name for case in found.select(["work"])] == ["work"]
    assert found.select([]) == found.cases
    with pytest.raises(GradingError, match="no case play; it has: work"):
        found.select(["play"])


LABS = sorted(TREE.glob("labs/lab*/lab.toml"))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.parent.name)
def test_the_real_labs_are_worth_100(path: Path) -> None:
    assert sum(case.points for case in lab.load(path).cases) == 100
