# SPDX-License-Identifier: MIT
"""Students who go on from lab to lab, each in a way that must cost them nothing.

The first solves each lab in a way that is not ours, where labs/labN-NAME/alternatives/ has one;
commits; and merges the branch of the next lab. The second has handed in nothing that compiles,
and goes on with the reference's objects. The third is graded: a broken earlier lab must not
cost a mark in a right later one.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import starter, tools, trees
from .course import environment
from .manifest import Lab
from .reference import File, Files, Reference
from .trees import Wrong

COURSE = "course"
_BROKEN = File(b"this does not compile\n")
# Enough to see that a kernel is linked and boots; all of them are graded elsewhere.
_FEW = 3


def checks(root: Path, out: Path, reference: Reference) -> list[tuple[str, Callable[[], None]]]:
    """For every lab but the first. They need the course repository, and the starters as built."""
    student = Student(out, reference)
    found: list[tuple[str, Callable[[], None]]] = []
    for lab in reference.labs[1:]:
        failed = Failed(root, out, reference, lab)
        found += [
            (f"{lab.branch}: merged into other work, full marks", partial(student.go_on, lab)),
            (f"{lab.branch}: goes on with REF=", failed.goes_on),
            (f"{lab.branch}: graded on broken earlier labs", failed.is_graded),
        ]
    return found


class Student:
    """A clone of the course repository."""

    def __init__(self, out: Path, reference: Reference) -> None:
        self.out = out
        self.reference = reference
        self.clone = out / "student"
        self.merged = 0  # the last lab that is in it

    def go_on(self, lab: Lab) -> None:
        """Do the labs before, each merged on top of the last, and then this one."""
        if self.merged == 0:
            self._clone()
        for one in self.reference.labs[self.merged : lab.number]:
            if one.number > 1:
                self._git("merge", "--quiet", "--no-edit", f"origin/{one.branch}")
            self._write(other_solution(self.reference, one))
            self._git("commit", "--quiet", "--all", "--message", f"My work on {one.title}")
            self.merged = one.number
        files = _read(self.clone)
        expected = starter.for_course(self.reference, lab)
        for one in self.reference.labs[: lab.number]:
            expected |= other_solution(self.reference, one)
        for name, file in expected.items():
            if files.get(name) != file:
                raise Wrong(f"{name} is not what the student and the course made it")
        tree = self.out / f"student-{lab.branch}"
        trees.rewrite(files, tree, like=trees.starter_of(self.out, lab))
        trees.expect_full_marks(trees.grade(tree, lab)[0])

    def _clone(self) -> None:
        first = self.reference.labs[0].branch
        shutil.rmtree(self.clone, ignore_errors=True)
        where = [str(self.out / COURSE), str(self.clone)]
        _git(self.out, "clone", "--quiet", "--branch", first, *where)

    def _write(self, files: Files) -> None:
        for name, file in files.items():
            (self.clone / name).write_bytes(file.content)

    def _git(self, *words: str) -> None:
        _git(self.clone, *words)


class Failed:
    """A student who has solved one lab, and none before it."""

    def __init__(self, root: Path, out: Path, reference: Reference, lab: Lab) -> None:
        self.root = root
        self.out = out
        self.lab = lab
        self.reference = reference
        self.earlier = reference.labs[: lab.number - 1]
        self.work: Files = {path: _BROKEN for one in self.earlier for path in one.editable}
        self.work |= {path: reference.files[path] for path in lab.editable}

    def goes_on(self) -> None:
        clone = self.out / "failed"
        shutil.rmtree(clone, ignore_errors=True)
        where = ("--branch", self.lab.branch, str(self.out / COURSE), str(clone))
        _git(self.out, "clone", "--quiet", *where)
        files = _read(clone) | self.work
        tree = self.out / f"failed-{self.lab.branch}"
        trees.rewrite(files, tree, like=trees.starter_of(self.out, self.lab))
        numbers = ",".join(str(one.number) for one in self.earlier)
        few = ",".join(self.lab.cases[:_FEW])
        marks, _ = trees.grade(tree, self.lab, f"REF={numbers}", f"CASE={few}")
        trees.expect_full_marks(marks)
        trees.build(tree, "CC=clang", "FLAVOR=release", f"REF={numbers}", "kernel")

    def is_graded(self) -> None:
        submission = self.out / f"submission-{self.lab.branch}"
        trees.rewrite(self.work, submission)
        report = submission / "build/marks.json"
        report.parent.mkdir(exist_ok=True)
        report.unlink(missing_ok=True)
        command = [
            sys.executable, self.root / "grading/grade", "--lab", self.lab.name,
            "--submission", submission, "--scratch", self.out / "submissions",
            "--json", report,
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, env=tools.environment(), check=False
        )
        if not report.is_file():
            raise Wrong(f"grading failed:\n{done.stdout}{done.stderr}")
        trees.expect_full_marks(json.loads(report.read_text()))


def other_solution(reference: Reference, lab: Lab) -> Files:
    """The files of a right solution: an alternative to ours if there is one, as far as it goes.

    Of those it is the last in order, which for lab 1 keeps the free lists that later labs check.
    """
    prefix = f"{lab.directory}/alternatives/"
    names = sorted({name.removeprefix(prefix).partition("/")[0] for name in reference.files
                    if name.startswith(prefix)})  # fmt: skip
    files = {}
    for path in lab.editable:
        place = f"{prefix}{names[-1]}/{path}" if names else path
        files[path] = File(reference.files[place if place in reference.files else path].content)
    return files


def _read(tree: Path) -> Files:
    """The files of a working tree of git."""
    names = [name for name in _git(tree, "ls-files", "-z").split("\0") if name]
    return {
        name: File((tree / name).read_bytes(), os.access(tree / name, os.X_OK)) for name in names
    }


def _git(where: Path, *words: str) -> str:
    """What git prints. It commits in the course's name, and reads nobody's settings."""
    done = subprocess.run(
        ["git", "-C", str(where), *words], capture_output=True, env=environment(), check=False
    )
    if done.returncode != 0:
        said = os.fsdecode(done.stdout + done.stderr).strip()
        raise Wrong(f"git {' '.join(words)} failed:\n{said}")
    return os.fsdecode(done.stdout)
