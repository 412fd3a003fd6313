# SPDX-License-Identifier: MIT
"""Reference objects: what is compiled of the solution of a lab, without its source.

    ref/labN.a      objects of the files that a student writes in lab N
    ref/labN.abi    what they must be linked with: the compiler's flags, then checksums of the
                    headers that they include and of the archive (see scripts/check-ref)

and the same for release kernels, ref/labN-release. "make REF=N" links them in place of the
student's own files of lab N. They are without debugging information, which would hold the names
of variables and the places of lines; the functions' names remain, for backtraces.

They do not depend on the stage (LAB=) and fit gcc and clang alike, but their bytes depend on
the compiler that made them. So do the hashes of a course repository that holds some.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import starter, tools
from .errors import StageError
from .manifest import Lab
from .reference import File, Files, Reference

# Ending of the archive's name -> flavour.
_FLAVORS = {"": "debug", "-release": "release"}


def parse(labs: Sequence[Lab], before: Lab, text: str) -> list[Lab]:
    """The labs that REFS= names, "1,2" or "all", of those that come before one."""
    earlier = [lab for lab in labs if lab.number < before.number]
    if text == "all":
        return earlier
    found = []
    for word in filter(None, text.replace(",", " ").split()):
        named = [lab for lab in earlier if word in (str(lab.number), lab.name, lab.branch)]
        if not named:
            numbers = ",".join(str(lab.number) for lab in earlier)
            raise StageError(
                f"REFS={text}: there is no lab before {before.branch}"
                if not earlier
                else f"REFS={text}: use labs before {before.branch}: {numbers}, or all"
            )
        found += named
    return sorted(set(found), key=lambda lab: lab.number)


def build(reference: Reference, labs: Sequence[Lab]) -> dict[int, Files]:
    """By number of the lab: the files in ref/ for it."""
    if not labs:
        return {}
    with tempfile.TemporaryDirectory(prefix="stage-") as name:
        tree = Path(name) / "tree"
        starter.write_solved(reference, labs[-1], tree)
        built: dict[int, Files] = {lab.number: {} for lab in labs}
        for ending, flavor in _FLAVORS.items():
            folder = _compile(tree, flavor, [path for lab in labs for path in lab.editable])
            flags = tools.ask_make(tree, f"FLAVOR={flavor}", "print-abi")
            for lab in labs:
                built[lab.number] |= _pack(tree, folder, lab, flags, f"ref/lab{lab.number}{ending}")
    return built


def _compile(tree: Path, flavor: str, sources: Sequence[str]) -> Path:
    """Compile these sources. Returns where the objects are."""
    folder = f"build/gcc-{flavor}"
    objects = [f"{folder}/{object_of(source)}" for source in sources]
    tools.ask_make(tree, "CC=gcc", f"FLAVOR={flavor}", *objects)
    return tree / folder


def object_of(source: str) -> str:
    return str(Path(source).with_suffix(".o"))


def _pack(tree: Path, folder: Path, lab: Lab, flags: str, name: str) -> Files:
    """An archive of the objects of a lab, and its .abi."""
    objects = [folder / object_of(source) for source in lab.editable]
    archive = tree / f"{name}.a"
    archive.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree) as bare:
        stripped = [Path(bare) / path.name for path in objects]
        for path, copy in zip(objects, stripped, strict=True):
            shutil.copyfile(path, copy)
            _run("objcopy", "--strip-debug", str(copy))
        _run("ar", "rcD", str(archive), *map(str, stripped))
    headers = sorted({header for path in objects for header in _headers(path.with_suffix(".d"))})
    sums = [f"{_digest(tree / path)}  {path}\n" for path in [*headers, f"{name}.a"]]
    return {
        f"{name}.a": File(archive.read_bytes()),
        f"{name}.abi": File((flags.strip() + "\n" + "".join(sums)).encode()),
    }


def _headers(rule: Path) -> list[str]:
    """The tree's headers that an object depends on, by the rule that the compiler wrote."""
    words = rule.read_text().replace("\\\n", " ").split()
    return [word for word in words if word.endswith(".h") and not word.startswith("/")]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        what = f"cannot run {command[0]} ({error.strerror})"
        raise StageError(f"{what}: run scripts/setup") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise StageError(f"{command[0]} failed: {reason}")
