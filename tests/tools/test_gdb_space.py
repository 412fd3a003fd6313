# SPDX-License-Identifier: MIT
"""Address spaces, faults and programs in GDB, on real machines that are stopped on the way.

The walk through page tables is also tried by itself, on tables that no kernel here makes.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from test_gdb import ROOT, Session, session

sys.path.insert(0, str(ROOT / "scripts/gdb"))

import walk  # noqa: E402

INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")

needs_gdb = pytest.mark.skipif(
    not shutil.which("gdb") or not shutil.which("qemu-system-x86_64"), reason="needs GDB and QEMU"
)

# ---- The walk ----------------------------------------------------------------------------


def tables(**entries: int) -> dict[int, int]:
    """Memory by address: entry_5000=... is the word at 0x5000."""
    return {int(name.partition("_")[2], 16): word for name, word in entries.items()}


def walked(memory: dict[int, int], levels: int, address: int) -> walk.Walk:
    def read(at: int) -> int:
        if at >= 1 << 32:
            raise ValueError("cannot be read")
        return memory.get(at, 0)

    return walk.walk(read, 0x1000, levels, address)


# Address 1 : 2 : 3 : 4 with byte 5.
ADDRESS = (1 << 39) + (2 << 30) + (3 << 21) + (4 << 12) + 5
DOWN = {"e_1008": 0x2027, "e_2010": 0x3027, "e_3018": 0x4027}


def test_walk_through_four_levels() -> None:
    found = walked(tables(**DOWN, e_4020=0x8000000000009867), 4, ADDRESS)
    assert [step.index for step in found.steps] == [1, 2, 3, 4]
    assert [step.at for step in found.steps] == [0x1008, 0x2010, 0x3018, 0x4020]
    assert found.physical == 0x9005
    assert found.allows(walk.WRITE) and found.allows(walk.USER) and not found.executes
    assert found.steps[3].flags() == "present, write, user, accessed, dirty, no execute"
    assert found.steps[0].flags() == "present, write, user, accessed"


def test_walk_through_five_levels() -> None:
    memory = tables(e_1038=0x2003, e_2008=0x3003, e_3010=0x4003, e_4018=0x5003, e_5020=0x9003)
    found = walked(memory, 5, (7 << 48) + ADDRESS)
    assert [step.level for step in found.steps] == [4, 3, 2, 1, 0]
    assert found.physical == 0x9005 and not found.allows(walk.USER)


@pytest.mark.parametrize(
    ("memory", "physical", "size"),
    [
        (tables(e_1008=0x2027, e_2010=0x3027, e_3018=0x4000E7), 0x404005, "2 MiB"),
        (tables(e_1008=0x2027, e_2010=0x400000E7), 0x40604005, "1 GiB"),
    ],
)
def test_walk_to_a_large_page(memory: dict[int, int], physical: int, size: str) -> None:
    found = walked(memory, 4, ADDRESS)
    assert found.physical == physical and found.page
    assert walk.size_name(found.page.level) == size


def test_walk_that_ends() -> None:
    missing = walked(tables(e_1008=0x2027), 4, ADDRESS)
    assert missing.physical is None and missing.page is None
    assert missing.steps[-1].flags() == "nothing is there"
    assert missing.empty_from == (1 << 39) + (2 << 30)
    hidden = walked(tables(**DOWN, e_4020=0x9200), 4, ADDRESS)
    assert hidden.physical is None and hidden.page and hidden.page.is_hidden
    assert hidden.steps[3].flags() == "hidden: no right at all"
    nowhere = walked(tables(e_1008=0xABCDE00000027), 4, ADDRESS)
    assert nowhere.problem == "the table of level 2 cannot be read"
    reserved = walked(tables(e_1008=0x20A7), 4, ADDRESS)
    assert "bit 7 set, which this level reserves" in reserved.steps[0].flags()
    key = walked(tables(**DOWN, e_4020=0x2800000000009027), 4, ADDRESS)
    assert key.steps[3].flags().endswith("protection key 5")


# ---- A program -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def initrd() -> Path:
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    return INITRD


def debug(kernel: Path, initrd: Path, program: str, *commands: str) -> Session:
    return session(
        [ROOT / "scripts/debug", kernel],
        *commands,
        CPUS="1",
        MEMORY="128",
        CMDLINE=f"init={program} seed=1",
        INITRD=str(initrd),
    )


# The line of the program where it reads memory.
READS = next(
    number
    for number, line in enumerate((ROOT / "user/faults.c").read_text().splitlines(), 1)
    if "(void)memory[" in line
)


@pytest.fixture(scope="module")
def faults(kernel: Path, initrd: Path) -> Session:
    """The program faults, from its beginning to its first copy on write, and then damaged."""
    return debug(
        kernel,
        initrd,
        "/bin/faults",
        "ikos-processes ",
        "ikos-fault ",
        "ikos-program nothing_of_that_name",
        "ikos-program faults",
        'break touch if $_program("faults")',
        "tbreak main",
        "continue",
        "ikos-processes",
        "ikos-regions 1",
        "ikos-pagewalk 1 main",
        "ikos-pagewalk 1 $rsp",
        "ikos-pagewalk 1 0x5008",
        "ikos-pagewalk 0 &panic",
        "ikos-pagewalk 0 0x8000000000000000",
        "ikos-pagewalk 1",
        "ikos-pagewalk 99 0",
        "ikos-regions 1.5",
        "ikos-regions no_such_thing",
        "print sizeof(struct page)",
        "ikos-page 0x2000",
        "continue ",
        "info breakpoints",
        "tbreak space_fault",
        "continue  ",
        "set $space = space",
        "ikos-fault",
        "backtrace",
        "delete",
        f"tbreak user/faults.c:{READS}",
        "continue    ",
        "tbreak space_fault ",
        "continue   ",
        "ikos-fault  ",
        "tbreak fault_copy",
        "continue     ",
        "ikos-fault   ",
        "ikos-regions (struct address_space *)$space",
        # Damage of every kind.
        "set $first = (struct region *)$space->regions.tree.root",
        "set var $space->nr_resident += 3",
        "set var *(unsigned long *)(0xffff800000000000 + $space->table.root) = 0xffffff0000027",
        "ikos-regions $space",
        "ikos-pagewalk 1 main ",
        "set var $first->range.end += 0x800",
        "set var $first->range.node.child[1] = (struct tree_node *)0x1234",
        "ikos-regions $space ",
        "ikos-fault    ",
        "set var *(unsigned long *)&processes = 0x4321",
        "ikos-processes  ",
        "ikos-regions 1 ",
    )


@needs_gdb
def test_before_there_is_anything(faults: Session) -> None:
    assert faults["ikos-processes "] == "0 processes\n"
    assert "no page fault is being handled" in faults["ikos-fault "]
    assert "there is no program nothing_of" in faults["ikos-program nothing_of_that_name"]


@needs_gdb
def test_a_program_begins_with_its_symbols(faults: Session) -> None:
    begins = faults["ikos-program faults"]
    assert 'ikos: process 1, "faults", begins on CPU 0; its symbols are loaded' in begins
    assert re.search(r"main \(argc=1, argv=0x\w+\) at .*user/faults\.c:\d+", faults["continue"])
    stopped = faults["continue "]
    assert re.search(r"touch \(what=0x\w+ .* at .*user/faults\.c:\d+", stopped)
    assert 'stop only if $_program("faults")' in faults["info breakpoints"]
    # What the kernel calls so, whatever programs call so.
    assert faults["print sizeof(struct page)"] == "$1 = 32\n"
    assert faults["ikos-page 0x2000"].startswith("frame 0x2000 (8192)\n  state ")


@needs_gdb
def test_processes(faults: Session) -> None:
    row = r"^  \* +1 +0  alive +1 +\d+ +\d+  0xffff8\w+  faults /bin/faults\n1 process\n\Z"
    assert re.search(row, faults["ikos-processes"], re.MULTILINE)


@needs_gdb
def test_regions(faults: Session) -> None:
    text = faults["ikos-regions 1"]
    assert text.startswith('process 1, "faults": 5 regions, ')
    rows = re.findall(
        r"^  ([0-9a-f]{12}) ([0-9a-f]{12}) (\S{4}) +(\d+) +(\d+) +(\d+) +(\d+)  (\S+)",
        text,
        re.MULTILINE,
    )
    assert [row[2] for row in rows] == ["r--p", "r-xp", "r--p", "rw-p", "rw-p"]
    assert [row[7] for row in rows] == ["/bin/faults"] * 4 + ["[stack],"]
    for start, end, _, _, pages, there, shared, _ in rows:
        assert int(end, 16) - int(start, 16) == int(pages) * 4096
        assert int(shared) <= int(there) <= int(pages)
    [resident] = re.findall(r"there \(RSS\) +(\d+) pages", text)
    assert int(resident) == sum(int(row[5]) for row in rows)
    assert "gap of" in text and text.endswith("  no contradiction\n")


@needs_gdb
def test_walk_to_text_and_stack(faults: Session) -> None:
    text = faults["ikos-pagewalk 1 main"]
    levels = re.findall(r"^ +(\d) +(\d+)  0x\w{10}  0x\w{16}  (table|page) 0x", text, re.MULTILINE)
    assert [(level, kind) for level, _, kind in levels] == [
        ("3", "table"), ("2", "table"), ("1", "table"), ("0", "page")
    ]  # fmt: skip
    assert "  rights      read, execute\n" in text
    assert re.search(r"page 1 of a file, [23] references, [12] mappings?\n", text)
    assert re.search(r"region      \[0x401000, 0x40\w+\) r-xp /bin/faults\n", text)
    stack = faults["ikos-pagewalk 1 $rsp"]
    assert "  rights      read, write\n" in stack and ", dirty, no execute\n" in stack
    assert "anonymous, 1 reference, 1 mapping; at home at 0x7ff" in stack


@needs_gdb
def test_walk_to_nothing(faults: Session) -> None:
    text = faults["ikos-pagewalk 1 0x5008"]
    assert "0x5008 is 0 : 0 : 0 : ... + 0x8" in text
    assert "none: nothing is mapped in [0x0, 0x200000)" in text
    assert text.endswith("  region      none\n")
    kernel = faults["ikos-pagewalk 0 &panic"]
    assert "511 : 510 : " in kernel and "none for programs" in kernel
    assert "is no address" in faults["ikos-pagewalk 0 0x8000000000000000"]


@needs_gdb
def test_wrong_arguments_get_one_line(faults: Session) -> None:
    for command, answer in (
        ("ikos-pagewalk 1", "use: ikos-pagewalk PID ADDRESS"),
        ("ikos-pagewalk 99 0", "there is no process 99: see ikos-processes"),
        ("ikos-regions 1.5", "1.5 is a double: give a process id or an address space"),
    ):
        assert faults[command] == answer + "\n"
    assert "No symbol" in faults["ikos-regions no_such_thing"]


@needs_gdb
def test_faults_are_explained(faults: Session) -> None:
    first = faults["ikos-fault"]
    assert re.match(r'process 1, "faults", CPU 0: writing 0x\w+\n', first)
    assert re.search(r"by +the instruction at 0x40\w+ in user mode, touch \(.*faults\.c:", first)
    assert "error code  0x6: an entry on the way is not present, writing, in user mode" in first
    assert "to do       (2) Anonymous" in first
    assert re.search(r"trap_entry \(\).*\n#\d+ .* touch ", faults["backtrace"])
    zero = faults["ikos-fault  "]
    assert "error code  0x4: " in zero and "to do       (1) Zero page" in zero
    copy = faults["ikos-fault   "]
    assert "error code  0x7: the page is present, but not for this, writing" in copy
    assert "to do       (7) Copy on write: 2 references, so others" in copy
    regions = faults["ikos-regions (struct address_space *)$space"]
    assert re.search(r"\d+ anonymous, ", regions)


@needs_gdb
def test_damage_is_named(faults: Session) -> None:
    text = faults["ikos-regions $space"]
    assert "0x0 on lies where no memory is" in text
    assert re.search(r"nr_resident says \d+, but it is \d+", text)
    assert re.search(r"^  \d+ contradictions$", text, re.MULTILINE)
    walked_to = faults["ikos-pagewalk 1 main "]
    assert "here the walk ends: the table of level 2 cannot be read" in walked_to
    worse = faults["ikos-regions $space "]
    assert "is 0x1234, which is no node" in worse and "is not a range of pages" in worse
    assert "which is no node" in faults["ikos-fault    "]
    for command in ("ikos-processes  ", "ikos-regions 1 "):
        assert "the tree of processes: at the root is 0x4321, which is no node" in faults[command]
    assert "Traceback" not in faults.text and "Python Exception" not in faults.text


@needs_gdb
def test_symbols_come_and_go(kernel: Path, initrd: Path) -> None:
    """A second program in the same shell script: the first one's symbols are of no use any more."""
    done = debug(
        kernel,
        initrd,
        "/bin/forks",
        "ikos-program forks",
        "tbreak main",
        "continue",
        "ikos-processes",
        "tbreak space_fork",
        "continue ",
        "finish",
        "tbreak fault_copy",
        "continue  ",
        "ikos-processes ",
        "ikos-fault",
        "delete",
        "tbreak console_run",
        "continue   ",
        "info symbol 0x401000",
        "ikos-processes  ",
    )
    assert re.search(r"main \(argc=1, .* at .*user/forks\.c", done["continue"])
    assert re.search(r"^ +[* ] +2 +1  alive .* forks /bin/forks$", done["ikos-processes "], re.M)
    assert "(7) Copy on write" in done["ikos-fault"]
    assert "ikos: symbols of forks are gone: nobody runs it any more" in done["continue   "]
    assert "No symbol matches" in done["info symbol 0x401000"]
    assert done["ikos-processes  "] == "0 processes\n"


