# SPDX-License-Identifier: MIT
"""Staging, tried on a tree of a few lines with three labs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from staging import (  # noqa: E402
    course,
    functions,
    leaks,
    manifest,
    output,
    reference,
    refs,
    starter,
    students,
    trees,
)
from staging.cli import main  # noqa: E402
from staging.errors import StageError  # noqa: E402
from staging.reference import File, Reference  # noqa: E402

HERE = "labs/lab1-first"

LAB1 = """\
number = 1
name = "first"
title = "Lab 1: the first"
handout = "handouts/lab1-first.md"

[submission]
editable = ["mm/one.c"]
symbols = []

[[exercise]]
file = "mm/one.c"
function = "add"
todo = "add two numbers"

[[exercise]]
file = "mm/one.c"
function = "boot"
todo = "start"
stub = "stubs/boot.c"
"""

LAB2 = """\
number = 2
name = "second"
title = "Lab 2: the second"
handout = "handouts/lab2-second.md"

[submission]
editable = ["mm/two.c"]
symbols = []

[[exercise]]
file = "mm/two.c"
function = "twice"
todo = "double a number"
"""

LAB3 = """\
number = 3
name = "third"
title = "Lab 3: the third"
handout = "handouts/lab3-third.md"

[submission]
editable = ["mm/three.c", "mm/more.c"]
symbols = []

[[exercise]]
file = "mm/three.c"
function = "thrice"
todo = "treble a number"
"""

# What staging asks of a Makefile, and what make does to compile.
MAKEFILE = """\
FLAVOR ?= debug
print-files:
	@printf '2 mm/two.c\\n2 include/two%%.h\\n3 mm/three.c\\n3 mm/more.c\\n'
print-abi:
	@echo -DFLAVOR_$(FLAVOR)
build/gcc-$(FLAVOR)/%.o: %.c
	@mkdir -p $(@D); gcc -g -O1 -Iinclude -DFLAVOR_$(FLAVOR) -MMD -MP -c -o $@ $<
"""

ONE = """\
#include "one.h"

/* What is given. */
static int
given(int a)
{
	return a * 1000 + 17;
}

/* The sum. */
int
add(int a, int b)
{
	int secret_sum = a + b;

	return secret_sum;
}

void
boot(void)
{
	start_everything_at_once(given(7));
}
"""

STUB = 'void\nboot(void)\n{\n\tif (given(0))\n\t\tlab_todo(1, "start");\n}\n'

TREE = {
    "Makefile": MAKEFILE,
    "README.md": "for instructors\n",
    "include/one.h": "int add(int a, int b);\nvoid start_everything_at_once(int);\n"
    "void lab_todo(int, const char *);\n",
    "include/two.h": "int twice(int a);\n",
    "mm/one.c": ONE,
    "mm/two.c": "int\ntwice(int a)\n{\n\treturn a + a + 0 * 1;\n}\n",
    "labs/lab1-first/lab.toml": LAB1,
    "labs/lab1-first/stubs/boot.c": STUB,
    "labs/lab1-first/mutants/add.c": "wrong\n",
    "labs/lab2-second/lab.toml": LAB2,
    "labs/lab3-third/lab.toml": LAB3,
    "mm/three.c": "int\nthrice(int a)\n{\n\tint result_of_three = a * 3;\n\n"
    "\treturn result_of_three;\n}\n",
    "mm/more.c": "int three_more;\n",
    "handouts/lab1-first.md": "Add.\n",
    "handouts/lab2-second.md": "Double.\n",
    "handouts/lab3-third.md": "Treble.\n",
    "handouts/instructor.md": "Answers.\n",
    "scripts/run": "#!/bin/sh\n",
    "scripts/stage": "#!/bin/sh\n",
}


def git(top: Path, *words: str) -> str:
    """Git as a student or an instructor runs it."""
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
           for key, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))}  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(top), *words], capture_output=True, text=True, env=kept | who, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def plant(top: Path, **changes: str) -> Path:
    for name, text in (TREE | changes).items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (top / "scripts/run").chmod(0o755)
    git(top.parent, "init", "-q", "-b", "main", str(top))
    commit(top)
    return top


def commit(top: Path) -> None:
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "x")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "reference")


def change(tree: Path, name: str, old: str, new: str) -> None:
    text = (tree / name).read_bytes().decode()
    assert old in text
    (tree / name).write_bytes(text.replace(old, new).encode())


def run(capsys: pytest.CaptureFixture[str], tree: Path, *words: str) -> tuple[int, str]:
    """The command's status, and what it prints."""
    status = main([words[0], "--tree", str(tree), *words[1:]])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


