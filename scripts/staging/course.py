# SPDX-License-Identifier: MIT
"""The git repository that students clone: one branch a lab, each on top of the one before.

Commits depend on the reference's files only: author, date and text are fixed, and nobody's
settings of git are read. So the same reference gives the same hashes anywhere. When the
reference has changed, a second run adds commits to the branches that are there:

    lab1-buddy   A ------- A'          A' what was corrected in lab 1
                  \\         \\
    lab2-zones     B ------- B'        B' that, and what was corrected in lab 2

A student who has merged A or B merges A' or B' as any other commit.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import output, starter
from .errors import StageError
from .manifest import Lab
from .reference import Files, Reference

_NAME, _EMAIL = "IKOS course", "course@ikos.invalid"
_DATE = "2026-01-01T00:00:00Z"
_ADVICE = "move it away or name another directory with OUT="


@dataclass(frozen=True)
class Branch:
    name: str
    commit: str
    new: bool  # has this run added a commit?


class Repository:
    """Git's own commands on one repository, whatever the settings of its user."""

    def __init__(self, top: Path) -> None:
        self.top = top.resolve()

    def git(self, *words: str, given: bytes = b"", cwd: Path | None = None, **more: str) -> str:
        """What a git command prints, without the last line end."""
        try:
            done = subprocess.run(
                ["git", f"--git-dir={self.top / '.git'}", f"--work-tree={self.top}", *words],
                cwd=cwd or self.top,
                input=given,
                capture_output=True,
                env=environment() | more,
                check=False,
            )
        except OSError as error:
            raise StageError(f"cannot run git ({error.strerror}): run scripts/setup") from error
        if done.returncode != 0:
            reason = os.fsdecode(done.stderr).strip().partition("\n")[0]
            raise StageError(f"git {words[0]} in {self.top} failed: {reason}")
        return os.fsdecode(done.stdout).rstrip("\n")

    def tip(self, branch: str) -> str | None:
        ref = f"refs/heads/{branch}"
        return self.git("for-each-ref", "--format=%(objectname)", ref) or None

    def has(self, ancestor: str, commit: str) -> bool:
        """Is ancestor in the history of commit?"""
        return self.git("rev-list", "--max-count=1", ancestor, f"^{commit}") == ""

    def write_tree(self, files: Files) -> str:
        """Store these files, byte for byte. Returns the hash of their tree."""
        with tempfile.TemporaryDirectory(prefix="stage-") as name:
            folder = Path(name)
            output.write_files(files, folder / "tree")
            paths = "".join(f"{path}\n" for path in files).encode()
            blobs = self.git(
                *("hash-object", "-w", "--no-filters", "--stdin-paths"),
                given=paths,
                cwd=folder / "tree",
            ).split()
            entries = "".join(
                f"{'100755' if file.executable else '100644'} {blob}\t{path}\0"
                for blob, (path, file) in zip(blobs, files.items(), strict=True)
            )
            index = {"GIT_INDEX_FILE": str(folder / "index")}
            self.git("update-index", "-z", "--index-info", given=entries.encode(), **index)
            return self.git("write-tree", **index)


def environment() -> dict[str, str]:
    """For git: nothing that is only true of this user, machine or day."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": _NAME,
        "GIT_AUTHOR_EMAIL": _EMAIL,
        "GIT_AUTHOR_DATE": _DATE,
        "GIT_COMMITTER_NAME": _NAME,
        "GIT_COMMITTER_EMAIL": _EMAIL,
        "GIT_COMMITTER_DATE": _DATE,
        "LC_ALL": "C",
    }


def make(
    reference: Reference, out: Path, refs: Mapping[int, Files] | None = None
) -> list[Branch]:
    """Make the repository, or bring the one that is there up to date.

    refs: reference objects by lab; each is on the branches of later labs.
    """
    starters = [(lab, starter.for_course(reference, lab, refs)) for lab in reference.labs]
    repository = _open(out, reference.labs[0].branch)
    _check_branches(repository, reference)
    branches: list[Branch] = []
    for lab, files in starters:
        branches.append(_advance(repository, lab, files, branches[-1] if branches else None))
    repository.git("symbolic-ref", "HEAD", f"refs/heads/{branches[0].name}")
    repository.git("reset", "--quiet", "--hard")
    return branches


def published_refs(out: Path, labs: Sequence[Lab]) -> list[Lab]:
    """The labs whose objects a repository holds already, if it is one: they stay in it."""
    if not (out / ".git").is_dir():
        return []
    repository = Repository(out)
    tips = [tip for lab in labs if (tip := repository.tip(lab.branch))]
    names = [repository.git("ls-tree", "--name-only", tip, "ref/") for tip in tips]
    numbers = {int(number) for number in re.findall(r"^ref/lab(\d+)\.a$", "\n".join(names), re.M)}
    return [lab for lab in labs if lab.number in numbers]


def _open(out: Path, first: str) -> Repository:
    """The repository in out, which nothing in it would be lost from."""
    repository = Repository(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(f"cannot make {out}: {error.strerror}") from error
        repository.git("init", "--quiet", "--template=", f"--initial-branch={first}")
        return repository
    if not (out / ".git").is_dir() or not repository.tip(first):
        raise StageError(f"{out} is there already, and no course repository: {_ADVICE}")
    changes = repository.git("status", "--porcelain", "-z").split("\0")[0][3:]
    if changes:
        raise StageError(f"{out} holds changes, such as {changes}: {_ADVICE}")
    return repository


def _check_branches(repository: Repository, reference: Reference) -> None:
    """Nobody but this tool may have committed to the branches: it would undo their work."""
    for lab in reference.labs:
        if not repository.tip(lab.branch):
            continue
        for email in repository.git("log", "--format=%ce", lab.branch).split():
            if email != _EMAIL:
                raise StageError(
                    f"{repository.top}: the branch {lab.branch} holds a commit by {email},"
                    f" which would be undone: {_ADVICE}"
                )


def _advance(repository: Repository, lab: Lab, files: Files, before: Branch | None) -> Branch:
    """Let the branch of a lab hold these files, on top of the lab before."""
    tree = repository.write_tree(files)
    old = repository.tip(lab.branch)
    parents = [old] if old else []
    if before and (not old or not repository.has(before.commit, old)):
        parents.append(before.commit)
    if old and parents == [old] and repository.git("rev-parse", f"{old}^{{tree}}") == tree:
        return Branch(lab.branch, old, new=False)
    message = f"{lab.title}: {'corrected' if old else 'starter'}"
    words = [word for parent in parents for word in ("-p", parent)]
    commit = repository.git("commit-tree", *words, "-m", message, tree)
    repository.git("update-ref", f"refs/heads/{lab.branch}", commit, *parents[:1] if old else [])
    return Branch(lab.branch, commit, new=True)
