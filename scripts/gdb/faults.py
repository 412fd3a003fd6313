# SPDX-License-Identifier: MIT
"""ikos-fault: the page fault that is being handled, or that ended the kernel, explained.

What happened is read from where the processor and entry.S have left it: a struct trap_frame, CR2.
Which case it is follows from region, entry and access, by the table at the top of
mm/demand_paging.c; nothing in the kernel runs for it.
"""

import textwrap
from dataclasses import dataclass

import gdb
from kernel import (
    DIRECT_MAP_BASE,
    KERNEL_BASE,
    KSTACK_BASE,
    MEMMAP_BASE,
    PAGE_SIZE,
    Memory,
    evaluate,
    plural,
)
from pagewalk import rights, show_steps
from spaces import (
    Process,
    Region,
    Space,
    Tables,
    UserPage,
    UserPages,
    current_cpu,
    current_process,
    current_thread,
    find_space,
    has_programs,
)
from threads import places_at
from views import View
from walk import USER, WRITE, Walk, walk

_PAGE_FAULT = 14
_PRESENT, _WRITE, _USER, _RESERVED, _FETCH, _KEY = (1 << n for n in range(6))
_STACK_GUARD = 256 * PAGE_SIZE
_HUGE_SIZE = 2 << 20
_WANTS_HUGE, _NO_HUGE = 0x01000000, 0x02000000  # REGION_HUGE, REGION_NO_HUGE
_ADDRESS_MASK = (1 << 64) - 1
_MAX_FRAMES = 64
_WIDTH = 92  # of what is printed

# Functions of mm/ that are told the address, and the one whose struct holds all of it.
_TOLD = ("space_fault", "fault_in_region")
# By then the thread's own copy of CR2 has been made.
_NOTED = ("page_fault", "resolve", *_TOLD)

_READ, _WRITING, _EXECUTING = range(3)  # enum fault_access
_DOING = ("reading", "writing", "executing")
_NEEDS = (7, 2, 4)  # PROT_*: what may be written or executed may also be read


def user_end() -> int:
    """One past the highest address of programs, which is another one with five levels."""
    return int(evaluate("arch_mmu_user_end"))


@dataclass
class Fault:
    """What is known of it."""

    address: int
    access: int
    error: int | None = None  # None: no processor was there, a function was called
    frame: View | None = None  # struct trap_frame
    space: Space | None = None
    past: bool = False  # it is not being handled any more

    @property
    def from_user(self) -> bool:
        return self.frame is not None and bool(self.frame.number("cs") & 3)


def access_of(error: int) -> int:
    if error & _FETCH:
        return _EXECUTING
    return _WRITING if error & _WRITE else _READ


def error_words(error: int) -> str:
    """The processor's error code. (Intel SDM vol. 3, 4.7)"""
    words = []
    if error & _RESERVED:
        words.append("a reserved bit is set in an entry")
    elif error & _PRESENT:
        words.append("the page is present, but not for this")
    else:
        words.append("an entry on the way is not present")
    words.append(f"{_DOING[access_of(error)]}")
    words.append("in user mode" if error & _USER else "in the kernel")
    if error & _KEY:
        words.append("its protection key forbids it")
    return ", ".join(words)


# ---- Finding it ----------------------------------------------------------------------------


def _variable(frame: gdb.Frame, name: str) -> int | None:
    """A number or pointer that a function has at hand; None if it cannot be told."""
    try:
        value = frame.read_var(name)
        return None if value.is_optimized_out else int(value) & _ADDRESS_MASK
    except (ValueError, gdb.error):
        return None


def _told(frame: gdb.Frame) -> dict[str, int]:
    """What a function of mm/ was told of a fault."""
    names = ("address", "access", "space")
    found = {name: _variable(frame, name) for name in names}
    try:
        fault = frame.read_var("fault")
        if fault.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
            fault = fault.dereference()
        if fault.address is not None and not fault.is_optimized_out:
            for name, member in (("address", "page"), ("access", "access"), ("space", "space")):
                if found[name] is None:
                    found[name] = int(fault[member]) & _ADDRESS_MASK
    except (ValueError, gdb.error):
        pass
    return {name: value for name, value in found.items() if value is not None}


