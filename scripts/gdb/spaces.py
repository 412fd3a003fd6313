# SPDX-License-Identifier: MIT
"""Processes, their address spaces and regions, as the commands see them: mm/space_internal.h."""

from collections.abc import Iterator
from dataclasses import dataclass

import gdb
from kernel import (
    DIRECT_MAP_BASE,
    PAGE_SIZE,
    Frames,
    Memory,
    address_of,
    enumerators,
    evaluate,
    find_variable,
    plural,
    type_name,
    variable,
)
from views import Tree, View, container, string_at
from walk import Step, Walk, span, walk

_LA57 = 1 << 12  # of CR4
_MAP_SHARED, _MAP_GROWSDOWN, _MAP_LOCKED = 0x01, 0x0100, 0x2000
_PATH_DEPTH = 40
_DIRECT_MAP_SIZE = 1 << 46
_ROOT_USER_ENTRIES = 256  # the lower half of the root is the program's

NO_SPACES = "this kernel has no address spaces: they come with lab 4"


def has_programs() -> bool:
    """Is this a kernel that runs programs?"""
    return find_variable("kernel/proc/user/process.c", "processes") is not None


# ---- Names of files ------------------------------------------------------------------------


def dentry_path(dentry: View | None) -> str:
    names: list[str] = []
    while dentry is not None and len(names) < _PATH_DEPTH:
        parent = dentry.view("struct dentry", "parent")
        if parent is None:
            break
        names.append(string_at(dentry.memory, dentry.number("name"), dentry.number("size")))
        dentry = parent
    return "/" + "/".join(reversed(names))


def _ops_of_files() -> set[int]:
    """Where the tables of operations of those objects are that files have."""
    known = (find_variable("kernel/fs/file_pages.c", name) for name in ("memory_ops", "stored_ops"))
    return {address_of(ops.address) for ops in known if ops is not None and ops.address is not None}


def object_name(memory: Memory, address: int) -> str:
    """Of a memory object: the path of its file, if it is one of a kind that is known here."""
    unknown = f"object {address:#x}"
    try:
        ops = View(memory, "struct memory_object", address).number("ops")
        if ops not in _ops_of_files():
            return unknown
        at = container(address, "struct file_pages", "cache.object")
        inode = View(memory, "struct file_pages", at).view("struct inode", "inode")
        alias = inode.view("struct dentry", "alias") if inode else None
        return dentry_path(alias) if alias else f"{unknown}, a file without a name"
    except gdb.GdbError:
        return f"{unknown}, which cannot be read"


def object_size(memory: Memory, address: int) -> int:
    """Bytes of the file that a memory object shows, which is the object of a page cache."""
    cache = container(address, "struct page_cache", "object")
    return View(memory, "struct page_cache", cache).number("size")


# ---- Regions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """A struct region, copied."""

    address: int
    start: int
    end: int
    prot: int
    flags: int
    object: int
    offset: int  # pages
    home: int
    lowest: int

    @property
    def is_private(self) -> bool:
        return not self.flags & _MAP_SHARED

    @property
    def is_stack(self) -> bool:
        return bool(self.flags & _MAP_GROWSDOWN)

    @property
    def is_locked(self) -> bool:
        return bool(self.flags & _MAP_LOCKED)

    @property
    def is_moved(self) -> bool:
        return self.home != self.start // PAGE_SIZE

    @property
    def rights(self) -> str:
        """As /proc/PID/maps writes them."""
        letters = "".join(
            letter if self.prot & bit else "-" for letter, bit in (("r", 1), ("w", 2), ("x", 4))
        )
        return letters + ("p" if self.is_private else "s")

    @property
    def pages(self) -> int:
        return (self.end - self.start) // PAGE_SIZE

    def holds(self, address: int) -> bool:
        return self.start <= address < self.end

    def __str__(self) -> str:
        return f"[{self.start:#x}, {self.end:#x}) {self.rights}"


def read_region(view: View) -> Region:
    return Region(
        view.address,
        view.number("range.node.key"),
        view.number("range.end"),
        view.number("prot"),
        view.number("flags"),
        view.number("object"),
        view.number("offset"),
        view.number("home"),
        view.number("lowest"),
    )


# ---- Spaces ----------------------------------------------------------------------------------


def levels() -> int:
    """Of page tables, by the processor that is selected."""
    try:
        return 5 if int(evaluate("(unsigned long)$cr4")) & _LA57 else 4
    except (gdb.GdbError, gdb.error):
        return int(evaluate("arch_mmu_levels"))


