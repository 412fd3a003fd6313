# SPDX-License-Identifier: MIT
"""What a starter is made of.

A starter is the reference without what students must not have, without the labs that come
later, and with something else in place of the functions that are to be written. Two kinds:

    for one lab    make stage    the labs before it are solved
    for a course   make course   the labs before it are blanked too: students have their own

Two files of it are not in the reference: README.md for students, and starter.mk.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from . import functions
from .errors import StageError
from .manifest import Exercise, Lab
from .reference import File, Files, Reference

GENERATED = ("README.md", "starter.mk")

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

_STARTER_MK = """\
# SPDX-License-Identifier: MIT
# The files that you may change. In these, a warning is shown but does not stop the build, and
# a function, a table or a parameter may wait until you use it.
EDITABLE := {editable}
STARTER_WARNINGS := -Wno-error -Werror=implicit-function-declaration \\
\t-Wno-unused-function -Wno-unused-parameter -Wno-unused-const-variable

$(EDITABLE:%.c=$(B)/%.o): private KCOMMON += $(STARTER_WARNINGS)
"""


def make(reference: Reference, lab: Lab, blanked: Sequence[Lab]) -> Files:
    """The starter of a lab, with the exercises of some labs blanked."""
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
    editable = sorted({path for one in here for path in one.editable})
    for path in editable:
        if path not in files:
            raise StageError(f"{lab.directory}/lab.toml: there is no file {path}")
    files["starter.mk"] = File(_STARTER_MK.format(editable=" ".join(editable)).encode())
    files["README.md"] = File(_readme(lab).encode())
    return dict(sorted(files.items()))


def for_lab(reference: Reference, lab: Lab) -> Files:
    """What make stage writes."""
    return make(reference, lab, [lab])


def for_course(reference: Reference, lab: Lab) -> Files:
    """What stands on the lab's branch of the course repository."""
    return make(reference, lab, [one for one in reference.labs if one.number <= lab.number])


def matters(reference: Reference, path: str) -> bool:
    """Does a starter depend on this file of the reference?"""
    last = reference.labs[-1]
    inputs = {f"{lab.directory}/lab.toml" for lab in reference.labs}
    inputs |= {e.stub for lab in reference.labs for e in lab.exercises if e.stub}
    return path in inputs or (path not in GENERATED and _stays(reference, last, path))


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
    for later in reference.labs[lab.number :]:
        own = (f"{later.directory}/*", f"handouts/{later.branch}*", *later.files)
        if any(fnmatchcase(path, pattern) for pattern in own):
            return False
    return True


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


def _readme(lab: Lab) -> str:
    text = Path(__file__).with_name("student_readme.md").read_text(encoding="utf-8")
    for key, value in (
        ("TITLE", lab.title),
        ("NAME", lab.name),
        ("HANDOUT", lab.handout),
        ("BRANCH", lab.branch),
        ("EDITABLE", "\n".join(f"   - `{path}`" for path in lab.editable)),
    ):
        text = text.replace(f"@{key}@", value)
    return text
