# SPDX-License-Identifier: MIT
"""Grading the real kernel, which is the reference solution of every lab."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import TREE

LABS = [path.parent.name for path in sorted(TREE.glob("labs/lab*/lab.toml"))]


def grade(lab: str, kernel: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [TREE / "grading/grade", "--lab", lab, "--kernel", kernel, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


# The first and the last, which differ most; make test marks all of them once.
@pytest.mark.parametrize("lab", [LABS[0], LABS[-1]])
def test_one_seed_gives_full_marks_and_the_same_bytes(
    lab: str, kernel: Path, tmp_path: Path
) -> None:
    reports = []
    for jobs in (1, 3):
        path = tmp_path / f"{jobs}.json"
        done = grade(lab, kernel, "--seed", 12345, "--jobs", jobs, "--json", path)
        assert done.stdout.splitlines()[-1] == "score: 100/100", done.stdout + done.stderr
        assert done.returncode == 0
        reports.append(path.read_bytes())
    assert reports[0] == reports[1]
    for test in json.loads(reports[0])["tests"]:
        assert test["virtual_ms"] is not None


@pytest.mark.parametrize("lab", LABS)
def test_selected_cases_only(lab: str, kernel: Path, tmp_path: Path) -> None:
    listed = [line.split() for line in grade(lab, kernel, "--list").stdout.splitlines()]
    (first, points), (second, more) = listed[0], listed[-1]
    words = ["--case", f"{second},{first}", "--seed", 1, "--json", tmp_path / "out.json"]
    done = grade(lab, kernel, *words)
    total = int(points) + int(more)
    assert done.stdout.splitlines()[-1] == f"score: {total}/{total}", done.stdout + done.stderr
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert [test["name"] for test in tests] == [first, second]