class Tables:
    """Page tables, read through the direct map."""

    def __init__(self, memory: Memory, root: int) -> None:
        self._memory, self.root, self.levels = memory, root, levels()

    def read(self, at: int) -> int:
        return int.from_bytes(self._physical(at, 8), "little")

    def _physical(self, at: int, size: int) -> bytes:
        reason = f"cannot be read: physical address {at:#x} is no memory"
        if at >= _DIRECT_MAP_SIZE:
            raise ValueError(reason)
        try:
            return self._memory.read(DIRECT_MAP_BASE + at, size)
        except gdb.GdbError:
            raise ValueError(reason) from None

    def walk(self, address: int) -> Walk:
        return walk(self.read, self.root, self.levels, address)

    def entries(self, limit: int = 1 << 20) -> Iterator[tuple[int, Step | None]]:
        """All entries of pages in the user half, in order: address and entry.

        None in place of an entry: the table that spans these addresses cannot be read.
        """
        count = 0
        for found in self._below(self.root, self.levels - 1, 0):
            yield found
            count += 1
            if count >= limit:
                return

    def _below(self, table: int, level: int, base: int) -> Iterator[tuple[int, Step | None]]:
        is_root = level == self.levels - 1
        try:
            raw = self._physical(table, PAGE_SIZE)
        except ValueError:
            yield base, None
            return
        for index in range(_ROOT_USER_ENTRIES if is_root else 512):
            entry = int.from_bytes(raw[8 * index : 8 * index + 8], "little")
            if not entry:
                continue
            step = Step(level, index, table + 8 * index, entry)
            address = base + index * span(level)
            if step.leads_on:
                yield from self._below(step.frame, level - 1, address)
            else:
                yield address, step


