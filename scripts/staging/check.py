# SPDX-License-Identifier: MIT
"""make check-labs: prove that every lab can be given to students.

For each lab: every exercise is a function of the reference; the starter with its bodies put
back is the reference; it builds without a warning with both compilers, debug and release; it
boots to the console; every case of it reports what is to be written, and is worth nothing; the
reference gets full marks, and its objects use no other symbols than a student's may. Nothing of
a solution is in a starter, nor in any object of the course repository, which is made twice and
comes out the same.

One line for each of these; the last line is "N passed, N failed".
"""

import json
import os
import select
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import course, functions, leaks, output, starter
from .errors import StageError
from .manifest import Lab
from .reference import Files, Reference, read

COMPILERS = ("gcc", "clang")
FLAVORS = ("debug", "release")
PROMPT = b"ikos> "
BOOT_LIMIT_S = 60
TOOL_LIMIT_S = 900

# What a make above handed down would change what is built here.
_NOT_INHERITED = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LAB", "CASE", "SEED"}
_NOT_INHERITED |= {"CMDLINE", "CPUS", "MEMORY", "O", "OUT"}


class Wrong(Exception):
    """A check has failed: what was found."""


def run(root: Path, out: Path) -> int:
    """Check all labs of the reference in root, building below out."""
    reference = read(root, untracked=True)
    checks: list[tuple[str, Callable[[], None]]] = []
    for lab in reference.labs:
        checker = LabChecker(root, out, reference, lab)
        checks += [(f"{lab.branch}: {name}", check) for name, check in checker.checks()]
    checks.append(("course: no solution, same hashes", lambda: _check_course(reference, out)))
    failed = 0
    for name, check in checks:
        start = time.monotonic()
        wrong = _outcome(check)
        word = "FAIL" if wrong else "pass"
        print(f"{word}  {name:<44} {time.monotonic() - start:6.1f} s", flush=True)
        for line in wrong:
            print(f"      {line}", flush=True)
        failed += bool(wrong)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _outcome(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except (Wrong, StageError) as error:
        return str(error).splitlines()
    except Exception:  # so that the other checks still run
        return traceback.format_exc().splitlines()
    return []


class LabChecker:
    """The checks of one lab. Each after the first two needs what those wrote."""

    def __init__(self, root: Path, out: Path, reference: Reference, lab: Lab) -> None:
        self.root = root
        self.reference = reference
        self.lab = lab
        self.tree = out / lab.branch
        self.solved = out / f"reference-{lab.branch}"

    def checks(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("the starter can be made", self.stage),
            ("with bodies put back it is the reference", self.put_back),
            ("it holds no solution", self.no_solution),
            ("it builds without warnings", self.builds),
            ("it boots to the console", self.boots),
            ("all cases are to be written, score 0", self.scores_nothing),
            ("the reference keeps to the symbols", self.symbols),
            ("the reference gets full marks", self.scores_full),
        ]

    def stage(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        _rewrite(files, self.tree)
        if self.lab.handout not in files:
            raise Wrong(f"the handout {self.lab.handout} is not in it")

    def put_back(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        bodies: dict[str, dict[str, str]] = {}
        for (path, function), body in starter.solutions(self.reference, [self.lab]).items():
            bodies.setdefault(path, {})[function] = body
        for path, file in files.items():
            if path in starter.GENERATED:
                continue
            text = functions.decode(file.content)
            if path in bodies:
                text = functions.replace_bodies(text, bodies[path], path)
            if functions.encode(text) != self.reference.files[path].content:
                raise Wrong(f"{path} differs from the reference")

    def no_solution(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        leaks.check_files(starter.solutions(self.reference, [self.lab]), files)

    def builds(self) -> None:
        for compiler in COMPILERS:
            for flavor in FLAVORS:
                for path in self.lab.editable:  # a warning is only seen when it is compiled
                    stem = self.tree / f"build/{compiler}-{flavor}" / path
                    stem.with_suffix(".o").unlink(missing_ok=True)
                printed = _make(self.tree, f"CC={compiler}", f"FLAVOR={flavor}", "kernel")
                warnings = [line for line in printed.splitlines() if "warning:" in line]
                if warnings:
                    raise Wrong(f"{compiler}, {flavor}: {warnings[0]}")

    def boots(self) -> None:
        """Boot the starter to its prompt, and switch it off there."""
        kernel = self.tree / "build/gcc-debug/kernel.elf"
        process = subprocess.Popen(
            [self.tree / "scripts/run", "direct", kernel],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            printed = _read_until(process, PROMPT)
            if not printed.endswith(PROMPT):
                last = printed.decode(errors="replace").splitlines()[-1:]
                raise Wrong(f"no prompt; the last line is: {''.join(last)}")
            process.communicate(b"poweroff\r", timeout=BOOT_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise Wrong("the console does not answer to poweroff") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 15)
                process.wait()
        if process.returncode != 0:
            raise Wrong(f"it ended with status {process.returncode}")

    def scores_nothing(self) -> None:
        marks, printed = self._grade(self.tree)
        for test in marks["tests"]:
            if test["status"] != "todo":
                first = test["output"].partition("\n")[0]
                raise Wrong(f"{test['name']}: {test['status']}, not todo: {first}")
        if marks["score"] != 0:
            raise Wrong(f"the score is {marks['score']}, not 0")
        first = self.lab.exercises[0]
        if f"\nnext: write {first.function}() in {first.file}: {first.todo}\n" not in printed:
            raise Wrong(f"the report does not say to write {first.function}() next")

    def scores_full(self) -> None:
        marks, _ = self._grade(self.solved)
        for test in marks["tests"]:
            if test["status"] != "pass":
                raise Wrong(f"{test['name']}: {test['status']}: {test['output']}")

    def symbols(self) -> None:
        _rewrite(self._solved_files(), self.solved)
        for compiler in COMPILERS:
            for flavor in FLAVORS:
                _make(self.solved, f"CC={compiler}", f"FLAVOR={flavor}", "kernel")
                folder = self.solved / f"build/{compiler}-{flavor}"
                objects = [folder / path.replace(".c", ".o") for path in self.lab.editable]
                used = _symbols("--undefined-only", objects) - _symbols("--defined-only", objects)
                unknown = sorted(used - set(self.lab.symbols))
                if unknown:
                    raise Wrong(
                        f"{compiler}, {flavor}: {unknown[0]} is not among the symbols in"
                        f" {self.lab.directory}/lab.toml"
                    )

    def _solved_files(self) -> Files:
        """The reference as it stands in a starter's place: later labs are absent."""
        files = starter.make(self.reference, self.lab, [])
        del files["starter.mk"]  # a warning in a solution is an error
        return files

    def _grade(self, tree: Path) -> tuple[dict[str, Any], str]:
        """The marks as JSON, and the report."""
        report = tree / "build/marks.json"
        report.unlink(missing_ok=True)
        printed = _make(tree, f"LAB={self.lab.name}", f"JSON={report}", "grade", may_fail=True)
        if not report.is_file():
            raise Wrong(f"grading failed:\n{printed}")
        return json.loads(report.read_text()), printed


def _check_course(reference: Reference, out: Path) -> None:
    made = []
    for name in ("course", "course-again"):
        shutil.rmtree(out / name, ignore_errors=True)
        made.append(course.make(reference, out / name))
    if made[0] != made[1]:
        raise Wrong("two runs on the same reference gave different hashes")
    if any(branch.new for branch in course.make(reference, out / "course")):
        raise Wrong("a run on a course repository that is up to date added a commit")
    last = starter.for_course(reference, reference.labs[-1])
    lines = leaks.telling_lines(starter.solutions(reference, reference.labs), last)
    if not lines:
        raise Wrong("no line of the solution is unlike the code that is given")
    found = leaks.search(lines, leaks.objects_of(out / "course"))
    if found:
        raise Wrong("\n".join(map(str, found[:10])))


def _rewrite(files: Files, tree: Path) -> None:
    """Write a tree of our own again, and keep what was built in it."""
    for name in sorted(_names(tree) - set(files)):
        output.remove(tree, name)
    output.write_files(files, tree)


def _names(tree: Path) -> set[str]:
    return {
        path.relative_to(tree).as_posix()
        for path in tree.rglob("*")
        if path.is_file() and path.relative_to(tree).parts[0] != "build"
    }


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}


def _make(tree: Path, *words: str, may_fail: bool = False) -> str:
    """What make prints in a tree."""
    try:
        done = subprocess.run(
            ["make", "-C", str(tree), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            timeout=TOOL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Wrong(f"make {' '.join(words)} in {tree} did not end") from error
    printed = done.stdout.decode(errors="replace")
    if done.returncode != 0 and not may_fail:
        raise Wrong(f"make {' '.join(words)} in {tree} failed:\n{printed}")
    return printed


def _read_until(process: subprocess.Popen[bytes], end: bytes) -> bytes:
    """What a process prints until it prints end, ends itself, or takes too long."""
    assert process.stdout
    deadline = time.monotonic() + BOOT_LIMIT_S
    printed = b""
    while not printed.endswith(end):
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not piece:
            break
        printed += piece
    return printed


def _symbols(which: str, objects: list[Path]) -> set[str]:
    command = ["nm", which, "--extern-only", "--format=just-symbols", *map(str, objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"nm failed: {done.stderr.strip()}")
    return {line for line in done.stdout.splitlines() if line and not line.endswith(":")}