def _frames() -> list[gdb.Frame]:
    frames, frame = [], gdb.newest_frame()
    try:
        while frame is not None and frame.is_valid() and len(frames) < _MAX_FRAMES:
            frames.append(frame)
            frame = frame.older()
    except gdb.error:
        pass  # the stack is damaged; what was found stands
    return frames


def _trap_frame(memory: Memory, frame: gdb.Frame) -> View | None:
    """The registers that a trap saved, from the frame of trap_entry or of a panic about them."""
    if frame.name() == "trap_entry":
        sp = int(frame.read_register("rsp")) & _ADDRESS_MASK
        return View(memory, "struct trap_frame", sp + 16)
    if frame.name() in ("panic_frame", "page_fault_panic", "double_fault_panic"):
        if address := _variable(frame, "frame"):
            return View(memory, "struct trap_frame", address)
    return None


def find_fault(memory: Memory) -> Fault:
    """The innermost fault on this CPU's stack, or else the last one of the thread's program."""
    told: dict[str, int] = {}
    noted = False
    for frame in _frames():
        name = frame.name() or ""
        noted = noted or name in _NOTED
        if name in _TOLD:
            told = {**_told(frame), **told}
        trap = _trap_frame(memory, frame)
        if trap is None or trap.number("vector") != _PAGE_FAULT:
            continue
        return _from_trap(memory, trap, told, noted)
    if "address" in told and "access" in told:
        fault = Fault(told["address"], told["access"])
        if "space" in told:
            fault.space = find_space(memory, f"(struct address_space *){told['space']:#x}")
        return fault
    return _last_of_program(memory)


def _from_trap(memory: Memory, trap: View, told: dict[str, int], noted: bool) -> Fault:
    error = trap.number("error")
    address = int(evaluate("(unsigned long)$cr2")) & _ADDRESS_MASK
    fault = Fault(address, access_of(error), error, trap)
    user = _user_thread(memory)
    if noted and fault.from_user and user:
        fault.address = user.number("arch.fault_address")
    if "address" in told and told["address"] // PAGE_SIZE != fault.address // PAGE_SIZE:
        fault.address = told["address"]
    fault.space = _running_space(memory)
    return fault


def _user_thread(memory: Memory) -> View | None:
    if not has_programs():
        return None
    thread = current_thread(memory, current_cpu())
    return thread.view("struct user_thread", "user") if thread else None


def _running_space(memory: Memory) -> Space | None:
    user = _user_thread(memory)
    space = user.number("space") if user else 0
    return find_space(memory, f"(struct address_space *){space:#x}") if space else None


def _last_of_program(memory: Memory) -> Fault:
    user = _user_thread(memory)
    if user is None or user.number("arch.vector") != _PAGE_FAULT:
        raise gdb.GdbError(
            "no page fault is being handled on this CPU, and the thread on it had none last."
            " Try: break space_fault, continue"
        )
    error = user.number("arch.error")
    fault = Fault(user.number("arch.fault_address"), access_of(error), error, past=True)
    fault.space = _running_space(memory)
    return fault


# ---- What is to be done ----------------------------------------------------------------------

# By the cases at the top of mm/demand_paging.c.
_HUGE = (
    "(0) Huge page: 2 MiB by one entry of level 1, if that many frames are free side by side. Else"
    " "
)
_ZERO = (
    "(1) Zero page: anonymous memory that nobody has written to reads as zeroes. The one page of"
    " zeroes, which is not counted, is mapped without the right to write."
)
_ANONYMOUS = (
    "(2) Anonymous: a new frame, cleared, is mapped with the region's rights; one reference, one"
    " mapping."
)
_OVER_ZERO = (
    "(2) First write to memory that was only read so far: a new frame, cleared, takes the place of"
    " the page of zeroes, which other CPUs are made to forget."
)
_OBJECT = (
    "(3) Page of an object: it is looked up, read in if need be, and mapped{}. On a read, its"
    " neighbours that are in memory are mapped at the same time."
)
_OBJECT_COPY = (
    "(4) Private copy of a file: the object's page is looked up, a new frame gets its contents,"
    " and the copy is mapped with the right to write. The file keeps its own."
)
_SPURIOUS = (
    "(5) Nothing to do: the entry allows it. Either this fault has been resolved already, or"
    " another thread was faster, or the TLB had an older entry. Forget the translation, and let the"
    " program try again."
)
_SHARED = "(6) The region is shared, so all are to see the write: the entry gets the right."
_REUSE = (
    "(6) Reuse: the only reference is this entry's, so nobody would see the difference. The entry"
    " gets the right to write. Nothing is copied."
)
_COPY = (
    "(7) Copy on write: {}. A new frame gets the contents and takes the page's place, with the"
    " right to write; CPUs forget the old entry; then the old frame loses a mapping and a"
    " reference."
)
_MAPERR = (
    "FAULT_MAPERR: no region, and no stack above it that could grow as far as that. The program"
    " gets SIGSEGV with SEGV_MAPERR."
)
_ACCERR = (
    "FAULT_ACCERR: the region is {}, which does not allow {}. The program gets SIGSEGV with"
    " SEGV_ACCERR."
)


