# SPDX-License-Identifier: MIT
"""ikos-pagewalk: the processor's way through page tables to an address, entry by entry."""

import gdb
from kernel import PAGE_SIZE, Memory, evaluate
from spaces import Space, Tables, UserPages, find_space, split_arguments
from walk import USER, WRITE, Walk, size_name, span

_USAGE = "ikos-pagewalk PID ADDRESS"
_ADDRESS_MASK = (1 << 64) - 1


def is_canonical(address: int, levels: int) -> bool:
    """Does the processor take it for an address at all?"""
    top = address >> (11 + 9 * levels)
    return top in (0, (1 << (53 - 9 * levels)) - 1)


def show_steps(walk: Walk) -> None:
    print("  level  index  entry at      entry               which is")
    for step in walk.steps:
        if step.leads_on:
            what = f"table {step.frame:#x}: {step.flags()}"
        elif step.maps_page or step.is_hidden:
            what = f"page {step.frame:#x}, {size_name(step.level)}: {step.flags()}"
        else:
            what = step.flags()
        print(
            f"  {step.level:5}  {step.index:5}  {step.at:#012x}  {step.entry:#018x}  {what}"
        )  # fmt: skip
    if walk.problem:
        print(f"  here the walk ends: {walk.problem}")


def rights(walk: Walk) -> str:
    """What all entries together grant to a program."""
    if not walk.allows(USER):
        return "none for programs: not every entry has the user bit"
    words = ["read"]
    words += ["write"] if walk.allows(WRITE) else []
    words += ["execute"] if walk.executes else []
    return ", ".join(words)


def show_end(walk: Walk) -> None:
    """What comes of it: a physical address, or why there is none."""
    if walk.physical is not None:
        print(f"  physical    {walk.physical:#x}")
        print(f"  rights      {rights(walk)}")
    elif walk.page is not None:
        print("  physical    none: the page is there, but hidden; every access faults")
    elif walk.steps and not walk.problem:
        level = walk.steps[-1].level
        first, size = walk.empty_from, span(level)
        print(f"  physical    none: nothing is mapped in [{first:#x}, {first + size:#x}),")
        print(f"              which is what this entry of level {level} spans; an access faults")


class IkosPagewalk(gdb.Command):
    """Walk the page tables of a process to an address, as the processor does.

    ikos-pagewalk PID ADDRESS

    In place of PID, an address space or a pointer to one will do, such as "space" in a function
    of mm/, or 0 for the kernel's own tables. For each level: the index that the address
    has there, where the entry lies, the entry, and its flags in words. Then the physical address,
    what all entries together allow, what the frame's struct page says, and the region. Where an
    entry is missing the walk ends, and it is said what that leaves unmapped. How many levels there
    are, the processor says (CR4.LA57). An argument that has blanks needs quotes.
    """

    def __init__(self) -> None:
        super().__init__("ikos-pagewalk", gdb.COMMAND_USER, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        who, where = split_arguments(argument, _USAGE, 2, 2)
        memory = Memory()
        address = int(evaluate(f"(unsigned long)({where})")) & _ADDRESS_MASK
        space = None if who == "0" else find_space(memory, who)
        tables = space.tables if space else Tables(memory, int(evaluate("kernel_cr3")))
        name = space.name if space else "the kernel"
        print(f"{name}: root table {tables.root:#x}, {tables.levels} levels")
        if not is_canonical(address, tables.levels):
            print(f"  {address:#x} is no address: its upper bits are not all alike")
            return
        walk = tables.walk(address)
        parts = [str(step.index) for step in walk.steps]
        parts += ["..."] if len(parts) < tables.levels else []
        print(f"  {address:#x} is {' : '.join(parts)} + {address % PAGE_SIZE:#x}")
        show_steps(walk)
        show_end(walk)
        if space:
            self._show_page(memory, walk)
            self._show_region(space, address, walk)

    @staticmethod
    def _show_page(memory: Memory, walk: Walk) -> None:
        if walk.page is None:
            return
        pfn = (walk.page.frame | walk.address & span(walk.page.level) - 1) // PAGE_SIZE
        page = UserPages(memory).at(pfn)
        print(f"  page        {page or f'frame {pfn:#x} has no struct page: it is no memory'}")

    @staticmethod
    def _show_region(space: Space, address: int, walk: Walk) -> None:
        region = space.region_at(address)
        if region:
            print(f"  region      {region} {space.describe(region) or 'anonymous'}")
        elif walk.page is None:
            print("  region      none")
        else:
            print("  region      none, which cannot be: what is mapped must have been promised")
        for error in space.errors:
            print(f"  {error}")


IkosPagewalk()
