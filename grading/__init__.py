# SPDX-License-Identifier: MIT
"""The grader: boot a kernel once for each case, read what it did, score and report it.

    cli       the command "grade"
    ktest     the command "ktest": all kernel suites, for "make test"
    lab       labs/labN-NAME/lab.toml: the cases and their points
    machine   one boot of the emulator, with limits
    scratch   disks for tests that write to disks
    ktap      the results a kernel prints
    backtrace a panic's message and addresses, as source lines
    symbols   names and addresses in the kernel's ELF file
    debuginfo structures and source lines from its DWARF
    guest     the guest's memory, physical and virtual
    evidence  the transcript a graded case leaves in that memory
    oracle    checks a transcript against a lab's model
    frames    a model of free and allocated frames
    pageview  the kernel's own frame structures, read from outside
    frame_check  do these agree with the model?
    prng      the kernel's random numbers
    verdict   one case: boot, judge, explain
    result    what a case came to
    report    text, JSON and JUnit XML

What a student hands in becomes a kernel without being trusted:

    submission from a student's files to a kernel, or to why there is none
    screen    what their source must not hold
    c_tokens  C source as tokens
    audit     what their object files must not hold
    workshop  builds kernels from a tree and some other files, quickly
    sandbox   runs the compiler
"""