# ---- lab.toml ---------------------------------------------------------------------


def test_a_manifest(tree: Path) -> None:
    labs = manifest.load_all(tree)
    assert [lab.branch for lab in labs] == ["lab1-first", "lab2-second", "lab3-third"]
    assert [exercise.function for exercise in labs[0].exercises] == ["add", "boot"]
    assert labs[0].exercises[1].stub == "labs/lab1-first/stubs/boot.c"
    for wanted in ("2", "second", "lab2-second"):
        assert manifest.select(labs, wanted) is labs[1]
    with pytest.raises(StageError, match="use one of first, second, third"):
        manifest.select(labs, "fourth")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("number = 1", "number = 2", "must be those of the directory lab1-first"),
        ('title = "Lab 1: the first"', "", "'title' is missing"),
        ('title = "Lab 1: the first"', "title = 1", "'title' is of the wrong type"),
        ("[submission]", "[other]", "'submission' is missing"),
        ("symbols = []", "symbols = [1]", "list of strings 'symbols'"),
        ('["mm/one.c"]', '["mm/six.c"]', "mm/one.c is not among the editable files"),
        ('todo = "add two numbers"', "", "add: there must be a string 'todo'"),
        ('todo = "add two numbers"', 'todo = "start"', "the todo start"),
        ('todo = "add two numbers"', "todo = 'say \"a\"'", "without quotes"),
        ('"add two numbers"', f'"{"x" * 77}"', "longer than 76"),
        ('"add two numbers"', '"a"\nhint = "b"', "unknown key 'hint'"),
        ('function = "add"', 'function = "boot"', "the function boot of mm/one.c"),
        ('function = "add"', 'function = "a()"', "is no name of a function"),
        ("number = 1", "number =", "Invalid value"),
        ("[submission]", "[starter]\n[submission]", "name its files in FILES_LAB1 in the"),
    ],
)
def test_mistakes_in_a_manifest(tree: Path, old: str, new: str, says: str) -> None:
    change(tree, "labs/lab1-first/lab.toml", old, new)
    with pytest.raises(StageError) as caught:
        manifest.load_all(tree)
    assert says in str(caught.value)
    assert "lab1-first" in str(caught.value)


def test_labs_count_from_1(tree: Path) -> None:
    (tree / "labs/lab1-first/lab.toml").unlink()
    with pytest.raises(StageError, match="without a gap; found: labs/lab2-second, labs/lab3-third"):
        manifest.load_all(tree)


# ---- Bodies of functions ------------------------------------------------------------


def replaced(text: str, *names: str) -> str:
    return functions.replace_bodies(text, {name: "{\n\tNEW;\n}" for name in names}, "a.c")


@pytest.mark.parametrize(
    "source",
    [
        "int\nf(void)\nBODY\n",
        "int f(void) BODY\n",
        "static inline int\nf(int (*g)(int), char c[static 2])\nBODY\n",
        "__attribute__((noinline)) static int *\nf(void)\nBODY\n",
        "int\nf(int a, /* not a { yet */\n  int b) // nor this {\nBODY\n",
        "int f(void);\n\nint\nf(void)\nBODY\n\nint\ng(void)\n{\n\treturn f();\n}\n",
        "struct s { int x; };\nstatic struct s v = { 1 };\n\nstruct s\nf(void)\nBODY\n",
        "#define F(x) { (x) }\n#define G \\\n\t}\nint\nf(void)\nBODY\n",
        "#ifdef A\nint a;\n#endif\nint\nf(void)\nBODY\n#undef B",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        "{ return 1; }",
        "{\n}",
        "{\n\tif (1) {\n\t\twhile (0) { }\n\t}\n\treturn 2;\n}",
        '{\n\tputs("} \\" {"); /* } */ // }\n\treturn \'}\' + \'\\\'\' + \'{\';\n}',
        "{\n\tint a[] = { 1, 2 };\n\treturn ({ a[0]; });\n}",
        "{\n#define E }\n#if 1 /* { */\n\treturn 1;\n#endif\n}",
        "{\n#define LONG(x) \\\n\t{ (x)\n\treturn 1;\n}",
        "{\n\t/* caf\u00e9 */\n\treturn 1;\n}",
    ],
)
def test_a_body_is_found_whatever_is_around_and_in_it(source: str, body: str) -> None:
    text = source.replace("BODY", body)
    assert replaced(text, "f") == source.replace("BODY", "{\n\tNEW;\n}")
    assert functions.replace_bodies(replaced(text, "f"), {"f": body}, "a.c") == text


