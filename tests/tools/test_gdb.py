# SPDX-License-Identifier: MIT
"""Debugging as a student does it: sessions with real machines, forwards and backwards.

GDB gets its commands on standard input and what it answers is taken apart by command. A session
has a time limit, and none may leave a machine behind.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_S = 180

pytestmark = pytest.mark.skipif(
    not shutil.which("gdb") or not shutil.which("qemu-system-x86_64"), reason="needs GDB and QEMU"
)

COMMANDS = (
    "ikos-buddy", "ikos-zones", "ikos-check", "ikos-page", "ikos-memmap", "ikos-threads",
    "ikos-slabs", "ikos-object", "ikos-processes", "ikos-regions", "ikos-pagewalk", "ikos-fault",
    "ikos-program", "ikos-who-wrote",
)  # fmt: skip

# A stale pointer, made up: in the thousandth request the links of a free block are written to,
# that of the list's end, which nobody looks at before the case takes all largest blocks.
PLANTED = """
static unsigned long requests;

struct page *
buddy_alloc(struct buddy *buddy, unsigned order)
{
	struct list_head *list = &buddy->area[MAX_ORDER].list;

	if (++requests == 1000 && !list_empty(list))
		list->prev->next = NULL; /* planted */
	return buddy_alloc_as_it_was(buddy, order);
}
"""


class Session:
    """What a session printed before its first command, and in answer to each."""

    def __init__(self, output: str, commands: list[str]) -> None:
        self.text = output
        parts = re.split(r"@@\d+@@\n", output)
        assert len(parts) == len(commands) + 2, output
        self.begin = parts[0]
        answers = (part.replace("(gdb) ", "") for part in parts[1:-1])
        self._answers = dict(zip(commands, answers, strict=True))
        assert len(self._answers) == len(commands)

    def __getitem__(self, command: str) -> str:
        """The answer to a command. One that was given twice differs in blanks at its end."""
        return self._answers[command]


def session(words: list[str | Path], *commands: str, **environment: str) -> Session:
    """Run a script with GDB and give it commands. What the guest prints would get amid the answers,
    sooner or later as the host has time: it goes elsewhere, unless SERIAL is set to "" here.
    """
    lines = ["set width 0"]
    for number, command in enumerate(commands):
        lines += [f"echo @@{number}@@\\n", command]
    lines += [f"echo @@{len(commands)}@@\\n"]
    done = subprocess.run(
        [sys.executable, *words],
        input="\n".join(lines) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        env=os.environ | {"SERIAL": os.devnull} | environment,
        check=False,
    )
    return Session(done.stdout, list(commands))


def replay(*words: str | Path, tree: Path = ROOT) -> list[str | Path]:
    return [tree / "scripts/replay", "--lab", "buddy", *words]


def failing(*words: str | Path) -> str:
    """The one line that a script says when it cannot do what was asked."""
    done = subprocess.run(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


# Inherited by all that is started here, and not by what other tests start meanwhile.
MARK = f"IKOS_TESTS={os.getpid()}"
os.environ.update([MARK.split("=")])


def machines(kernel: Path) -> list[str]:
    """The emulators that run a kernel and were started here."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = MARK.encode() in environment and str(kernel).encode() in words
        if ours and b"qemu" in words[0]:
            found.append(process.name)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("kernel", "planted"):
        if name in request.fixturenames:
            kernel = request.getfixturevalue(name)
            assert machines(kernel) == []