def explain(fault: Fault, region: Region | None, way: Walk, page: UserPage | None) -> str:
    """Which case it is, and why."""
    assert fault.space is not None
    if region is None:
        return _without_region(fault, fault.space)
    if not region.prot & _NEEDS[fault.access]:
        return _ACCERR.format(region.rights, _DOING[fault.access])
    if way.page is None:
        first = _HUGE if may_be_huge(fault, region, way) else ""
        return first + _missing(fault, region)
    return _there(fault, region, way, page)


def may_be_huge(fault: Fault, region: Region, way: Walk) -> bool:
    """Does the region want huge pages, and has it room for one here: see mm/huge_page.c."""
    start = fault.address & -_HUGE_SIZE
    fits = region.start <= start and start + _HUGE_SIZE <= region.end
    if region.object or not region.is_private or not fits or way.steps[-1].level == 0:
        return False
    policy = int(evaluate("(int)huge_pages"))
    if policy == 0 or region.flags & _NO_HUGE:
        return False
    return policy == 2 or bool(region.flags & _WANTS_HUGE)


def _without_region(fault: Fault, space: Space) -> str:
    below, above = space.neighbours(fault.address)
    start = fault.address & -PAGE_SIZE
    if above is None or not above.is_stack:
        return _MAPERR
    guard = _STACK_GUARD if space.view.number("guard_stack") else 0
    if start < above.lowest:
        if above.lowest - start > guard:
            return _MAPERR
        return (
            f"FAULT_OVERFLOW: below the limit of the stack, {above.lowest:#x}, in its guard gap."
            " The program has used up its stack: SIGSEGV."
        )
    if below and below.prot and not below.is_stack and start - below.end < guard:
        return (
            f"FAULT_OVERFLOW: growing to {start:#x} would leave less than the guard gap above"
            f" {below}. The program gets SIGSEGV."
        )
    return (
        f"The stack {above} grows down to {start:#x} (it may, down to {above.lowest:#x}); then the"
        " page is missing in it: case (1) or (2), as for all anonymous memory."
    )


def _missing(fault: Fault, region: Region) -> str:
    write = fault.access == _WRITING
    if not region.object:
        return _ANONYMOUS if write else _ZERO
    if write and region.is_private:
        return _OBJECT_COPY
    return _OBJECT.format(", without the right to write" if region.is_private else "")


def _there(fault: Fault, region: Region, way: Walk, page: UserPage | None) -> str:
    if way.page is not None and way.page.is_hidden:
        return (
            "The page is hidden although the region allows the access, which cannot be: mprotect()"
            " shows pages again when it gives rights."
        )
    if fault.access != _WRITING or way.allows(WRITE):
        return _SPURIOUS
    if page is None:
        return "The entry leads to a frame that is no memory, which cannot be."
    if page.use == "zero":
        return _OVER_ZERO
    if not region.is_private:
        return _SHARED
    if page.use == "anonymous" and page.references == 1:
        return _REUSE
    if page.use == "file":
        return _COPY.format("it is a page of the file itself")
    return _COPY.format(f"{plural(page.references, 'reference')}, so others see it, too")


# ---- Faults of the kernel ----------------------------------------------------------------------