def test_line_ends_of_dos() -> None:
    text = "int\r\nf(void)\r\n{\r\n\treturn 1;\r\n}\r\n\r\nint\r\ng(void)\r\n{\r\n}\r\n"
    assert replaced(text, "f", "g") == (
        "int\r\nf(void)\r\n{\r\n\tNEW;\r\n}\r\n\r\nint\r\ng(void)\r\n{\r\n\tNEW;\r\n}\r\n"
    )


def test_bytes_that_are_no_utf8_survive() -> None:
    content = b"/* caf\xe9 */\nint\nf(void)\n{\n\treturn '\xe9';\n}\n"
    text = functions.decode(content)
    body = functions.find_bodies(text, "a.c")["f"]
    blank = replaced(text, "f")
    assert functions.encode(blank) == b"/* caf\xe9 */\nint\nf(void)\n{\n\tNEW;\n}\n"
    back = functions.replace_bodies(blank, {"f": text[body.start : body.end]}, "a.c")
    assert functions.encode(back) == content


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int\ng(void)\n{\n}\n", "a.c: there is no function f()"),
        ("int f(void);\n", "a.c: there is no function f()"),
        ("int\nf(void)\n{\n}\n\nint\nf(void)\n{\n}\n", "defined a second time"),
        ("int\nf(void)\n{\n#ifdef A\n\tif (1) {\n#else\n\tif (2) {\n#endif\n\t}\n}\n", "under #if"),
    ],
)
def test_what_cannot_be_blanked_is_named(text: str, says: str) -> None:
    with pytest.raises(StageError) as caught:
        replaced(text, "f")
    assert says in str(caught.value)


# ---- Starters -------------------------------------------------------------------------


def read(tree: Path) -> Reference:
    return reference.read(tree)


def test_a_starter_of_the_first_lab(tree: Path) -> None:
    source = read(tree)
    files = starter.for_lab(source, source.labs[0])
    assert sorted(files) == [
        "Makefile",
        "README.md",
        "handouts/lab1-first.md",
        "include/one.h",
        "labs/lab1-first/lab.toml",
        "mm/one.c",
        "scripts/run",
        "starter/lab1-first.md",
        "starter/lab1.mk",
    ]
    one = files["mm/one.c"].content.decode()
    assert "/* The sum. */\nint\nadd(int a, int b)\n{\n" in one
    assert '\n{\n\tlab_todo(1, "add two numbers");\n}\n' in one
    assert 'boot(void)\n{\n\tif (given(0))\n\t\tlab_todo(1, "start");\n}\n' in one
    assert "a * 1000 + 17" in one
    assert files["scripts/run"].executable
    assert not files["mm/one.c"].executable
    assert b"\nEDITABLE_LAB1 := mm/one.c\n" in files["starter/lab1.mk"].content
    page = files["starter/lab1-first.md"].content
    assert page.startswith(b"# Lab 1: the first\n") and b"REF=" not in page
    assert b"@" not in page and b"@" not in files["README.md"].content


def test_the_second_lab_alone_and_in_a_course(tree: Path) -> None:
    source = read(tree)
    alone = starter.for_lab(source, source.labs[1])
    assert alone["mm/one.c"] == source.files["mm/one.c"]
    assert b'lab_todo(2, "double a number")' in alone["mm/two.c"].content
    assert b"EDITABLE_LAB2 := mm/two.c\n" in alone["starter/lab2.mk"].content
    assert b"`make grade LAB=second REF=1`" in alone["starter/lab2-second.md"].content
    in_course = starter.for_course(source, source.labs[1])
    assert set(in_course) == set(alone)
    assert b'lab_todo(1, "add two numbers")' in in_course["mm/one.c"].content
    assert in_course["mm/two.c"] == alone["mm/two.c"]


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("mm/one.c", "\nadd(", "\nsum(", "lab.toml: mm/one.c: there is no function add()"),
        (f"{HERE}/stubs/boot.c", "boot(", "root(", "does not hold the function boot()"),
        (f"{HERE}/stubs/boot.c", '"start"', '"go"', 'must call lab_todo(1, "start");'),
        (f"{HERE}/lab.toml", "stubs/boot.c", "stubs/b.c", f"no stub {HERE}/stubs/b.c"),
        (f"{HERE}/lab.toml", "mm/one.c", "mm/six.c", "there is no file mm/six.c"),
    ],
)
def test_what_is_named_must_be_there(tree: Path, name: str, old: str, new: str, says: str) -> None:
    change(tree, name, old, new)
    with pytest.raises(StageError) as caught:
        source = read(tree)
        starter.for_lab(source, source.labs[0])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("labs/lab2-second/lab.toml", "mm/two.c", "mm/one.c", "name it in MM_LAB2 in the Makefile"),
        (f"{HERE}/lab.toml", "mm/one.c", "mm/two.c", "mm/two.c comes with a later lab"),
        ("Makefile", "2 include/two", "2 include/tow", "Makefile: include/tow*.h, which comes"),
        ("Makefile", "\t@printf", "\t@exit 3; printf", "failed: make: *** [Makefile:3: print-"),
    ],
)
def test_what_comes_with_a_lab_must_be_so(
    tree: Path, name: str, old: str, new: str, says: str
) -> None:
    change(tree, name, old, new)
    with pytest.raises(StageError) as caught:
        read(tree)
    assert says in str(caught.value)