@pytest.fixture(scope="session")
def planted(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel with a bug. Its tree is three directories up."""
    tree = tmp_path_factory.mktemp("planted") / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
    # With the objects that there are, so that one file is compiled.
    shutil.copytree(kernel.parent, tree / "build" / kernel.parent.name)
    source = tree / "mm/buddy_allocator.c"
    text, count = re.subn(
        r"^struct page \*\nbuddy_alloc\(",
        "static struct page *\nbuddy_alloc_as_it_was(",
        source.read_text(),
        flags=re.MULTILINE,
    )
    assert count == 1
    source.write_text(text + PLANTED)
    settings = re.fullmatch(r"(\w+)-(\w+)(?:-O(\w+))?", kernel.parent.name)
    assert settings, f"{kernel}: was built by another Makefile"
    compiler, flavor, level = settings.groups(default="2")
    subprocess.run(
        ["make", "-s", f"CC={compiler}", f"FLAVOR={flavor}", f"OPT={level}", "O=build", "kernel"],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        check=True,
    )
    return tree / "build" / kernel.parent.name / kernel.name


def planted_line(planted: Path) -> int:
    source = planted.parent.parent.parent / "mm/buddy_allocator.c"
    lines = source.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if "/* planted */" in line)


# ---- Forwards ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def console(kernel: Path) -> Session:
    """A machine of two CPUs, from its first instruction to the console."""
    return session(
        [ROOT / "scripts/debug", kernel],
        "ikos",
        *(f"help {name}" for name in COMMANDS),
        "ikos-buddy &machine.zone[1].group[2].buddy ",  # too early
        "ikos-zones ",
        "ikos-threads ",
        "tbreak console_run",
        "continue",
        "ikos-buddy",
        "ikos-buddy &machine.zone[1].group[2].buddy",
        "ikos-zones",
        "ikos-zones &machine.zone[1]",
        "ikos-zones nr_cpus",
        "ikos-buddy nr_cpus",
        "ikos-buddy no_such_thing",
        "ikos-check",
        "ikos-page 0x111",
        "ikos-page $page(0x111)",
        "ikos-page 0xffff800000111234",
        "ikos-page &panic",
        "ikos-page 0x7ffff000",
        "ikos-page 1.5",
        "ikos-memmap",
        "ikos-threads",
        "ikos-threads 1",
        "ikos-threads 99",
        "ikos-who-wrote nr_cpus",
        "print sched_lock",
        "print *$page(0x111)",
        "print machine.zone[1].group[2].buddy",
        "print machine.zone[1]",
        "print machine",
        "print machine.cpu[0].list[3][0]",
        "print main_thread",
        "print all_threads",
        "tbreak serial_getc",
        "continue ",
        CPUS="2",
        MEMORY="128",
        CMDLINE="",
    )


def test_session_begins_in_the_kernel(console: Session) -> None:
    assert re.search(r"^#0  kernel_main \(\) at (\./)?kernel/main.c:", console.begin, re.MULTILINE)
    assert "Temporary breakpoint" in console["tbreak console_run"]
    assert "console_run ()" in console["continue"]


def test_what_the_machine_prints_is_shown(kernel: Path) -> None:
    done = session(
        [ROOT / "scripts/debug", kernel], "tbreak console_run", "continue", CPUS="2", SERIAL=""
    )
    assert "IKOS: started by" in done.text  # later lines may come between the debugger's


def test_every_command_is_listed_and_explained(console: Session) -> None:
    for name in COMMANDS:
        assert re.search(rf"^{name}\b.* [A-Z].*\.$", console["ikos"], re.MULTILINE)
        assert f"\n{name}" in console[f"help {name}"]
        assert len(console[f"help {name}"].splitlines()) >= 5


def test_too_early(console: Session) -> None:
    for command in ("ikos-buddy &machine.zone[1].group[2].buddy ", "ikos-zones "):
        assert "Has the kernel come far enough?" in console[command]


def test_buddy(console: Session) -> None:
    text = console["ikos-buddy"]
    tables = re.split(r"^(?=machine\.zone)", text, flags=re.MULTILINE)[1:]
    groups = []
    for table in tables:
        [(group, free, managed)] = re.findall(r'"(.+)", .*: (\d+) free of (\d+)\n', table)
        groups.append(group)
        rows = re.findall(r"^ +(\d+) +(\d+) +(\d+) +\d\.\d{3} +-?\d\.\d{3} ", table, re.M)
        assert [int(order) for order, _, _ in rows] == list(range(11))
        assert sum(int(n) << int(order) for order, n, _ in rows) == int(free) <= int(managed)
        assert all(count == listed for _, count, listed in rows)
    # What files took at the start made one page block unmovable; nothing is reclaimable yet.
    assert groups in (["DMA, movable", "Normal, movable"],
                      ["DMA, movable", "Normal, unmovable", "Normal, movable"])  # fmt: skip
    assert "<-" not in text and "broken" not in text
    one = console["ikos-buddy &machine.zone[1].group[2].buddy"]
    assert one.splitlines()[1:] == tables[-1].splitlines()[1:]
    assert console["ikos-buddy nr_cpus"] == "nr_cpus is a unsigned int, not a struct buddy\n"
    assert console["ikos-buddy no_such_thing"].startswith("no_such_thing: No symbol")


def test_zones(console: Session) -> None:
    text = console["ikos-zones"]
    dma, normal = re.split(r"^(?=machine\.zone)", text, flags=re.MULTILINE)[1:]
    assert 'zone[0] "DMA": frames [0x0, 0x1000), ' in dma
    assert 'zone[1] "Normal": frames [0x1000, 0x8000), ' in normal
    assert re.search(r"reserve +kept from requests that prefer Normal \d+, High \d+,", dma)
    assert re.search(r"^  from +0x1000 [mMuU]{28}$", normal, re.MULTILINE)
    marks = [int(mark) for mark in re.findall(r"(?:min|low|high) (\d+)", normal)]
    assert marks == sorted(marks) and len(set(marks)) == 3
    assert text.count("no contradiction") == 2
    only = console["ikos-zones &machine.zone[1]"]
    assert only.splitlines()[1:] == normal.splitlines()[1:]
    wrong = "nr_cpus is a unsigned int, not a struct node or a struct zone\n"
    assert console["ikos-zones nr_cpus"] == wrong


def test_check_finds_nothing_in_a_good_kernel(console: Session) -> None:
    assert console["ikos-check"].count("no contradiction") == 2


def test_page(console: Session) -> None:
    text = console["ikos-page 0x111"]
    assert text.startswith("frame 0x111 (273)\n")
    assert "  state       reserved" in text  # in the kernel image
    assert "  struct page 0xffffe00000002220\n" in text
    assert "  physical    [0x111000, 0x112000)\n" in text
    assert "  direct map  0xffff800000111000\n" in text
    assert console["ikos-page $page(0x111)"] == text
    assert console["ikos-page 0xffff800000111234"] == text
    assert re.match(r"frame 0x1[0-9a-f]{2} ", console["ikos-page &panic"])
    assert "has no struct page" in console["ikos-page 0x7ffff000"]
    assert console["ikos-page 1.5"] == "a double is no frame number, address or page\n"


def test_memmap(console: Session) -> None:
    text = console["ikos-memmap"]
    assert re.search(r"^  \[ *0x100000, .* KiB  kernel$", text, re.MULTILINE)
    assert "[0x0, 0x8000): 32768 frames, 128 MiB" in text
    [counts] = re.findall(r"free (\d+), allocated (\d+), reserved (\d+)", text)
    assert sum(map(int, counts)) == 32768
    [picture] = re.findall(r"^    ([-.#+?!]+)   1024 frames each$", text, re.MULTILINE)
    assert len(picture) == 32 and picture.count(".") > 16


def test_threads(console: Session) -> None:
    rows = console["ikos-threads"]
    assert re.search(r"^ +0  running +0  any    main +console_run \(.*\) < kernel_main", rows, re.M)
    idle = r"^ +1  ready +0  one    idle +(preempted in )?\w+ \(kernel/.*\) < idle_loop"
    assert re.search(idle, rows, re.MULTILINE)
    assert re.search(r"^ +2  running +1  one    idle +\S+", rows, re.MULTILINE)
    assert re.search(r"^\d+ threads\n\Z", rows, re.MULTILINE)  # with programs, some more
    assert 'thread 1, "idle", ready, CPU 0\n#0 ' in console["ikos-threads 1"]
    assert console["ikos-threads 99"] == "there is no thread 99: see ikos-threads\n"


def test_who_wrote_says_how_to_get_there(console: Session) -> None:
    text = console["ikos-who-wrote nr_cpus"]
    assert "REVERSE=1" in text and "watch -l nr_cpus" in text


def test_printers(console: Session) -> None:
    assert 'lock "sched": free' in console["print sched_lock"]
    assert "frame 0x111: reserved = {" in console["print *$page(0x111)"]
    buddy = console["print machine.zone[1].group[2].buddy"]
    assert re.search(r" = \d+ of \d+ frames free .*= \{\n  lock = ", buddy)
    zone = console["print machine.zone[1]"]
    assert re.search(r' = zone "Normal": \d+ of \d+ frames free .*= \{\n  lock = ', zone)
    assert re.search(r" = node \[0x0, 0x8000\): \d+ frames ", console["print machine"])
    page_list = console["print machine.cpu[0].list[3][0]"]
    assert re.search(r" = \d+ blocks of at most \d+[,= ]", page_list)
    assert '"main" (id 0): running, CPU 0 = {' in console["print main_thread"]
    assert re.search(r"list with \d others", console["print all_threads"])


def test_threads_that_wait(kernel: Path) -> None:
    done = session(
        [ROOT / "scripts/debug", kernel],
        "tbreak work",
        "continue",
        "ikos-threads",
        "ikos-threads 0",
        CPUS="4",
        CMDLINE="ktest=buddy.smp_stress",
    )
    rows = done["ikos-threads"]
    assert re.search(r"^ +0  (running|asleep|ready) .* main ", rows, re.MULTILINE)
    assert re.search(r" worker +work \(labs/lab1-buddy/tests/.*:\d+\) < thread_main", rows)
    assert "in ktest_buddy_smp_stress (labs/lab1-buddy" in done["ikos-threads 0"]


def test_zones_at_work(kernel: Path) -> None:
    """A page block stolen, a list in use; then damage of every kind is found and named."""
    done = session(
        [ROOT / "scripts/debug", kernel],
        "break __free_pages",
        "ignore $bpnum 30",
        "continue",
        "ikos-zones &machine.zone[1]",
        "ikos-page page",
        "ikos-page machine.cpu[0].list[3][0].first",
        "print machine.cpu[0].list[3][0]",
        "set var machine.zone[1].nr_free += 1",
        "set var machine.zone[1].nr_managed += 2",
        "set var machine.zone[1].group[1].nr_blocks = 3",
        "set var machine.zone[1].block_mobility[1] = 7",
        "set var machine.cpu[0].list[3][0].first->lent = 1",
        "set var machine.cpu[0].list[3][1].room -= 1",
        "set var machine.cpu[0].list[3][3].first = 0x123",
        "set var machine.cpu[0].list[3][3].room = -1",
        "set var page->group = 9",
        "set var page->lent = 0x44",
        "ikos-zones",
        "ikos-check &machine.zone[1]",
        "ikos-page page ",
        CPUS="1",
        MEMORY="128",
        CMDLINE="ktest=memory.injected_failures",
    )
    text = done["ikos-zones &machine.zone[1]"]
    assert re.search(r"^  unmovable +[1-9] +\d+ +\d+$", text, re.MULTILINE)
    assert re.search(r"^  from +0x1000 m+U+-{8}M$", text, re.MULTILINE)  # -: for tests
    assert re.search(r"^  0 +unmovable +[1-9]\d* / 19 ", text, re.MULTILINE)
    assert re.search(r"events .*\bnr_stolen [1-9], nr_refills [1-9]", text)
    assert "no contradiction" in text
    lent = done["ikos-page page"]
    assert re.search(r"group +3: zone Normal, unmovable page blocks\n +lent +yes, as", lent)
    assert "use         none" in lent
    listed = done["ikos-page machine.cpu[0].list[3][0].first"]
    assert "lent        no: free, in CPU 0's list of order 0\n" in listed
    assert ", on top frame 0x" in done["print machine.cpu[0].list[3][0]"]

    text = done["ikos-zones"]
    found = text[text.index("zone[1]") :]
    for error in (
        r"page block 1 has mobility 7",
        r"group reclaimable has 3 page blocks, but 0 are marked so",
        r"movable: frames_free says \d+, but \d+ frames are free",
        r"nr_free says \d+, but \d+ are free in its groups",
        r"nr_managed says \d+, but its groups have \d+",
        r"frames \[0x1400, 0x1800\) say that they are in group 5, but the page block is in \d+",
        r"frame 0x\w+ says that it is in group 9, but the page block is in 3",
        r"frame 0x\w+ is lent, but heads no such block",
        r"CPU 0's list of unmovable, order 0 holds frame 0x\w+, which does not .*, lent",
        r"CPU 0's list of unmovable, order 1 leads to 0x0, which is no page, after \d+ of \d+",
        r"CPU 0's list of unmovable, order 3 leads to 0x123, which is no page, after 0 of 3",
    ):
        assert re.search(rf"^  {error}$", found, re.MULTILINE), error
    assert re.search(r"from +0x1000 m!m", found)
    assert re.search(r"^\d+ contradictions$", found, re.MULTILINE)
    checked = done["ikos-check &machine.zone[1]"]
    assert checked.splitlines()[1:] == found[found.index("  page block 1") :].splitlines()
    assert "0x44, which is not the mark of order" in done["ikos-page page "]


@pytest.mark.skipif(
    not (ROOT / "labs/lab2-zones/oracle.py").exists(), reason="needs the cases of lab 2"
)
def test_zones_of_a_case(kernel: Path) -> None:
    """By its name, which is another than that of lab 1, from a function of mm/."""
    done = session(
        [ROOT / "scripts/replay", "--lab", "zones", "--kernel", kernel, "--case", "grouping"],
        "break zone_steal_block_locked",
        "continue",
        "ikos-zones zone",
        "ikos-zones &the_lab2.node",
        "ikos-check &the_lab2.node.zone[1]",
        "ikos-check",
        "ikos-page the_lab2.first",
    )
    text = done["ikos-zones zone"]
    assert re.search(r"^  from +0x\w+ m{8}$", text, re.MULTILINE)
    assert text.splitlines()[1:] == done["ikos-zones &the_lab2.node"].splitlines()[1:]
    assert "8192 frames free, 0 allocated" in done["ikos-check &the_lab2.node.zone[1]"]
    assert "of a running test" in done["ikos-check"]
    assert "group       5: zone Normal, movable page blocks" in done["ikos-page the_lab2.first"]


def test_a_kernel_without_zones(kernel: Path) -> None:
    """That of lab 1 has one buddy allocator for all memory."""
    subprocess.run(
        ["make", "-s", "CC=gcc", "LAB=1", f"O={kernel.parent.parent}", "kernel"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        check=True,
    )
    done = session(
        [ROOT / "scripts/debug", kernel.parent.parent / "gcc-debug-lab1/kernel.elf"],
        "tbreak console_run",
        "continue",
        "ikos-buddy",
        "ikos-check",
        "ikos-zones",
        "ikos-page 0x2000",
        "ikos-slabs",
        "ikos-object 0xffff800002000000",
        CMDLINE="",
    )
    assert re.search(r'mm_frames: "frames", .*: \d+ free of \d+\n', done["ikos-buddy"])
    assert re.search(r"mm_frames: .*\n  no contradiction\n", done["ikos-check"])
    assert done["ikos-zones"] == "this kernel has no zones: they come with lab 2\n"
    assert done["ikos-slabs"] == "this kernel has no caches: they come with lab 3\n"
    assert "is no object: frame 0x2000" in done["ikos-object 0xffff800002000000"]
    assert "lent" not in done["ikos-page 0x2000"] and "group" not in done["ikos-page 0x2000"]


def test_inside_an_operation(kernel: Path) -> None:
    done = session(
        replay("--kernel", kernel, "--case", "mixed"),
        "watch -l the_lab.buddy.frames_free",
        "continue",
        "print the_lab.buddy.lock",
        "ikos-buddy the_lab.buddy",
        "ikos-check the_lab.buddy",
    )
    assert re.search(r'lock "lab": held( by CPU 0)?\n', done["print the_lab.buddy.lock"])
    assert re.search(r"(CPU 0|somebody) holds its lock", done["ikos-buddy the_lab.buddy"])
    checked = done["ikos-check the_lab.buddy"]
    assert re.search(r"frames_managed says .*\n.*\n  \S+.* holds its lock", checked)


@pytest.mark.parametrize("script", ["debug", "replay"])
def test_many_stops_are_no_hang(kernel: Path, script: str) -> None:
    """Every stop costs virtual time, of which the watchdog must not take notice."""
    words: list[str | Path] = [ROOT / "scripts/debug", kernel]
    if script == "replay":
        words = replay("--kernel", kernel, "--case", "mixed")
    done = session(
        words,
        "break buddy_alloc",
        "ignore $bpnum 900",
        "continue",
        CPUS="1",
        CMDLINE="ktest=buddy.mixed",
    )
    assert "Will ignore next 900 crossings" in done["ignore $bpnum 900"]
    assert re.search(r"Breakpoint \d+, buddy_alloc \(", done["continue"])


def test_several_cpus_are_not_stopped_on_the_way(kernel: Path) -> None:
    """So the run is the grader's, to the instruction."""
    words = replay("--kernel", kernel, "--case", "smp_stress", "--seed", "7")
    done = session(words, "info breakpoints")
    assert "this is the end of the run: it did not fail" in done.begin
    free = subprocess.run(
        [sys.executable, *words, "--no-gdb"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert set(re.findall(r"virtual_ns: \d+", done.begin + free.stdout)) == set(
        re.findall(r"virtual_ns: \d+", free.stdout)
    )


def test_damage_is_found_and_named(kernel: Path) -> None:
    done = session(
        replay("--kernel", kernel, "--case", "mixed", "--seed", "3"),
        "tbreak lab_totals",
        "continue",
        "ikos-check",
        "ikos-check the_lab.buddy",
        "ikos-page the_lab.first",
        "ikos-memmap",
        "set var the_lab.buddy.frames_free += 1",
        "set var the_lab.buddy.area[10].nr_free += 7",
        "set var the_lab.buddy.nonempty |= 0x1000",
        "set var $page(the_lab.first + 1)->state = 0",
        "ikos-check the_lab.buddy ",
        "ikos-buddy the_lab.buddy",
        "set var $link = the_lab.buddy.area[10].list.next->next",
        "set var $link->next = 0x1234567890",
        "ikos-check the_lab.buddy  ",
        "ikos-buddy the_lab.buddy ",
        "print the_lab.buddy.area[10].list",
        "ikos-page the_lab.first + 1",
    )
    [arena] = re.findall(r"not looked at: frames (\[.*\)) of a running test", done["ikos-check"])
    assert "no contradiction" in done["ikos-check"]
    assert "no contradiction" in done["ikos-check the_lab.buddy"]
    assert f"test arena  {arena}" in done["ikos-page the_lab.first"]
    assert "a test's 8192" in done["ikos-memmap"]
    text = done["ikos-check the_lab.buddy "]
    assert re.search(r"frame \S+ is reserved inside the block \S+ of order \d+\n", text)
    assert re.search(r"frames \[\S+, \S+\) are tail outside any block\n", text)
    assert re.search(r"nr_free of order 10 says \d+, but \d+ blocks of it are free\n", text)
    assert "has bits beyond order 10\n" in text
    assert re.search(r"frames_free says \d+, but \d+ frames are free\n", text)
    assert re.search(r"^\d+ contradictions$", text, re.MULTILINE)
    assert "<- nr_free is wrong by 7 blocks\n" in done["ikos-buddy the_lab.buddy"]
    wrong_link = r"free list 10: the next of frame \S+ is 0x1234567890, which is no page\n"
    assert re.search(wrong_link, done["ikos-check the_lab.buddy  "])
    broken = r"free list 10 is broken after frame \S+: the next of \S+ is 0x1234567890"
    assert re.search(broken, done["ikos-buddy the_lab.buddy "])
    assert "list, broken after 2: " in done["print the_lab.buddy.area[10].list"]
    assert "reserved" in done["ikos-page the_lab.first + 1"]


def test_replay_forward_to_the_failure(planted: Path) -> None:
    tree = planted.parent.parent.parent
    done = session(
        replay("--kernel", planted, "--lab", "1", "--case", "mixed", "--seed", "3", tree=tree),
        "continue",
        "backtrace",
    )
    assert "#0  ktest_buddy_mixed (" in done.begin
    assert re.search(r"Breakpoint \d+, panic_frame ", done["continue"])
    # On, through the trap, to the code that was interrupted and its callers.
    callers = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) \(", done["backtrace"], re.MULTILINE)
    first = callers.index("trap_entry")
    assert callers[first + 1] == "list_del"
    assert "ktest_buddy_mixed" in callers[first + 2 :]


def test_replay_without_gdb(kernel: Path, planted: Path) -> None:
    words = ["--lab", "buddy", "--case", "mixed", "--seed", "3", "--no-gdb"]
    for elf, status, ending in ((kernel, 0, "a pass"), (planted, 1, "a panic")):
        done = subprocess.run(
            [sys.executable, *replay("--kernel", elf, *words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == status
        assert "# Subtest: buddy" in done.stdout
        assert done.stdout.endswith(f"replay: ended with {ending}\n")


def test_one_line_says_what_is_wrong(kernel: Path, tmp_path: Path) -> None:
    say = replay("--kernel", kernel, "--lab", "buddy")
    assert "which case? Say make replay LAB=buddy CASE=...: pristine" in failing(*say, "--case", "")
    assert "lab buddy has no case nix; it has: " in failing(*say, "--case", "nix")
    assert "there is no lab nix" in failing(*say, "--lab", "nix", "--case", "mixed")
    backwards = failing(*say, "--case", "smp_stress", "--reverse")
    assert "needs 4 CPUs, and only one can be recorded. Without REVERSE=1" in backwards
    missing = tmp_path / "kernel.elf"
    assert "no such file" in failing(*replay("--kernel", missing, "--case", "mixed"))
    assert "no such file" in failing(ROOT / "scripts/debug", missing)
    assert "nothing waits at port 9" in failing(ROOT / "scripts/debug", "--port", "9", kernel)


# ---- Backwards -----------------------------------------------------------------------------


def test_back_to_the_line_that_wrote_it(planted: Path) -> None:
    tree = planted.parent.parent.parent
    start = time.monotonic()
    done = session(
        replay("--kernel", planted, "--case", "mixed", "--seed", "3", "--reverse", tree=tree),
        "frame",
        "ikos-check the_lab.buddy",
        "ikos-who-wrote entry->next",
        "print requests",
        "ikos-who-wrote the_lab.buddy.area[10].list.prev->next",
        "reverse-next",
        "info breakpoints",
    )
    assert time.monotonic() - start < LIMIT_S / 2
    assert "replay: it ended with a panic" in done.begin
    assert "this is where it fails, in panic_frame()" in done.begin
    assert "list_del (entry=" in done["frame"]  # the instruction itself, not the panic
    assert "free list 10: the next of its head is 0x0" in done["ikos-check the_lab.buddy"]
    found = done["ikos-who-wrote entry->next"]
    line = planted_line(planted)
    assert f"was last written in buddy_alloc() at mm/buddy_allocator.c:{line}\n" in found
    assert re.search(r"^  old value    0xffffffff\w+ <the_lab\+\d+>$", found, re.MULTILINE)
    assert "  new value    0x0\n" in found
    [(at, before)] = re.findall(r"instruction  (\d+), (\d+) before where you were", found)
    assert int(at) > 1_000_000 and int(before) > 100_000
    assert "ktest_buddy_mixed" in found
    assert "$1 = 1000\n" in done["print requests"]
    # The machine is at that instruction, which has not run yet: so the next answer is older.
    older = done["ikos-who-wrote the_lab.buddy.area[10].list.prev->next"]
    assert "new value    0xffffffff" in older
    [at_older] = re.findall(r"instruction  (\d+),", older)
    assert int(at_older) < int(at)
    assert "panic_frame" in done["info breakpoints"]


def test_every_write_is_found(kernel: Path) -> None:
    """Also the last instruction's, and none; and the session can be used on from there."""
    done = session(
        replay("--kernel", kernel, "--case", "double_free", "--seed", "3", "--reverse"),
        "backtrace 2",
        "ikos-who-wrote nr_cpus",
        "watch -l the_lab.buddy.frames_free",
        "reverse-continue",
        "ikos-who-wrote the_lab.buddy.frames_free",
        "stepi",
        "ikos-who-wrote the_lab.buddy.frames_free ",
        "ikos-who-wrote the_lab.buddy.frames_free  ",
        "ikos-who-wrote 3",
        "ikos-who-wrote 1.5",
        "ikos-who-wrote",
        "delete",
        "break ktest_buddy_double_free",
        "reverse-continue ",
        "tbreak panic",
        "continue",
    )
    assert "this is where it fails, in panic()" in done.begin
    assert re.search(r"^#1 .* in bad_free \(", done.begin, re.MULTILINE)  # who called panic()
    assert "nothing wrote nr_cpus before instruction" in done["ikos-who-wrote nr_cpus"]
    place = r"written in take_back\(\) at mm/buddy_allocator.c:\d+\n"
    first = done["ikos-who-wrote the_lab.buddy.frames_free"]
    assert re.search(place, first) and ", 1 before where you were" in first
    assert re.search(place, done["ikos-who-wrote the_lab.buddy.frames_free "])
    assert "written in give_out()" in done["ikos-who-wrote the_lab.buddy.frames_free  "]
    assert done["ikos-who-wrote 3"] == "3: address 0x3 is not mapped\n"
    assert "is not in memory" in done["ikos-who-wrote 1.5"]
    assert "who wrote what? Give an expression" in done["ikos-who-wrote"]
    assert "ktest_buddy_double_free (t=" in done["reverse-continue "]
    assert "panic (" in done["continue"]


def test_a_case_that_passes_ends_at_its_end(kernel: Path) -> None:
    done = session(
        replay("--kernel", kernel, "--case", "split", "--reverse"),
        "ikos-who-wrote the_lab.buddy.frames_free",
        "continue",
    )
    assert "this is the end of the run: it did not fail" in done.begin
    assert "was last written in give_out()" in done["ikos-who-wrote the_lab.buddy.frames_free"]
    assert "this is the end of the run" in done["continue"]


# ---- On a terminal --------------------------------------------------------------------------


def test_two_terminals_and_their_keys(kernel: Path, tmp_path: Path) -> None:
    # At a place of its own: any other test's debugger would be attached to what waits.
    own = tmp_path / "kernel.elf"
    own.symlink_to(kernel)
    pexpect = pytest.importorskip("pexpect", reason="needs the package python3-pexpect")

    def terminal(*words: str | Path) -> "pexpect.spawn":
        words = (str(word) for word in words)
        return pexpect.spawn(sys.executable, list(words), encoding="latin-1", timeout=LIMIT_S)

    machine = terminal(ROOT / "scripts/debug", "--wait", own)
    debugger = None
    try:
        machine.expect("type:  make gdb\r\n")
        machine.expect("press Ctrl-A, then X.")
        assert "is in use" in failing(ROOT / "scripts/debug", "--wait", own)
        debugger = terminal(ROOT / "scripts/debug", own)
        debugger.expect(r"\(gdb\) ")
        debugger.sendline("tbreak kernel_main")
        debugger.sendline("continue")
        debugger.expect("kernel_main")
        for _ in range(2):  # Ctrl-C is for the guest, as often as you like
            debugger.sendline("continue")
            debugger.expect("Continuing")
            machine.expect("ikos> ") if _ == 0 else None
            debugger.sendintr()
            debugger.expect("SIGINT")
            debugger.expect(r"\(gdb\) ")
        debugger.sendline("detach")
        debugger.expect("detached")
        machine.sendline("help help")
        machine.expect("explain one")
        debugger.sendline("quit")
        debugger.expect(pexpect.EOF)
        machine.send("\x01x")
        machine.expect(pexpect.EOF)
    finally:
        machine.close(force=True)
        if debugger is not None:
            debugger.close(force=True)