def kernel_area(address: int) -> str:
    """Where an address lies: kernel/x86_64/include/arch/layout.h."""
    if address < PAGE_SIZE:
        return "a null pointer, or a member of a structure at one"
    if address < user_end():
        return "memory of programs, which the kernel touches in usercopy.S only"
    for base, name in (
        (KERNEL_BASE, "the kernel's image"), (MEMMAP_BASE, "memmap: of a frame without a page"),
        (0xFFFFD00000000000, "device registers"), (0xFFFFCA0000000000, "a window of kmap"),
        (0xFFFFC80000000000, "large objects: freed, or a guard page"),
        (KSTACK_BASE, "stacks of the kernel: an overflow, if it is a guard page"),
        (DIRECT_MAP_BASE, "the direct map: beyond all memory"),
    ):  # fmt: skip
        if address >= base:
            return name
    return "no canonical address"


def show_wrapped(name: str, text: str) -> None:
    """A fact whose text may take several lines."""
    for line in textwrap.wrap(
        text, _WIDTH, initial_indent=f"  {name:<11} ", subsequent_indent=" " * 14
    ):
        print(line)


class IkosFault(gdb.Command):
    """Explain the page fault that is being handled, or that the kernel panicked about.

    ikos-fault

    Stop in the fault handler (break space_fault), or where the kernel panics. Shown are who did
    what, the error code in words, the region, the way through the page tables, and what the handler
    is to do by the cases (1) to (7) at the top of mm/demand_paging.c, and why. Works as well
    where a test calls space_fault() itself; and in a program, about its thread's last fault.
    """

    def __init__(self) -> None:
        super().__init__("ikos-fault", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        memory = Memory()
        fault = find_fault(memory)
        self._show_head(memory, fault)
        if fault.error is not None:
            print(f"  error code  {fault.error:#x}: {error_words(fault.error)}")
        if fault.address >= user_end() or fault.space is None:
            self._show_kernel(memory, fault)
        else:
            self._show_user(memory, fault, fault.space)

    @staticmethod
    def _show_head(memory: Memory, fault: Fault) -> None:
        process: Process | None = None
        if has_programs() and (fault.error is not None):
            process = current_process(memory, current_cpu())
        who = str(process) if process else fault.space.name if fault.space else "the kernel"
        when = "the last page fault of " if fault.past else ""
        print(f"{when}{who}, CPU {current_cpu()}: {_DOING[fault.access]} {fault.address:#x}")
        if fault.frame is None:
            return
        rip = fault.frame.number("rip")
        places = list(places_at(rip))
        place = " < ".join([*map(str, places[:1]), *(place.function for place in places[1:])])
        mode = "in user mode" if fault.from_user else "in the kernel"
        print(f"  by          the instruction at {rip:#x} {mode}{f', {place}' if place else ''}")

    def _show_user(self, memory: Memory, fault: Fault, space: Space) -> None:
        region, way = space.region_at(fault.address), space.tables.walk(fault.address)
        kind = f" {space.describe(region) or 'anonymous'}" if region else ""
        print(f"  region      {region or 'none'}{kind}")
        show_steps(way)
        page = None
        if way.page is not None:
            page = UserPages(memory).at(way.page.frame // PAGE_SIZE)
            print(f"  page        {page or 'none: that frame is no memory'}")
            if way.physical is not None:
                print(f"  rights      {rights(way)}")
        self._show_contradiction(fault, way)
        show_wrapped("to do", explain(fault, region, way, page))
        for error in space.errors:
            print(f"  {error}")

    @staticmethod
    def _show_contradiction(fault: Fault, way: Walk) -> None:
        """The processor saw another entry than there is now."""
        if fault.error is None or fault.past:
            return
        present = way.physical is not None
        if bool(fault.error & _PRESENT) != present:
            print(
                f"  by now      the page is {'present' if present else 'not present'}:"
                " the entry has changed since the fault"
            )
        elif present and not way.allows(USER):
            print("  by now      an entry on the way lacks the user bit")

    @staticmethod
    def _show_kernel(memory: Memory, fault: Fault) -> None:
        print(f"  address     {kernel_area(fault.address)}")
        tables = Tables(memory, int(evaluate("kernel_cr3")))
        way = walk(tables.read, tables.root, tables.levels, fault.address)
        show_steps(way)
        show_wrapped(
            "to do",
            "a panic: the kernel's own memory is all mapped from the start, so no page fault on it"
            " can be resolved. up and bt show who had the address.",
        )


IkosFault()