def test_a_lab_that_is_not_finished_is_in_no_starter(tree: Path) -> None:
    path = tree / "labs/lab4-fourth/tests/lab.h"
    path.parent.mkdir(parents=True)
    path.write_text("")
    change(tree, "Makefile", "3 mm/more.c", "3 mm/more.c\\n4 mm/four.c")
    (tree / "mm/four.c").write_text("")
    commit(tree)
    source = read(tree)
    assert len(source.labs) == 3
    last = starter.for_course(source, source.labs[-1])
    assert "mm/three.c" in last
    assert not {"mm/four.c", "labs/lab4-fourth/tests/lab.h"} & set(last)


def test_a_header_that_nothing_includes(tree: Path) -> None:
    change(tree, "mm/two.c", "int\ntwice", '#include <sub/two.h>\n\nint\ntwice')
    (tree / "mm/inner.h").write_text("")
    change(tree, "include/two.h", "int twice", '# include "inner.h"\nint twice')
    commit(tree)
    source = read(tree)
    idle = [starter.idle_headers(starter.for_course(source, lab)) for lab in source.labs]
    assert idle == [["mm/inner.h"], [], []]


def test_a_later_lab_only_adds_files(tree: Path) -> None:
    source = read(tree)
    starters = [starter.for_course(source, lab) for lab in source.labs]
    for earlier, later in zip(starters, starters[1:]):
        assert earlier.items() < later.items()
    new = [sorted(set(later) - set(earlier)) for earlier, later in zip(starters, starters[1:])]
    assert new[0] == [
        "handouts/lab2-second.md", "include/two.h", "labs/lab2-second/lab.toml", "mm/two.c",
        "starter/lab2-second.md", "starter/lab2.mk",
    ]  # fmt: skip
    assert new[1] == [
        "handouts/lab3-third.md", "labs/lab3-third/lab.toml", "mm/more.c", "mm/three.c",
        "starter/lab3-third.md", "starter/lab3.mk",
    ]  # fmt: skip


# ---- What is taken from the reference --------------------------------------------------


def test_only_what_git_tracks(tree: Path) -> None:
    (tree / ".gitignore").write_text("/build/\n")
    commit(tree)
    (tree / "build").mkdir()
    (tree / "build/kernel.elf").write_text("")
    (tree / "mm/notes.txt").write_text("")
    assert {"mm/notes.txt", "build/kernel.elf"} & set(read(tree).files) == set()
    with_new = reference.read(tree, untracked=True).files
    assert "mm/notes.txt" in with_new
    assert "build/kernel.elf" not in with_new


def test_changes_that_are_not_committed(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (tree / "README.md").write_text("what no starter holds\n")
    assert run(capsys, tree, "course", "--out", str(out))[0] == 0
    change(tree, "mm/one.c", "17", "18")
    for command in (["course"], ["lab", "--lab", "1"]):
        status, text = run(capsys, tree, *command, "--out", str(tmp_path / command[0]))
        assert status == 2
        assert text == "stage: mm/one.c differs from the last commit: commit it, or say DIRTY=1\n"
    assert not (tmp_path / "lab").exists()
    status, _ = run(capsys, tree, "lab", "--lab", "1", "--out", str(out) + "2", "--dirty")
    assert status == 0
    assert "+ 18" in (tmp_path / "out2/mm/one.c").read_text()


def test_not_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, tmp_path, "lab", "--lab", "1", "--out", str(tmp_path / "o"))
    assert status == 2
    assert "must be a git working tree" in text
    assert len(text.splitlines()) == 1