class Space:
    """A struct address_space."""

    def __init__(self, view: View, name: str) -> None:
        self.view, self.name = view, name
        self.memory = view.memory
        self.tables = Tables(view.memory, view.number("table.root"))
        self.errors: list[str] = []
        self.regions = self._read_regions()

    def _read_regions(self) -> list[Region]:
        tree = Tree(View(self.memory, "struct tree", self.view.at("regions.tree")))
        self.errors += [f"the tree of regions: {error}" for error in tree.errors]
        found: list[Region] = []
        for node in tree.nodes:
            address = container(node, "struct region", "range.node")
            try:
                found.append(read_region(View(self.memory, "struct region", address)))
            except gdb.GdbError:
                self.errors.append(f"the region at {address:#x} cannot be read")
        for before, after in zip(found, found[1:]):
            if after.start < before.end:
                self.errors.append(f"{after} overlaps {before}, or comes before it")
        for region in found:
            if region.start >= region.end or (region.start | region.end) % PAGE_SIZE:
                self.errors.append(f"{region} is not a range of pages")
        return found

    def region_at(self, address: int) -> Region | None:
        return next((region for region in self.regions if region.holds(address)), None)

    def neighbours(self, address: int) -> tuple[Region | None, Region | None]:
        """The last region that ends at or below an address, the first that begins above it."""
        below = [region for region in self.regions if region.end <= address]
        above = [region for region in self.regions if region.start > address]
        return (below[-1] if below else None), (above[0] if above else None)

    def is_locked(self) -> bool:
        """Does somebody hold its mutex: is it in the middle of a change?"""
        return bool(self.view.number("lock.state") & 1)

    def describe(self, region: Region) -> str:
        """What a region is, in a word, as the last column of /proc/PID/maps."""
        if region.object:
            return object_name(self.memory, region.object)
        if region.is_stack:
            return "[stack]"
        heap = self.view.number("heap_start"), self.view.number("heap_end")
        if region.start < -(-heap[1] // PAGE_SIZE) * PAGE_SIZE and region.end > heap[0]:
            return "[heap]"
        return ""


# ---- Processes -------------------------------------------------------------------------------


class Process:
    """A struct process_private."""

    def __init__(self, memory: Memory, address: int) -> None:
        self.view = View(memory, "struct process_private", address)
        self.memory = memory
        self.pid = self.view.number("process.pid")
        self.parent = self.view.number("parent_pid")
        self.name = self.view.text("process.name")
        self.space_address = self.view.number("process.space")
        self.nr_threads = self.view.number("nr_threads")
        names = {value: name for name, value in enumerators("enum process_state").items()}
        state = self.view.number("process.state")
        self.state = names.get(state, f"?{state}").removeprefix("PROCESS_").lower()

    @property
    def address(self) -> int:
        """Of its struct process."""
        return self.view.at("process")

    def __str__(self) -> str:
        return f'process {self.pid}, "{self.name}"'

    def space(self) -> Space | None:
        if not self.space_address:
            return None
        view = View(self.memory, "struct address_space", self.space_address)
        return Space(view, str(self))

    def executable(self) -> str:
        try:
            file = self.view.view("struct file", "executable")
            return dentry_path(file.view("struct dentry", "dentry")) if file else ""
        except gdb.GdbError:
            return "?"


def all_processes(memory: Memory) -> tuple[list[Process], list[str]]:
    """In order of their ids, and what is wrong with the tree that holds them."""
    if not has_programs():
        raise gdb.GdbError("this kernel runs no programs: they come with lab 4")
    table = variable("kernel/proc/user/process.c", "processes")
    tree = Tree(View(memory, "struct tree", address_of(table.address)))
    found, errors = [], [f"the tree of processes: {error}" for error in tree.errors]
    for node in tree.nodes:
        address = container(node, "struct process_private", "node")
        try:
            found.append(Process(memory, address))
        except gdb.GdbError as error:
            errors.append(f"the process at {address:#x}: {error}")
    return found, errors


def current_cpu() -> int:
    """QEMU's CPUs are GDB's threads, counted from 1."""
    thread = gdb.selected_thread()
    return thread.num - 1 if thread else 0


def current_thread(memory: Memory, cpu: int) -> View | None:
    """The struct thread that runs on a CPU."""
    cpus = evaluate("arch_cpus")
    return View(
        memory, "struct arch_cpu", address_of(cpus[cpu].address)
    ).view("struct thread", "current")  # fmt: skip


def current_process(memory: Memory, cpu: int) -> Process | None:
    """Whose thread runs on a CPU; None for a thread of the kernel."""
    thread = current_thread(memory, cpu)
    user = thread.view("struct user_thread", "user") if thread else None
    process = user.number("process") if user else 0
    if not process:
        return None
    return Process(memory, container(process, "struct process_private", "process"))


# ---- What the commands are asked for -----------------------------------------------------------


def split_arguments(argument: str, usage: str, least: int, most: int) -> list[str]:
    words = gdb.string_to_argv(argument)
    if not least <= len(words) <= most:
        raise gdb.GdbError(f"use: {usage}")
    return words


def find_space(memory: Memory, expression: str) -> Space:
    """By a process id, or by a struct address_space or a pointer to one."""
    if find_variable("mm/mapped_range.c", "zero_page") is None and not _has_type():
        raise gdb.GdbError(NO_SPACES)
    value = evaluate(expression)
    if value.is_optimized_out:
        raise gdb.GdbError(f"{expression} is optimized out here: try up, or another name for it")
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        value = value.dereference()
    if type_name(value) == "struct address_space" and value.address is not None:
        return _space_at(memory, address_of(value.address))
    if kind.code != gdb.TYPE_CODE_INT:
        raise gdb.GdbError(f"{expression} is a {value.type}: give a process id or an address space")
    process = find_process(memory, int(value))
    space = process.space()
    if space is None:
        raise gdb.GdbError(f"{process} has ended: it has no address space any more")
    return space


def find_process(memory: Memory, pid: int) -> Process:
    processes, errors = all_processes(memory)
    for process in processes:
        if process.pid == pid:
            return process
    for error in errors:
        print(error)
    raise gdb.GdbError(f"there is no process {pid}: see ikos-processes")


def _has_type() -> bool:
    try:
        gdb.lookup_type("struct address_space")
    except gdb.error:
        return False
    return True


def _space_at(memory: Memory, address: int) -> Space:
    """Named by whose it is, if it is a process's."""
    if not memory.is_readable(address, 8):
        raise gdb.GdbError(f"address {address:#x} is not mapped: that is no address space")
    name = f"address space {address:#x}"
    if has_programs():
        for process in all_processes(memory)[0]:
            if process.space_address == address:
                name = str(process)
    return Space(View(memory, "struct address_space", address), name)


# ---- Pages -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UserPage:
    """What a frame's struct page says, if it is one that programs see."""

    pfn: int
    use: str  # "anonymous", "file", "zero", or what else it is
    references: int
    mappings: int
    index: int
    owner: int

    def __str__(self) -> str:
        if self.use == "zero":
            return f"frame {self.pfn:#x}, the page of zeroes, which is not counted"
        counts = f"{plural(self.references, 'reference')}, {plural(self.mappings, 'mapping')}"
        if self.use == "anonymous":
            return f"frame {self.pfn:#x}, anonymous, {counts}; at home at {self.index << 12:#x}"
        if self.use == "file":
            return f"frame {self.pfn:#x}, page {self.index} of a file, {counts}"
        return f"frame {self.pfn:#x}, {self.use}: no page that a program may see"


class UserPages:
    """Reads them."""

    _USES = {"PAGE_USE_ANON": "anonymous", "PAGE_USE_FILE": "file"}

    def __init__(self, memory: Memory) -> None:
        self._memory, self._frames = memory, Frames(memory)
        self._uses = {value: name for name, value in enumerators("enum page_use").items()}
        self._zero = int(evaluate("(unsigned long)zero_page"))

    def at(self, pfn: int) -> UserPage | None:
        """None for a frame without a struct page: it is no memory."""
        frames = self._frames
        if not frames.is_present(pfn):
            return None
        address = frames.page_address(pfn)
        page = View(self._memory, "struct page", address)
        counts, index = (self._memory.word(page.at("link") + at) for at in (0, 8))
        state = page.number("state")
        name = self._uses.get(page.number("use"), "")
        use = self._USES.get(name, f"in use for {name.removeprefix('PAGE_USE_').lower() or '?'}")
        if address == self._zero:
            use = "zero"
        elif state not in (frames.allocated, frames.tail):  # the latter: of a huge page
            use = frames.state_name(state)
        return UserPage(
            pfn, use, counts & 0xFFFF_FFFF, counts >> 32, index, page.number("owner")
        )  # fmt: skip
