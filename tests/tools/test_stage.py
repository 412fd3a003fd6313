# SPDX-License-Identifier: MIT
"""Staging, tried on a tree of a few lines with two labs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from staging import course, functions, leaks, manifest, output, reference, starter  # noqa: E402
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

[starter]
files = ["mm/two.c", "include/two*"]

[[exercise]]
file = "mm/two.c"
function = "twice"
todo = "double a number"
"""

ONE = """\
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
    "Makefile": "all:\n",
    "README.md": "for instructors\n",
    "include/one.h": "int add(int a, int b);\n",
    "include/two.h": "int twice(int a);\n",
    "mm/one.c": ONE,
    "mm/two.c": "int\ntwice(int a)\n{\n\treturn a + a + 0 * 1;\n}\n",
    "labs/lab1-first/lab.toml": LAB1,
    "labs/lab1-first/stubs/boot.c": STUB,
    "labs/lab1-first/mutants/add.c": "wrong\n",
    "labs/lab2-second/lab.toml": LAB2,
    "handouts/lab1-first.md": "Add.\n",
    "handouts/lab2-second.md": "Double.\n",
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
    assert [lab.branch for lab in labs] == ["lab1-first", "lab2-second"]
    assert [exercise.function for exercise in labs[0].exercises] == ["add", "boot"]
    assert labs[0].exercises[1].stub == "labs/lab1-first/stubs/boot.c"
    for wanted in ("2", "second", "lab2-second"):
        assert manifest.select(labs, wanted) is labs[1]
    with pytest.raises(StageError, match="use one of first, second"):
        manifest.select(labs, "third")


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
    with pytest.raises(StageError, match="without a gap; found: labs/lab2-second"):
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
        "starter.mk",
    ]
    one = files["mm/one.c"].content.decode()
    assert "/* The sum. */\nint\nadd(int a, int b)\n{\n" in one
    assert '\n{\n\tlab_todo(1, "add two numbers");\n}\n' in one
    assert 'boot(void)\n{\n\tif (given(0))\n\t\tlab_todo(1, "start");\n}\n' in one
    assert "a * 1000 + 17" in one
    assert files["scripts/run"].executable
    assert not files["mm/one.c"].executable
    assert b"EDITABLE := mm/one.c\n" in files["starter.mk"].content
    assert b"# Lab 1: the first" in files["README.md"].content
    assert b"@" not in files["README.md"].content


def test_the_second_lab_alone_and_in_a_course(tree: Path) -> None:
    source = read(tree)
    alone = starter.for_lab(source, source.labs[1])
    assert alone["mm/one.c"] == source.files["mm/one.c"]
    assert b'lab_todo(2, "double a number")' in alone["mm/two.c"].content
    assert b"EDITABLE := mm/one.c mm/two.c\n" in alone["starter.mk"].content
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
    source = read(tree)
    with pytest.raises(StageError) as caught:
        starter.for_lab(source, source.labs[0])
    assert says in str(caught.value)


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
    (tree / "mm/three.c").symlink_to("one.c")
    commit(tree)
    with pytest.raises(StageError, match="mm/three.c is no plain file"):
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
    assert set(solutions) == {("mm/one.c", "add"), ("mm/one.c", "boot"), ("mm/two.c", "twice")}
    kept = starter.for_course(source, source.labs[-1])
    lines = {line for _, line in leaks.telling_lines(solutions, kept).values()}
    assert lines == {
        "int secret_sum = a + b;",
        "return secret_sum;",
        "start_everything_at_once(given(7));",
        "return a + a + 0 * 1;",
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


# ---- The real labs -----------------------------------------------------------------------


def test_the_real_labs_can_be_staged() -> None:
    source = reference.read(ROOT, untracked=True)
    for lab in source.labs:
        files = starter.for_lab(source, lab)
        for exercise in lab.exercises:
            text = files[exercise.file].content.decode()
            assert text.count(f'lab_todo({lab.number}, "{exercise.todo}");') == 1
        for name in files:
            assert not name.startswith(("scripts/stag", ".ci/"))
