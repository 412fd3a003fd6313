# SPDX-License-Identifier: MIT
"""What a starter is made of.

A starter is the reference without what students must not have, without the labs that come
later, and with something else in place of the functions that are to be written. Two kinds:

    for one lab    make stage    the labs before it are solved
    for a course   make course   the labs before it are blanked too: students have their own

Some files of it are not in the reference: README.md for students, two for each lab in starter/
(what to do, and for make, which files may be changed), and objects in ref/ (see refs.py).

All files of a starter are in those of later labs too, and, in a course, with the same bytes: a
later lab only adds. So a student's work never conflicts with the next branch.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from . import functions, output
from .errors import StageError
from .manifest import Exercise, Lab
from .reference import File, Files, Reference

GENERATED = ("README.md", "starter/*", "ref/*")

# What instructors only have. A "*" stands for any text, slashes too.
_KEPT_BACK = (
    ".ci/*",
    "handouts/instructor*",
    "labs/*/alternatives/*",
    "labs/*/cheats/*",
    "labs/*/mutants/*",
    "labs/*/stubs/*",
    "make/mut*",  # trying wrong solutions on the tests
    "make/stage.mk",
    "scripts/mut*",
    "scripts/stage",
    "scripts/staging/*",
    "tests/tools/test_mut*",
    "tests/tools/test_grade_kernel.py",  # these three need the reference
    "tests/tools/test_ktest.py",
    "tests/tools/test_stage.py",
)

# The last part of the name of an included file.
_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"](?:[^>"]*/)?([^/>"]+)[>"]', re.MULTILINE)

_STARTER_MK = """\
# SPDX-License-Identifier: MIT
# The files that you may change for lab {number}.
EDITABLE_LAB{number} := {editable}
"""

_EARLIER = """
This lab builds on your work in the earlier ones. If some of that does not work, and your course
has published `ref/lab1.a`, take the reference's objects in place of your files of lab 1:
`make grade LAB={name} REF=1`, or `REF=1,2` for more. `REF=` works with `make run`, `make debug`
and the others that boot a kernel, too.
"""


def make(
    reference: Reference, lab: Lab, blanked: Sequence[Lab], refs: Mapping[int, Files] | None = None
) -> Files:
    """The starter of a lab, with the exercises of some labs blanked.

    refs: reference objects by lab; those of earlier labs are put in.
    """
    files = {name: file for name, file in reference.files.items() if _stays(reference, lab, name)}
    for one in blanked:
        for path, bodies in _blanks(reference, one).items():
            if path not in files:
                raise StageError(f"{one.directory}/lab.toml: there is no file {path}")
            text = functions.decode(files[path].content)
            try:
                text = functions.replace_bodies(text, bodies, path)
            except StageError as error:
                raise StageError(f"{one.directory}/lab.toml: {error}") from error
            files[path] = File(functions.encode(text), files[path].executable)
    here = [one for one in reference.labs if one.number <= lab.number]
    for one in here:
        text = _STARTER_MK.format(number=one.number, editable=" ".join(one.editable))
        files[f"starter/lab{one.number}.mk"] = File(text.encode())
        files[f"starter/{one.branch}.md"] = File(_page(one).encode())
    for number, objects in (refs or {}).items():
        if number < lab.number:
            files |= objects
    files["README.md"] = File(_text("student_readme.md").encode())
    return dict(sorted(files.items()))


def for_lab(reference: Reference, lab: Lab, refs: Mapping[int, Files] | None = None) -> Files:
    """What make stage writes: earlier labs are solved, but those given as objects are not."""
    blanked = [one for one in reference.labs if one == lab or one.number in (refs or {})]
    return make(reference, lab, blanked, refs)


def for_course(reference: Reference, lab: Lab, refs: Mapping[int, Files] | None = None) -> Files:
    """What stands on the lab's branch of the course repository."""
    return make(
        reference, lab, [one for one in reference.labs if one.number <= lab.number], refs
    )


