# SPDX-License-Identifier: MIT
"""Testing a lab's tests: patches, mistakes by rule, and one of each against the real cases."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import TREE
from grading.errors import GradingError
from grading.lab import Case, find
from grading.result import Status
from grading.sandbox import Unconfined
from grading.workshop import Workshop

sys.path.insert(0, str(TREE / "scripts"))

from mutation import hostile, known, patches, soak  # noqa: E402
from mutation.matrix import Matrix  # noqa: E402
from mutation.mutator import changes  # noqa: E402
from mutation.patches import Patch  # noqa: E402
from mutation.shop import Marks  # noqa: E402

LABS = [path.parent for path in sorted(TREE.glob("labs/lab*/mutants"))]
MUTANTS = TREE / "scripts/mutants"

TEXT = "int\nf(int a)\n{\n\tif (a < 1)\n\t\treturn 2;\n\n\treturn a;\n}\n"
PATCH = """\
One is taken for none.
--- a/x.c
+++ b/x.c
@@ -14,5 +14,5 @@
 {
-\tif (a < 1)
+\tif (a <= 1)
 \t\treturn 2;

 \treturn a;
"""


# -- patches -----------------------------------------------------------------------------


def read(directory: Path, text: str) -> Patch:
    (directory / "01-a.patch").write_text(text)
    [patch] = patches.read_all(directory)
    return patch


def test_a_patch_applies_where_its_context_is(tmp_path: Path) -> None:
    patch = read(tmp_path, PATCH)
    assert (patch.name, patch.sentence) == ("01-a", "One is taken for none.")
    assert patch.apply({"x.c": TEXT, "y.c": ""}) == {"x.c": TEXT.replace("a < 1", "a <= 1")}


def test_a_patch_that_does_not_apply_says_what_to_do(tmp_path: Path) -> None:
    patch = read(tmp_path, PATCH)
    with pytest.raises(GradingError, match="01-a does not apply to x.c near line 14: make"):
        patch.apply({"x.c": TEXT.replace("return 2", "return 3")})
    with pytest.raises(GradingError, match="no student may change x.c"):
        patch.apply({})
    with pytest.raises(GradingError, match="one sentence"):
        read(tmp_path, PATCH.partition("\n")[2])


@pytest.mark.parametrize("directory", LABS, ids=lambda path: path.name)
def test_all_patches_apply(directory: Path) -> None:
    content = tomllib.loads((directory / "lab.toml").read_text())
    editable = content["submission"]["editable"]
    reference = {name: (TREE / name).read_text() for name in editable}
    found = patches.read_all(directory / "mutants")
    assert len(found) >= 20
    results = [patch.apply(reference) for patch in found]
    assert all(results) and len({str(result) for result in results}) == len(results)


# -- mistakes by rule --------------------------------------------------------------------


def what_changes(body: str) -> list[str]:
    text = f"static int\nf(int a, struct s *p)\n{{\n{body}\n}}\n"
    found = changes("x.c", text, ["f"])
    assert all(change.apply(text) != text for change in found)
    assert len({change.apply(text) for change in found}) == len(found)
    return [change.what for change in found]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a < 3;", ["< -> <=", "3 -> 2", "3 -> 4"]),
        ("return -a;", []),
        ("return a - *p->q;", ["- -> +"]),
        ("struct s *q = p;", []),
        ("if (a)\ng();", ["if: negated", "left out: g()"]),
        ("for (int i = 0; i < a; i++)\ng();",
         ["0 -> 1", "< -> <=", "++ -> --", "left out: g()"]),
        ("ASSERT_EQ(a, 1);\nbuddy_validate_locked(p);", []),
        ("return MIN(a, a) + MAX_ORDER;",
         ["MIN -> MAX", "+ -> -", "MAX_ORDER -> (MAX_ORDER + 1)", "MAX_ORDER -> (MAX_ORDER - 1)"]),
        ("return a - a - a;", ["- -> +", "- -> + #2"]),
        ("g('<', \"<\"); /* a < a */", ["left out: g('<', \"<\")"]),
    ],
)  # fmt: skip
def test_what_is_changed(body: str, expected: list[str]) -> None:
    assert sorted(what_changes(body)) == sorted(expected)


# -- the table ---------------------------------------------------------------------------


CASES = [Case(name, 5, "section", "hint") for name in ("one", "two")]


def marks(*statuses: Status) -> Marks:
    return Marks(dict(zip(("one", "two"), statuses)))


def test_a_mistake_that_costs_nothing_and_a_case_without_use() -> None:
    mistakes = [Patch(name, "wrong", []) for name in ("a", "b", "c")]
    matrix = Matrix(CASES, {"a": marks(Status.FAIL, Status.PASS), "b": marks(Status.PASS),
                            "c": marks(Status.PASS, Status.UNGRADED)})  # fmt: skip
    assert matrix.complaints(mistakes) == ["b costs nothing: wrong", "c: could not be graded"]
    assert matrix.idle_cases() == ["two catches nothing"]
    assert [row.split()[-2:] for row in matrix.footer()] == [["1", "0"]] * 3
    assert matrix.row("a").split() == ["a", "F", ".", "5"]


def test_the_quick_check_uses_every_case_that_it_can() -> None:
    mistakes = [Patch(name, "", []) for name in ("a", "b", "c")]
    expected = {"a": ["one"], "b": ["one", "two"], "c": ["one"]}
    chosen = known._one_each(expected, mistakes, CASES)
    assert [chosen[name][0].name for name in "abc"] == ["one", "two", "one"]


# -- the real thing ----------------------------------------------------------------------


def run(tmp_path_factory: pytest.TempPathFactory, *arguments: str) -> tuple[int, str]:
    scratch = tmp_path_factory.getbasetemp() / "workshop"
    done = subprocess.run(
        [MUTANTS, *arguments, "--scratch", scratch],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("directory", LABS, ids=lambda path: path.name)
def test_a_mistake_loses_marks(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab = directory.name.partition("-")[2]
    first = patches.read_all(directory / "mutants")[0].name
    status, output = run(tmp_path_factory, "known", "--lab", lab, "--only", first, "--quick")
    assert status == 0, output
    assert output.splitlines()[-1].startswith("1 mistakes")


ALTERNATIVES = sorted((TREE / "labs/lab1-buddy/alternatives").glob("*/"))


@pytest.mark.parametrize("directory", ALTERNATIVES, ids=lambda path: path.name)
def test_the_kernel_runs_on_another_lab_1(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not only lab 1's cases: many buddy allocators, side by side, and all that is above them."""
    scratch = tmp_path_factory.getbasetemp() / "workshop"
    shop = Workshop(TREE, find(TREE, ""), scratch, Unconfined())  # all labs
    shop.prepare()
    name = "mm/buddy_allocator.c"
    with shop.bench() as bench:
        bench.put({name: (directory / name).read_bytes()})
        assert bench.make().status == 0
        done = subprocess.run(
            [TREE / "grading/ktest", "--kernel", bench.kernel, "--smp=1", "heap", "threads"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout


CHEATS = [path.parent for path in sorted(TREE.glob("labs/lab*/cheats"))]


@pytest.mark.parametrize("directory", CHEATS, ids=lambda path: path.name)
def test_a_cheat_gains_nothing(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    lab = directory.name.partition("-")[2]
    [name, *_] = sorted(
        (cheat.name for cheat in hostile.load(directory / "cheats")),
        key=lambda name: name != "incbin",  # this one, if it is there: it takes no boot
    )
    status, output = run(tmp_path_factory, "cheats", "--lab", lab, "--only", name)
    assert status == 0, output
    assert output.splitlines()[-1] == "1 cheats: 0 did not come to what they should"


def test_a_case_that_luck_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    class Unlucky:
        lab = find(TREE, "buddy")

        @staticmethod
        def mark(_changed: object, cases: list[Case], seeds: list[int]) -> Marks:
            bad = seeds == [8]
            status = Status.FAIL if bad else Status.PASS
            return Marks({c.name: status for c in cases}, {c.name: "why\nmore" for c in cases})

    assert soak.run(Unlucky, ["split"], 1, [7, 8]) == 1  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "seed 7: 1 of 1 pass",
        "seed 8: 0 of 1 pass",
        "    split: fail: why; replay: make replay LAB=buddy CASE=split SEED=8",
        "2 seeds, 1 cases: 1 of 2 failed",
    ]


def test_the_reference_with_several_seeds(tmp_path_factory: pytest.TempPathFactory) -> None:
    words = ("soak", "--lab", "zones", "--only", "compaction_unmovable")
    # With this one, only chance once kept a run from being emptied.
    status, output = run(tmp_path_factory, *words, "--seed", "3585421701516583893", "--seeds", "1")
    assert status == 0
    assert output.splitlines() == ["seed 3585421701516583893: 1 of 1 pass",
                                   "1 seeds, 1 cases: 0 of 1 failed"]  # fmt: skip
    # The one after the last seed is the first.
    status, output = run(tmp_path_factory, *words, "--seed", f"{2**64 - 1}", "--seeds", "2")
    assert status == 0
    assert {line.partition(":")[0] for line in output.splitlines()[:2]} == {
        f"seed {2**64 - 1}", "seed 0",
    }  # fmt: skip
    status, output = run(tmp_path_factory, "soak", "--lab", "zones", "--only", "nix")
    assert (status, output) == (2, "mutants: no case's name begins with nix\n")


def test_a_pipe_in_place_of_a_source(tmp_path: Path) -> None:
    [cheat] = [c for c in hostile.load(TREE / "labs/lab1-buddy/cheats") if c.special == "fifo"]
    hostile.make(cheat, TREE, "mm/x.c", {"mm/y.c": "int y;\n"}, tmp_path)
    assert (tmp_path / "mm/x.c").is_fifo() and (tmp_path / "mm/y.c").is_file()


@pytest.mark.parametrize("arguments", [("known", "--only", "zz"), ("cheats", "--only", "zz")])
def test_mistakes_of_ours_get_one_line(
    arguments: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    status, output = run(tmp_path_factory, *arguments)
    assert status == 2 and len(output.splitlines()) == 1 and "zz" in output