@needs_gdb
def test_a_huge_page(kernel: Path, initrd: Path) -> None:
    """The program asks for some, and gets them."""
    done = debug(
        kernel,
        initrd,
        "/bin/faults",
        "tbreak huge_page_alloc",
        "continue",
        "ikos-fault",
        "finish",
        "tbreak user_leave",
        "continue ",
        "ikos-regions 1",
        "ikos-pagewalk 1 $cr2",
    )
    assert "to do       (0) Huge page: 2 MiB by one entry" in done["ikos-fault"]
    walked_to = done["ikos-pagewalk 1 $cr2"]
    assert re.search(r"^ +1 +\d+  .*  page 0x\w+, 2 MiB: present, write", walked_to, re.MULTILINE)
    assert "anonymous, 1 reference, 1 mapping" in walked_to
    assert done["ikos-regions 1"].endswith("  no contradiction\n")


# ---- Without programs, and after a panic -----------------------------------------------------


@needs_gdb
def test_a_test_calls_the_handler(kernel: Path) -> None:
    done = session(
        [ROOT / "scripts/debug", kernel],
        "break space_fault",
        "continue",
        "ikos-fault",
        "ikos-regions space",
        "ikos-pagewalk space address",
        CPUS="1",
        MEMORY="128",
        CMDLINE="ktest=space.fork_chain",
    )
    text = done["ikos-fault"]
    assert re.match(r"address space 0xffff8\w+, CPU 0: writing 0x7\w+\n  region", text)
    assert "(2) Anonymous" in text
    assert "address space 0xffff8" in done["ikos-regions space"]
    assert "anonymous" in done["ikos-pagewalk space address"]


@needs_gdb
def test_a_fault_that_ends_the_kernel(kernel: Path) -> None:
    done = session(
        [ROOT / "scripts/debug", kernel],
        "tbreak space_fault",
        "continue",
        "set var $rdi = 0x18",
        "tbreak panic_frame",
        "continue ",
        "ikos-fault",
        CPUS="1",
        MEMORY="128",
        CMDLINE="ktest=space.fork_chain",
    )
    text = done["ikos-fault"]
    assert re.match(r"the kernel, CPU 0: \w+ 0x18\n", text)
    assert re.search(r"by +the instruction at 0xffffffff8\w+ in the kernel, .*space_fault", text)
    assert "address     a null pointer, or a member of a structure at one" in text
    assert "to do       a panic" in text
