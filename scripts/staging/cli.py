# SPDX-License-Identifier: MIT
"""The command "stage"."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from . import check, course, leaks, manifest, output, reference, starter
from . import refs as refs_of
from .errors import StageError
from .reference import Reference


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return args.run(args)
    except StageError as error:
        print(f"stage: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stage: interrupted", file=sys.stderr)
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stage", description="Starter trees from the reference.")
    tree = Path(__file__).resolve().parent.parent.parent
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, run, text in (
        ("lab", _stage, "write the starter of one lab to a directory"),
        ("course", _course, "make or update the git repository for students"),
        ("check", _check, "prove that every lab can be staged, and gives nothing away"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        add = command.add_argument
        add("--tree", type=Path, default=tree, metavar="DIR", help="the reference (default: here)")
        add("--out", default="", metavar="DIR", help="where to write")
        if name == "lab":
            add("--lab", default="", metavar="LAB", help="a lab's name or number")
        if name != "check":
            add("--refs", default="", metavar="LABS", help="earlier labs, as objects: 1,2 or all")
            add("--dirty", action="store_true", help="take what is not committed too")
    return parser


def _stage(args: argparse.Namespace) -> int:
    if not args.lab or not args.out:
        raise StageError("say which lab and where: make stage LAB=buddy OUT=directory")
    source = _reference(args)
    lab = manifest.select(source.labs, args.lab)
    refs = refs_of.build(source, refs_of.parse(source.labs, lab, args.refs))
    files = starter.for_lab(source, lab, refs)
    hidden = [one for one in source.labs if one.number >= lab.number or one.number in refs]
    leaks.check_files(starter.solutions(source, hidden), files)
    output.write(files, Path(args.out))
    print(f"{args.out}: starter of {lab.title}: {len(files)} files")
    return 0


def _course(args: argparse.Namespace) -> int:
    if not args.out:
        raise StageError("say where: make course OUT=directory")
    source = _reference(args)
    out = Path(args.out)
    wanted = set(refs_of.parse(source.labs, source.labs[-1], args.refs))
    wanted |= set(course.published_refs(out, source.labs))
    refs = refs_of.build(source, sorted(wanted, key=lambda lab: lab.number))
    for lab in source.labs:  # what has been published cannot be called back
        files = starter.for_course(source, lab, refs)
        leaks.check_files(starter.solutions(source, source.labs), files)
    for branch in course.make(source, out, refs):
        print(f"{branch.name} {branch.commit} {'new' if branch.new else 'as it was'}")
    return 0


def _check(args: argparse.Namespace) -> int:
    if not args.out:
        raise StageError("say where to build: make check-labs does")
    return check.run(args.tree.resolve(), Path(args.out).resolve())


def _reference(args: argparse.Namespace) -> Reference:
    source = reference.read(args.tree, untracked=args.dirty)
    changed = sorted(name for name in source.changed if starter.matters(source, name))
    if changed and not args.dirty:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise StageError(
            f"{changed[0]}{more} differs from the last commit: commit it, or say DIRTY=1"
        )
    return source
