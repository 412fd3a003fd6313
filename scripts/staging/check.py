# SPDX-License-Identifier: MIT
"""make check-labs: prove that every lab can be given to students.

For each lab: every exercise is a function of the reference; the starter with its bodies put
back is the reference; it builds without a warning with both compilers, debug and release; it
boots to the console; every case of it reports what is to be written, and is worth nothing; the
reference gets full marks, and its objects use no other symbols than a student's may. Nothing of
a solution is in a starter, nor in any object of the course repository, which is made twice and
comes out the same. What concerns students who go on to the next lab is in students.py.

Trees are kept, and a new one begins as a copy of one that was built, so that only what differs
is compiled. All kernels are linked with gcc, debug, and with clang, release; with the two other
settings only what students write is compiled: the rest is the reference's, which has been.

One line for each check; the last line is "N passed, N failed".
"""

import os
import select
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from . import course, functions, leaks, refs, starter, students, trees
from .errors import StageError
from .manifest import Lab
from .reference import Reference, read
from .tools import environment
from .trees import Wrong, build

# Compiler, flavour, and whether a kernel is linked.
_SETTINGS = (
    ("gcc", "debug", True),
    ("gcc", "release", False),
    ("clang", "debug", False),
    ("clang", "release", True),
)
# What the compiler itself uses, and the grader lets pass in any submission: grading/audit.py.
_OF_COMPILER = {"__stack_chk_fail", "__stack_chk_guard"}
PROMPT = b"ikos> "
BOOT_LIMIT_S = 60


def run(root: Path, out: Path) -> int:
    """Check all labs of the reference in root, building below out."""
    reference = read(root, untracked=True)
    checks: list[tuple[str, Callable[[], None]]] = []
    for lab in reference.labs:
        checker = LabChecker(out, reference, lab)
        checks += [(f"{lab.branch}: {name}", check) for name, check in checker.checks()]
    checks.append(("course: no solution, same hashes", lambda: _check_course(reference, out)))
    checks += students.checks(root, out, reference)
    failed = 0
    for name, check in checks:
        start = time.monotonic()
        wrong = _outcome(check)
        word = "FAIL" if wrong else "pass"
        print(f"{word}  {name:<56} {time.monotonic() - start:6.1f} s", flush=True)
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

    def __init__(self, out: Path, reference: Reference, lab: Lab) -> None:
        self.reference = reference
        self.lab = lab
        self.tree = trees.starter_of(out, lab)
        self.solved = out / f"reference-{lab.branch}"
        self.before = [trees.starter_of(out, one) for one in reference.labs[: lab.number - 1]]

    def checks(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("the starter can be made", self.stage),
            ("with bodies put back it is the reference", self.put_back),
            ("it holds no solution", self.no_solution),
            ("it holds nothing of later labs", self.no_later_lab),
            ("it builds without warnings", self.builds),
            ("it boots to the console", self.boots),
            ("all cases are to be written, score 0", self.scores_nothing),
            ("the reference keeps to the symbols", self.symbols),
            ("the reference gets full marks", self.scores_full),
        ]

    def stage(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        trees.rewrite(files, self.tree, like=self.before[-1] if self.before else None)
        if self.lab.handout not in files:
            raise Wrong(f"the handout {self.lab.handout} is not in it")

    def put_back(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        bodies: dict[str, dict[str, str]] = {}
        for (path, function), body in starter.solutions(self.reference, [self.lab]).items():
            bodies.setdefault(path, {})[function] = body
        for path, file in files.items():
            if starter.is_generated(path):
                continue
            text = functions.decode(file.content)
            if path in bodies:
                text = functions.replace_bodies(text, bodies[path], path)
            if functions.encode(text) != self.reference.files[path].content:
                raise Wrong(f"{path} differs from the reference")

    def no_solution(self) -> None:
        files = starter.for_lab(self.reference, self.lab)
        hidden = self.reference.labs[self.lab.number - 1 :]
        leaks.check_files(starter.solutions(self.reference, hidden), files)

    def no_later_lab(self) -> None:
        """What a Makefile's lists forget of a later lab is mostly a header."""
        for name in starter.idle_headers(starter.for_lab(self.reference, self.lab)):
            raise Wrong(f"nothing includes {name}: does it come with a later lab (FILES_LABn)?")

    def builds(self) -> None:
        for compiler, flavor, linked in _SETTINGS:
            for path in self._objects(self.tree, compiler, flavor):
                path.unlink(missing_ok=True)  # a warning is only seen when it is compiled
            printed = self._build(self.tree, compiler, flavor, linked)
            warnings = [line for line in printed.splitlines() if "warning:" in line]
            if warnings:
                raise Wrong(f"{compiler}, {flavor}: {warnings[0]}")

    def _objects(self, tree: Path, compiler: str, flavor: str) -> list[Path]:
        """What is compiled of the files that a student writes."""
        folder = tree / f"build/{compiler}-{flavor}"
        return [folder / refs.object_of(path) for path in self.lab.editable]

    def _build(self, tree: Path, compiler: str, flavor: str, linked: bool) -> str:
        objects = [str(path.relative_to(tree)) for path in self._objects(tree, compiler, flavor)]
        wanted = ["kernel"] if linked else objects
        return build(tree, f"CC={compiler}", f"FLAVOR={flavor}", *wanted)

    def boots(self) -> None:
        """Boot the starter to its prompt, and switch it off there."""
        kernel = self.tree / "build/gcc-debug/kernel.elf"
        process = subprocess.Popen(
            [self.tree / "scripts/run", "direct", kernel],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
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
        marks, printed = trees.grade(self.tree, self.lab)
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
        trees.expect_full_marks(trees.grade(self.solved, self.lab)[0])

    def symbols(self) -> None:
        trees.rewrite(starter.solved(self.reference, self.lab), self.solved, like=self.tree)
        for compiler, flavor, linked in _SETTINGS:
            self._build(self.solved, compiler, flavor, linked)
            objects = self._objects(self.solved, compiler, flavor)
            used = _symbols("--undefined-only", objects) - _symbols("--defined-only", objects)
            unknown = sorted(used - {*self.lab.symbols, *_OF_COMPILER})
            if unknown:
                raise Wrong(
                    f"{compiler}, {flavor}: {unknown[0]} is not among the symbols in"
                    f" {self.lab.directory}/lab.toml"
                )


def _check_course(reference: Reference, out: Path) -> None:
    made = []
    for name in (students.COURSE, "course-again"):
        shutil.rmtree(out / name, ignore_errors=True)
        objects = refs.build(reference, reference.labs[:-1])
        made.append(course.make(reference, out / name, objects))
    if made[0] != made[1]:
        raise Wrong("two runs on the same reference gave different hashes")
    if any(branch.new for branch in course.make(reference, out / students.COURSE, objects)):
        raise Wrong("a run on a course repository that is up to date added a commit")
    last = starter.for_course(reference, reference.labs[-1])
    lines = leaks.telling_lines(starter.solutions(reference, reference.labs), last)
    if not lines:
        raise Wrong("no line of the solution is unlike the code that is given")
    found = leaks.search(lines, leaks.objects_of(out / students.COURSE))
    if found:
        raise Wrong("\n".join(map(str, found[:10])))


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
