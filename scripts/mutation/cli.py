# SPDX-License-Identifier: MIT
"""The command "mutants"."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from grading.cli import MAX_SEED, fresh_seed, interrupt, positive, seed_number
from grading.errors import GradingError

from . import contest, known, soak, systematic
from .shop import Shop


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return _run(args)
    except GradingError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mutants: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    tree = Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(
        prog="mutants", description="Test a lab's tests with solutions whose mark is known."
    )
    add = parser.add_argument
    add("what", choices=("known", "systematic", "alternatives", "cheats", "soak"))
    add("--lab", default="", help="a lab's name or number (default: the last one there is)")
    add("--tree", type=Path, default=tree, metavar="DIR", help="the reference (default: here)")
    add("--scratch", type=Path, metavar="DIR", help="default: build/mutants in the tree")
    add("--only", default="", metavar="NAME[,...]", help="those whose names begin so")
    add("--seed", type=seed_number, metavar="N", help="the first (default: 1; soak: a fresh one)")
    add("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N")
    add("--quick", action="store_true", help="known: one case each, as recorded")
    add("--record", action="store_true", help="known: record which cases catch what")
    add("--sample", type=positive, metavar="N", help="systematic: only N of them")
    add("--seeds", type=positive, default=20, metavar="N", help="soak: so many (default: 20)")
    return parser


def _run(args: argparse.Namespace) -> int:
    scratch = args.scratch or args.tree / "build/mutants"
    only = [word for word in args.only.split(",") if word]
    if args.record and (only or args.quick):
        raise GradingError("to record what catches what, run all of them against all cases")
    if args.what == "soak":
        first = fresh_seed() if args.seed is None else args.seed
        shop = Shop(args.tree, args.lab, scratch, first)
        seeds = [(first + n) % (MAX_SEED + 1) for n in range(args.seeds)]
        return soak.run(shop, only, args.jobs, seeds)
    shop = Shop(args.tree, args.lab, scratch, 1 if args.seed is None else args.seed)
    if args.what == "cheats":
        return contest.cheats(shop, scratch, only, args.jobs)
    if args.what == "alternatives":
        return contest.alternatives(shop, only, args.jobs)
    if args.what == "systematic":
        return systematic.run(shop, only, args.jobs, args.sample)
    return known.run(shop, only, args.jobs, quick=args.quick, record=args.record)