def test_a_link_is_refused(tree: Path) -> None:
    (tree / "mm/link.c").symlink_to("one.c")
    commit(tree)
    with pytest.raises(StageError, match="mm/link.c is no plain file"):
        read(tree)


# ---- Writing over what is there -----------------------------------------------------------


@pytest.fixture
def staged(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "staged"
    assert run(capsys, tree, "lab", "--lab", "second", "--out", str(out))[0] == 0
    return out


def again(capsys: pytest.CaptureFixture[str], tree: Path, out: Path) -> tuple[int, str]:
    return run(capsys, tree, "lab", "--lab", "first", "--out", str(out))


def test_an_unchanged_starter_is_staged_again(
    tree: Path, staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (staged / "build").mkdir()
    (staged / "build/kernel.elf").write_text("")
    before = (staged / "Makefile").stat().st_mtime_ns
    change(tree, "mm/one.c", "17", "18")
    commit(tree)
    assert again(capsys, tree, staged)[0] == 0
    assert "+ 18" in (staged / "mm/one.c").read_text()
    assert not (staged / "mm/two.c").exists()
    assert not (staged / "labs/lab2-second").exists()
    assert (staged / "build/kernel.elf").exists()
    assert (staged / "Makefile").stat().st_mtime_ns == before
    done = subprocess.run(["sha256sum", "--quiet", "-c", output.MANIFEST], cwd=staged, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("what", ["changed", "new", "gone"])
@pytest.mark.parametrize("in_git", [False, True])
def test_changes_are_never_overwritten(
    tree: Path, staged: Path, capsys: pytest.CaptureFixture[str], what: str, in_git: bool
) -> None:
    if in_git:
        git(staged, "init", "-q")
        commit(staged)
    path = staged / ("mm/mine.c" if what == "new" else "mm/one.c")
    if what == "gone":
        path.unlink()
    else:
        path.write_text("my work\n")
    status, text = again(capsys, tree, staged)
    assert status == 2
    assert f"holds changes, such as mm/{path.name}: move it away" in text
    assert len(text.splitlines()) == 1
    assert (staged / "mm/two.c").exists()
    if what != "gone":
        assert path.read_text() == "my work\n"
    if in_git:
        commit(staged)
        assert again(capsys, tree, staged)[0] == 0


def test_other_directories_are_left_alone(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    assert again(capsys, tree, other)[0] == 0  # empty
    for precious in (tree, tmp_path):
        for command in (["lab", "--lab", "first"], ["course"]):
            status, text = run(capsys, tree, *command, "--out", str(precious))
            assert status == 2
            assert "is there already, and no" in text or "holds a commit by" in text
    file = tmp_path / "file"
    file.write_text("")
    assert again(capsys, tree, file)[0] == 2
    assert again(capsys, tree, file / "below")[0] == 2


def test_a_bad_call_is_one_clear_line(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["lab"], ["lab", "--lab", "first"], ["lab", "--out", "x"], ["course"]):
        status, text = run(capsys, tree, *words)
        assert status == 2
        assert text.startswith("stage: say ")
        assert len(text.splitlines()) == 1


# ---- The course repository -------------------------------------------------------------------


def make_course(tree: Path, out: Path) -> dict[str, str]:
    return {branch.name: branch.commit for branch in course.make(read(tree), out)}


def test_a_course(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "course"
    made = make_course(tree, out)
    assert git(out, "symbolic-ref", "HEAD") == "refs/heads/lab1-first"
    assert git(out, "status", "--porcelain") == ""
    assert git(out, "rev-parse", "lab2-second^") == made["lab1-first"]
    assert git(out, "log", "--format=%an %ae %cn %ce", "lab1-first") == (
        "IKOS course course@ikos.invalid IKOS course course@ikos.invalid"
    )
    assert "lab_todo(1" in git(out, "show", "lab2-second:mm/one.c")
    assert git(out, "ls-tree", "-r", "lab1-first", "scripts/run").startswith("100755")
    # The same files give the same hashes: elsewhere, later, for somebody else.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
    (tmp_path / ".gitconfig").write_text("[core]\n\tautocrlf = true\n[init]\n\tdefaultBranch = x\n")
    another = plant(tmp_path / "another" / "place")
    assert make_course(another, tmp_path / "course2") == made
    assert make_course(tree, out) == made
    assert str(tmp_path) not in git(out, "log", "-p", "--all")


def test_a_student_merges_corrections_and_the_next_lab(tree: Path, tmp_path: Path) -> None:
    out, student = tmp_path / "course", tmp_path / "student"
    old = make_course(tree, out)
    git(tmp_path, "clone", "-q", str(out), str(student))
    change(student, "mm/one.c", 'lab_todo(1, "add two numbers");', "return b + a;")
    git(student, "commit", "-q", "-a", "-m", "my work")
    git(student, "merge", "-q", "--no-edit", "origin/lab2-second")
    change(student, "mm/two.c", 'lab_todo(2, "double a number");', "return a << 1;")
    (student / "README.md").write_text("My own notes\n")
    (student / "Makefile").write_text(MAKEFILE + "mine:\n")
    git(student, "commit", "-q", "-a", "-m", "my work")
    git(student, "merge", "-q", "--no-edit", "origin/lab3-third")
    assert "return b + a;" in (student / "mm/one.c").read_text()
    assert "return a << 1;" in (student / "mm/two.c").read_text()
    assert 'lab_todo(3, "treble a number")' in (student / "mm/three.c").read_text()

    change(tree, "mm/one.c", "17", "18")
    change(tree, "mm/two.c", "int\n", "/* Twice. */\nint\n")
    commit(tree)
    new = make_course(tree, out)
    assert git(out, "rev-parse", "lab1-first^") == old["lab1-first"]
    assert git(out, "rev-parse", "lab2-second^1") == old["lab2-second"]
    assert git(out, "rev-parse", "lab2-second^2") == new["lab1-first"]
    assert git(out, "status", "--porcelain") == ""
    assert "18" in (out / "mm/one.c").read_text()

    git(student, "fetch", "-q")
    git(student, "merge", "-q", "--no-edit", "origin/lab1-first")
    git(student, "merge", "-q", "--no-edit", "origin/lab2-second")
    git(student, "merge", "-q", "--no-edit", "origin/lab3-third")
    text = (student / "mm/one.c").read_text()
    assert "18" in text
    assert "return b + a;" in text
    assert "/* Twice. */" in (student / "mm/two.c").read_text()
    # The history, too, can be made again anywhere.
    assert make_course(tree, out) == new


def test_a_correction_of_the_second_lab_only(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "course"
    old = make_course(tree, out)
    change(tree, "mm/two.c", "int\n", "/* Twice. */\nint\n")
    commit(tree)
    new = make_course(tree, out)
    assert new["lab1-first"] == old["lab1-first"]
    assert git(out, "log", "--format=%P", "-1", "lab2-second") == old["lab2-second"]


def test_a_course_is_not_undone(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "course"
    make_course(tree, out)
    (out / "mm/one.c").write_text("my work\n")
    with pytest.raises(StageError, match="holds changes, such as mm/one.c"):
        make_course(tree, out)
    git(out, "commit", "-q", "-a", "-m", "my work")
    with pytest.raises(StageError, match="holds a commit by ann@example.org"):
        make_course(tree, out)


# ---- Solutions that got out --------------------------------------------------------------------


def found(tree: Path, *texts: tuple[str, str]) -> list[str]:
    source = read(tree)
    lines = leaks.telling_lines(
        starter.solutions(source, source.labs), starter.for_course(source, source.labs[-1])
    )
    return [str(leak) for leak in leaks.search(lines, [(n, t.encode()) for n, t in texts])]


def test_lines_that_give_something_away(tree: Path) -> None:
    source = read(tree)
    solutions = starter.solutions(source, source.labs)
    assert set(solutions) == {
        ("mm/one.c", "add"), ("mm/one.c", "boot"), ("mm/two.c", "twice"), ("mm/three.c", "thrice"),
    }  # fmt: skip
    kept = starter.for_course(source, source.labs[-1])
    lines = {line for _, line in leaks.telling_lines(solutions, kept).values()}
    assert lines == {
        "int secret_sum = a + b;",
        "return secret_sum;",
        "start_everything_at_once(given(7));",
        "return a + a + 0 * 1;",
        "int result_of_three = a * 3;",
        "return result_of_three;",
    }
    kept["kernel/x.c"] = File(b"x() { return secret_sum; } /* int secret_sum = a + b; */")
    lines = {line for _, line in leaks.telling_lines(solutions, kept).values()}
    assert "return secret_sum;" not in lines  # the code is given, so it is no secret
    assert "int secret_sum = a + b;" in lines  # a comment may not hold it


def test_a_planted_line_is_found(tree: Path) -> None:
    assert found(tree, ("a.md", "Nothing.\n")) == []
    assert found(tree, ("a.md", "* int\n *\tsecret_sum=a+b ;\n")) == []  # a "*" between
    assert found(tree, ("a.md", "Write int  secret_sum=a +\n\tb; there.\n")) == [
        'a.md holds a line of add(): "int secret_sum = a + b;"'
    ]


def test_every_object_of_a_repository_is_searched(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "course"
    make_course(tree, out)
    source = read(tree)
    kept = starter.for_course(source, source.labs[-1])
    lines = leaks.telling_lines(starter.solutions(source, source.labs), kept)
    assert leaks.search(lines, leaks.objects_of(out)) == []
    # In the text of a commit, and in a blob that nothing leads to.
    git(out, "commit", "-q", "--allow-empty", "-m", "return secret_sum;")
    (out / "loose").write_text("x = 1; return a + a + 0 * 1;\n")
    git(out, "hash-object", "-w", "loose")
    where = sorted(leak.where.split()[0] for leak in leaks.search(lines, leaks.objects_of(out)))
    assert where == ["blob", "commit"]


def test_a_solution_is_not_written_anywhere(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(tree, "handouts/lab1-first.md", "Add.", "Write `int secret_sum = a + b;` and return.")
    commit(tree)
    for command in (["lab", "--lab", "first"], ["course"]):
        status, text = run(capsys, tree, *command, "--out", str(tmp_path / "out"))
        assert status == 2
        assert text.startswith("stage: handouts/lab1-first.md holds a line of add(): ")
        assert not (tmp_path / "out").exists()


def test_a_solution_of_a_later_lab_is_found_too(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(tree, "handouts/lab1-first.md", "Add.", "Later: `int result_of_three = a * 3;`.")
    commit(tree)
    for command in (["lab", "--lab", "first"], ["course"]):
        status, text = run(capsys, tree, *command, "--out", str(tmp_path / "out"))
        assert status == 2
        assert text.startswith("stage: handouts/lab1-first.md holds a line of thrice(): ")


# ---- Reference objects -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "text", "numbers"),
    [
        ("third", "1,2", [1, 2]), ("third", "second", [2]), ("third", "2, 1", [1, 2]),
        ("third", "all", [1, 2]), ("third", "", []), ("first", "all", []), ("second", "1", [1]),
    ],
)  # fmt: skip
def test_refs_are_a_list_of_earlier_labs(
    tree: Path, before: str, text: str, numbers: list[int]
) -> None:
    labs = read(tree).labs
    found = refs.parse(labs, manifest.select(labs, before), text)
    assert [lab.number for lab in found] == numbers


@pytest.mark.parametrize(
    ("lab", "text", "says"),
    [
        ("3", "3", "REFS=3: use labs before lab3-third: 1,2, or all"),
        ("3", "1,x", "REFS=1,x: use labs before lab3-third: 1,2, or all"),
        ("2", "2", "REFS=2: use labs before lab2-second: 1, or all"),
        ("1", "1", "REFS=1: there is no lab before lab1-first"),
    ],
)
def test_other_refs_are_one_clear_line(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lab: str, text: str, says: str
) -> None:
    out = str(tmp_path / "out")
    status, printed = run(capsys, tree, "lab", "--lab", lab, "--out", out, "--refs", text)
    assert (status, printed) == (2, f"stage: {says}\n")


def test_archives_of_objects(tree: Path, tmp_path: Path) -> None:
    source = read(tree)
    built = refs.build(source, source.labs[:2])
    assert sorted(built[1]) == [
        "ref/lab1-release.a", "ref/lab1-release.abi", "ref/lab1.a", "ref/lab1.abi"
    ]  # fmt: skip
    flags, *sums = built[1]["ref/lab1.abi"].content.decode().splitlines()
    assert flags == "-DFLAVOR_debug"
    assert [line.split()[1] for line in sums] == ["include/one.h", "ref/lab1.a"]
    assert refs.build(source, source.labs[:2]) == built
    archive = built[1]["ref/lab1.a"].content
    (tmp_path / "lab1.a").write_bytes(archive)
    names = subprocess.run(
        ["nm", "--format=just-symbols", tmp_path / "lab1.a"], capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    assert {"add", "boot", "start_everything_at_once"} <= set(names)
    for hidden in (b"secret_sum", str(tmp_path).encode(), b".debug"):
        assert hidden not in archive


def test_objects_are_on_the_branches_of_later_labs(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "course"
    assert run(capsys, tree, "course", "--out", str(out), "--refs", "1")[0] == 0

    def objects(branch: str) -> list[str]:
        return [name for name in git(out, "ls-tree", "--name-only", branch, "ref/").split()
                if name.endswith(".a")]  # fmt: skip

    lab1, lab2 = (
        ["ref/lab1-release.a", "ref/lab1.a"],
        ["ref/lab2-release.a", "ref/lab2.a"],
    )
    assert [objects(lab.branch) for lab in read(tree).labs] == [[], lab1, lab1]
    # What is published stays, and more can be added.
    assert "new" not in run(capsys, tree, "course", "--out", str(out))[1]
    assert run(capsys, tree, "course", "--out", str(out), "--refs", "2")[0] == 0
    assert [objects(lab.branch) for lab in read(tree).labs] == [[], lab1, lab1 + lab2]
    source = read(tree)
    last = starter.for_course(source, source.labs[-1])
    lines = leaks.telling_lines(starter.solutions(source, source.labs), last)
    assert leaks.search(lines, leaks.objects_of(out)) == []


def test_a_lab_that_comes_as_objects_comes_without_source(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["lab", "--lab", "third", "--out", str(out), "--refs", "1"]
    assert run(capsys, tree, *words)[0] == 0
    assert 'lab_todo(1, "add two numbers")' in (out / "mm/one.c").read_text()
    assert "return a + a + 0 * 1;" in (out / "mm/two.c").read_text()
    assert (out / "ref/lab1.a").exists() and not (out / "ref/lab2.a").exists()


# ---- Students, as make check-labs plays them ----------------------------------------------

# Marks for whatever is there: a lab's mark is full if none of its files says that it is not.
GRADE = """\
grade:
	@mkdir -p build; s=pass; ! grep -q WRONG mm/*.c || s=fail; \\
	echo '{"tests": [{"name": "all", "status": "'$$s'", "output": "x"}]}' >$(JSON)
"""


@pytest.fixture
def course_of(tree: Path, tmp_path: Path) -> Callable[[str], Reference]:
    def make(other: str) -> Reference:
        """A reference with an alternative solution of lab 1, and its course repository."""
        path = tree / HERE / "alternatives/other/mm/one.c"
        path.parent.mkdir(parents=True)
        path.write_text(other)
        (tree / "Makefile").write_text(MAKEFILE + GRADE)
        commit(tree)
        make_course(tree, tmp_path / students.COURSE)
        return read(tree)

    return make


def test_a_student_goes_on_from_lab_to_lab(
    course_of: Callable[[str], Reference], tmp_path: Path
) -> None:
    source = course_of(ONE.replace("a + b", "b + a"))
    student = students.Student(tmp_path, source)
    for lab in source.labs[1:]:
        student.go_on(lab)
    tree = tmp_path / "student-lab3-third"
    assert "b + a" in (tree / "mm/one.c").read_text()
    assert "a * 3" in (tree / "mm/three.c").read_text()
    assert not (tmp_path / "student-lab2-second/mm/three.c").exists()
    (student.clone / "mm/one.c").write_text(ONE)
    with pytest.raises(trees.Wrong, match="mm/one.c is not what the student"):
        student.go_on(source.labs[2])


def test_what_costs_a_student_marks_is_found(
    course_of: Callable[[str], Reference], tmp_path: Path
) -> None:
    source = course_of(ONE + "/* WRONG */\n")
    with pytest.raises(trees.Wrong, match="all: fail: x"):
        students.Student(tmp_path, source).go_on(source.labs[1])


def test_a_branch_that_changes_what_is_there_is_found(
    course_of: Callable[[str], Reference], tmp_path: Path
) -> None:
    source = course_of(ONE.replace("a + b", "b + a"))
    out = tmp_path / students.COURSE
    git(out, "checkout", "-q", "lab2-second")
    change(out, "mm/one.c", 'lab_todo(1, "add two numbers");', "return 0;")
    commit(out)
    with pytest.raises(trees.Wrong, match="(?s)git merge .*CONFLICT"):
        students.Student(tmp_path, source).go_on(source.labs[1])


# ---- The real labs -----------------------------------------------------------------------


def test_the_real_labs_can_be_staged() -> None:
    source = reference.read(ROOT, untracked=True)
    for lab in source.labs:
        files = starter.for_lab(source, lab)
        for exercise in lab.exercises:
            text = files[exercise.file].content.decode()
            assert text.count(f'lab_todo({lab.number}, "{exercise.todo}");') == 1
        hidden = starter.solutions(source, source.labs[lab.number - 1 :])
        leaks.check_files(hidden, files)
        for name in files:
            assert not name.startswith(("scripts/stag", ".ci/"))
    branches = [starter.for_course(source, lab) for lab in source.labs]
    for earlier, later in zip(branches, branches[1:]):
        assert earlier.items() < later.items()
