# SPDX-License-Identifier: MIT
"""Testing a lab's tests and the grader itself.

A case that no wrong solution fails is worth nothing, and one that a right solution fails is
worse. So each lab has, beside its tests, solutions whose mark is known:

    mutants/       known mistakes, one patch each: every one must lose marks, and every case
                   must catch one (campaign, matrix)
    alternatives/  right solutions that are not like ours: full marks (contest)
    cheats/        submissions that are after marks without a solution: none (contest, hostile)

Mistakes are also made by rule, one operator or statement at a time (mutator, systematic): what
survives is listed as equivalent, with the reason, or asks for a new case.

    cli        the command "mutants"
    patches    known mistakes: read, apply
    shop       kernels from changed sources, and their marks
"""