def solved(reference: Reference, lab: Lab) -> Files:
    """The reference as it stands in a starter's place: later labs are absent.

    It is not marked as a starter, so a warning in a solution is an error.
    """
    files = make(reference, lab, [])
    return {name: file for name, file in files.items() if not name.startswith("starter/")}


def write_solved(reference: Reference, lab: Lab, out: Path) -> None:
    output.write_files(solved(reference, lab), out)


def idle_headers(files: Files) -> list[str]:
    """Headers that no source of a starter includes, also not by way of another header."""
    headers: dict[str, list[str]] = {}  # last part of the path -> paths
    for name in files:
        if name.endswith(".h"):
            headers.setdefault(name.rpartition("/")[2], []).append(name)
    used: set[str] = set()
    new = {name for name in files if name.endswith((".c", ".S"))}
    while new:
        text = "\n".join(functions.decode(files[name].content) for name in new)
        found = {path for name in _INCLUDE.findall(text) for path in headers.get(name, [])}
        new = found - used
        used |= found
    return sorted(name for name in files if name.endswith(".h") and name not in used)


def is_generated(path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in GENERATED)


def matters(reference: Reference, path: str) -> bool:
    """Does a starter depend on this file of the reference?"""
    last = reference.labs[-1]
    inputs = {f"{lab.directory}/lab.toml" for lab in reference.labs}
    inputs |= {e.stub for lab in reference.labs for e in lab.exercises if e.stub}
    return path in inputs or (not is_generated(path) and _stays(reference, last, path))


def solutions(reference: Reference, labs: Sequence[Lab]) -> dict[tuple[str, str], str]:
    """(file, function) -> the body that a starter with these labs blanked lacks."""
    found = {}
    for lab in labs:
        for exercise in lab.exercises:
            text = functions.decode(reference.files[exercise.file].content)
            body = functions.find_bodies(text, exercise.file)[exercise.function]
            found[exercise.file, exercise.function] = text[body.start : body.end]
    return found


def _stays(reference: Reference, lab: Lab, path: str) -> bool:
    """Is a file of the reference one of this lab's starter?"""
    if any(fnmatchcase(path, pattern) for pattern in _KEPT_BACK):
        return False
    return not reference.is_later(path, lab.number)


def _blanks(reference: Reference, lab: Lab) -> dict[str, dict[str, str]]:
    """file -> function -> what stands in its place."""
    blanks: dict[str, dict[str, str]] = {}
    for exercise in lab.exercises:
        call = f'lab_todo({lab.number}, "{exercise.todo}");'
        body = _stub(reference, exercise, call) if exercise.stub else f"{{\n\t{call}\n}}"
        blanks.setdefault(exercise.file, {})[exercise.function] = body
    return blanks


def _stub(reference: Reference, exercise: Exercise, call: str) -> str:
    """The body of the function in its stub file. It must say what is missing, too."""
    if exercise.stub not in reference.files:
        raise StageError(f"{exercise.function}: there is no stub {exercise.stub}")
    text = functions.decode(reference.files[exercise.stub].content)
    bodies = functions.find_bodies(text, exercise.stub)
    if exercise.function not in bodies:
        raise StageError(f"{exercise.stub} does not hold the function {exercise.function}()")
    body = bodies[exercise.function]
    if call not in text[body.start : body.end]:
        raise StageError(f"{exercise.stub} must call {call}")
    return text[body.start : body.end]


def _page(lab: Lab) -> str:
    """What a student reads first of a lab."""
    text = _text("student_lab.md")
    for key, value in (
        ("TITLE", lab.title),
        ("NAME", lab.name),
        ("HANDOUT", lab.handout),
        ("BRANCH", lab.branch),
        ("EDITABLE", "\n".join(f"   - `{path}`" for path in lab.editable)),
        ("EARLIER", _EARLIER.format(name=lab.name) if lab.number > 1 else ""),
    ):
        text = text.replace(f"@{key}@", value)
    return text.rstrip() + "\n"


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
