# SPDX-License-Identifier: MIT
"""The interactive console, typed at through QEMU's serial line.

Needs QEMU, pexpect, and a built kernel: build/gcc-debug/kernel.elf, or the file that the
environment variable IKOS_KERNEL names. What the kernel sends is drawn on a small model of a
terminal, so a test looks at what a person would see.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect", reason="needs the package python3-pexpect")

ROOT = Path(__file__).resolve().parents[2]
KERNEL = Path(os.environ.get("IKOS_KERNEL", ROOT / "build/gcc-debug/kernel.elf"))

PROMPT = "ikos> "
COLUMNS = 80
PATIENCE = 150  # seconds, for the slowest host

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END, DELETE = "\x1b[H", "\x1b[F", "\x1b[3~"
RUBOUT = "\x7f"


def ctrl(letter: str) -> str:
    return chr(ord(letter) & 0x1F)


class Screen:
    """As much of a VT100 as the line editor relies on. It never wraps a row."""

    TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[?\d*$|.", re.DOTALL)

    def __init__(self) -> None:
        self.rows: list[list[str]] = [[]]
        self.column = 0
        self.bells = 0
        self.pending = ""

    def feed(self, text: str) -> None:
        text, self.pending = self.pending + text, ""
        for token in self.TOKEN.finditer(text):
            number, final = token.group(1), token.group(2)
            if final:
                self.escape(final, int(number or 1))
            elif token.group().startswith("\x1b"):
                self.pending = token.group()
            else:
                self.plain(token.group())

    def escape(self, final: str, number: int) -> None:
        if final == "K":
            del self.rows[-1][self.column :]
        elif final == "C":
            self.column += number
        elif final in "HJ":
            self.rows, self.column = [[]], 0
        else:
            raise AssertionError(f"unexpected control sequence ESC [ {number} {final}")

    def plain(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.rows.append([])
            self.column = 0
        elif char == "\a":
            self.bells += 1
        else:
            row = self.rows[-1]
            row.extend(" " * (self.column + 1 - len(row)))
            row[self.column] = char
            self.column += 1

    def lines(self) -> list[str]:
        return ["".join(row) for row in self.rows]


class Console:
    """A running kernel and what its terminal shows."""

    def __init__(self, cmdline: str = "") -> None:
        assert KERNEL.is_file(), f"no kernel at {KERNEL}: run make, or set IKOS_KERNEL"
        self.child = pexpect.spawn(
            "qemu-system-x86_64",
            ["-accel", "tcg", "-cpu", "max", "-m", "128M", "-nodefaults", "-display", "none"]
            + ["-no-reboot", "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"]
            + ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
            + ["-kernel", str(KERNEL), "-append", cmdline],
            encoding="latin-1",
            timeout=PATIENCE,
            echo=False,
        )
        self.child.delaybeforesend = None
        self.screen = Screen()

    def wait(self, seen: Callable[[Screen], bool], what: str) -> None:
        """Read until the screen satisfies seen."""
        end = time.monotonic() + PATIENCE
        while not seen(self.screen):
            assert time.monotonic() < end, f"never saw {what}; the screen:\n" + "\n".join(
                self.screen.lines()
            )
            try:
                self.screen.feed(self.child.read_nonblocking(4096, timeout=0.2))
            except pexpect.TIMEOUT:
                pass

    def row(self, text: str, column: int | None = None) -> None:
        """Wait for the last row to be the prompt and text, the cursor at that column of text.

        A test asks for no row that the keys before it would also show on the way.
        """
        place = len(PROMPT) + (len(text) if column is None else column)
        self.wait(
            lambda s: s.lines()[-1] == PROMPT + text and s.column == place,
            f"{PROMPT + text!r} with the cursor in column {place}",
        )

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.child.send(key)

    def run(self, line: str) -> list[str]:
        """Type a line and return what it printed."""
        self.row("")
        start = len(self.screen.rows)
        self.keys(line, "\r")
        self.wait(lambda s: len(s.rows) > start and s.lines()[-1] == PROMPT, "the next prompt")
        return self.screen.lines()[start:-1]

    def status(self) -> int:
        """Wait for the end of the machine and return QEMU's exit status."""
        self.child.expect(pexpect.EOF)
        self.screen.feed(self.child.before)
        self.child.close()
        return self.child.exitstatus

    def end(self) -> None:
        self.child.close(force=True)


@pytest.fixture(scope="module")
def shared() -> Iterator[Console]:
    console = Console()
    yield console
    console.end()


@pytest.fixture
def console(shared: Console) -> Console:
    """A console at an empty prompt; the machine is shared, so only for what leaves no trace."""
    shared.keys(ctrl("e"), ctrl("u"))
    shared.row("")
    return shared


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Console]:
    """A machine of the test's own, with the command line given by indirect parameter."""
    console = Console(getattr(request, "param", ""))
    yield console
    console.end()


def test_empty_lines(console: Console) -> None:
    assert console.run("") == []
    assert console.run("   ") == []


def test_help(console: Console) -> None:
    names = [line.split()[0] for line in console.run("help")]
    assert names == sorted(names)
    assert {"help", "test", "bench", "tunables", "panic", "reboot", "poweroff"} <= set(names)
    assert all(len(line) <= COLUMNS for line in console.run("help"))
    assert console.run("help help") == [
        "help [command]: list the commands, or explain one"
    ]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("hlep", 'unknown command "hlep"; did you mean "help"? Try "help"'),
        ("pooweroff", 'unknown command "pooweroff"; did you mean "poweroff"? Try "help"'),
        ("rebo", 'unknown command "rebo"; did you mean "reboot"? Try "help"'),
        ("frobnicate 1 2", 'unknown command "frobnicate"; try "help"'),
        ("help frobnicate", 'unknown command "frobnicate"; try "help"'),
        ("x" * 60, 'unknown command "' + "x" * 60 + '"; try "help"'),
    ],
)
def test_unknown_commands(console: Console, typed: str, answer: str) -> None:
    assert console.run(typed) == [answer]


def test_moving_and_inserting(console: Console) -> None:
    console.keys("help")
    console.row("help")
    console.keys(LEFT, LEFT, "XY")
    console.row("heXYlp", 4)
    console.keys(HOME, "a", END, "z")
    console.row("aheXYlpz")
    console.keys(ctrl("a"), RIGHT, "b", ctrl("e"), "y")
    console.row("abheXYlpzy")
    console.keys(ctrl("b"), ctrl("b"), ctrl("f"))
    console.row("abheXYlpzy", 9)
    # There is nothing beyond the ends.
    console.keys(*[LEFT] * 20)
    console.row("abheXYlpzy", 0)
    console.keys(*[RIGHT] * 20)
    console.row("abheXYlpzy", 10)


def test_deleting(console: Console) -> None:
    console.keys("one two three", RUBOUT)
    console.row("one two thre")
    console.keys(ctrl("w"))
    console.row("one two ")
    console.keys(ctrl("w"))
    console.row("one ")
    console.keys("2 3", ctrl("a"), DELETE, ctrl("d"))
    console.row("e 2 3", 0)
    console.keys(RUBOUT, RIGHT, RIGHT, ctrl("k"))
    console.row("e ")
    console.keys(DELETE, "xyz", LEFT, ctrl("u"))
    console.row("z", 0)


def test_history(console: Console) -> None:
    for word in ("first", "second", "second"):
        console.run("help " + word)
    console.keys("unfinished", UP)
    console.row("help second")
    console.keys(UP)
    console.row("help first")
    console.keys(DOWN, ctrl("n"))
    console.row("unfinished")
    console.keys(DOWN, ctrl("p"), ctrl("p"), "ly")
    console.row("help firstly")
    console.keys(DOWN)
    console.row("help second")


def test_history_keeps_32_lines(console: Console) -> None:
    for number in range(40):
        console.run(f"help {number}")
    console.keys(*[UP] * 50)
    console.row("help 8")


def test_long_lines(console: Console) -> None:
    line = "".join(chr(ord("a") + i % 26) for i in range(200))
    columns = COLUMNS - len(PROMPT) - 1
    console.keys(line)
    console.row(line[-columns:])
    console.keys(ctrl("a"))
    console.row(line[:columns], 0)
    console.keys(*[RIGHT] * 5, "#")
    console.row((line[:5] + "#" + line[5:])[:columns], 6)
    console.keys(ctrl("e"), RUBOUT)
    # The window stays where it was, so there is an empty column now.
    console.row((line[:5] + "#" + line[5:])[-columns:-1])
    assert all(len(row) < COLUMNS for row in console.screen.lines()[-1:])


def test_full_line(console: Console) -> None:
    bells = console.screen.bells
    console.keys("help " + "x" * 300)
    console.wait(lambda s: s.bells == bells + 50, "50 bells for 50 characters too many")
    console.keys("\r")
    console.wait(lambda s: s.lines()[-1] == PROMPT, "the prompt")
    answer = [line for line in console.screen.lines() if line.startswith("unknown command")][-1]
    assert answer == 'unknown command "' + "x" * 250 + '"; try "help"'


def test_completion(console: Console) -> None:
    console.keys("pow\t")
    console.row("poweroff ")
    console.keys(ctrl("u"), "zz\tz")
    console.row("zzz")
    console.keys(ctrl("u"), "help\tpo\tw")
    console.row("help pow")
    console.keys(ctrl("u"), "p\ta")
    console.row("pa")
    listed = console.screen.lines()[-2].split()
    assert {"panic", "poweroff"} <= set(listed)
    assert all(word.startswith("p") for word in listed)


def test_clear_and_abandon(console: Console) -> None:
    console.run("help help")
    console.keys("abc", LEFT, ctrl("l"))
    console.wait(lambda s: s.lines() == [PROMPT + "abc"] and s.column == 8, "a cleared screen")
    console.keys(ctrl("c"), "x")
    console.row("x")
    assert console.screen.lines()[-2].endswith("^C")


def test_line_ends(console: Console) -> None:
    console.row("")
    start = len(console.screen.rows)
    console.keys("help a\nhelp b\r\nhelp c\r")
    console.wait(lambda s: len(s.rows) >= start + 6 and s.lines()[-1] == PROMPT, "three answers")
    assert len(console.screen.rows) == start + 6


def test_unknown_keys_do_nothing(console: Console) -> None:
    console.keys("ab", "\x1b[5~", "\x1b[1;5C", "\x1bOP", "\x1bx", "\xe9", ctrl("t"), "c")
    console.row("abc")


def test_paste(console: Console) -> None:
    """Far more lines at once than the receive FIFO holds: none is lost."""
    console.row("")
    console.keys("".join(f"help {i}\r" for i in range(60)))
    console.wait(lambda s: 'unknown command "59"; try "help"' in s.lines(), "the last answer")
    console.row("")
    answers = re.findall(r'unknown command "(\d+)"', "\n".join(console.screen.lines()))
    assert answers[-60:] == [str(i) for i in range(60)]


def test_tests_from_the_console(console: Console) -> None:
    suites = console.run("test")
    assert any(re.fullmatch(r" +ktest +\d+ cases", line) for line in suites)
    report = console.run("test ktest.seed 7")
    assert report[:2] == ["KTAP version 1", "1..1"]
    assert report[2:5] == ["    KTAP version 1", "    # Subtest: ktest", "    1..1"]
    assert report[5].startswith("    # seed: 7  virtual_ns: ")
    assert report[6:] == [
        "    ok 1 seed",
        "# ktest: pass:1 fail:0 skip:0 total:1",
        "ok 1 ktest",
    ]
    assert console.run("test nosuch")[-1] == "Bail out!"
    assert console.run("test ktest.seed x") == [
        'test: "x" is not a seed: give a 64-bit number'
    ]
    assert console.run("bench nosuch")[0] == 'bench: no suite "nosuch"; "all" runs these:'


def test_no_input_no_work(console: Console) -> None:
    """At the prompt the machine sleeps: QEMU uses next to no processor time."""
    console.row("")

    def ticks() -> int:
        fields = Path(f"/proc/{console.child.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1)
    assert ticks() - before < 0.5 * os.sysconf("SC_CLK_TCK")


def test_objects(own: Console) -> None:
    """The caches that have memory: the kernel's files have, threads only once there was one."""
    before = [line.split() for line in own.run("slabinfo")]
    assert before[0][:4] == ["cache", "bytes", "in", "use"]
    own.run("test threads.names")
    after = [line.split() for line in own.run("slabinfo")]
    assert {row[0] for row in before} <= {row[0] for row in after}
    assert "thread" in {row[0] for row in after}


def test_poweroff(own: Console) -> None:
    own.row("")
    own.keys("poweroff\r")
    assert own.status() == 33


def test_panic(own: Console) -> None:
    own.row("")
    own.keys("panic\r")
    assert own.status() == 37
    assert "panic: asked for at the console" in own.screen.lines()


def test_reboot(own: Console) -> None:
    own.row("")
    own.keys("reboot\r")
    assert own.status() == 0  # -no-reboot


@pytest.mark.parametrize(
    "own",
    ["nonsense test.number=0 test.number=3 test.number=x =1 seed=-1 evidence=12 ktest="],
    indirect=True,
)
def test_command_line(own: Console) -> None:
    own.row("")
    lines = [line for line in own.screen.lines() if line.startswith("cmdline:")]
    assert lines == [
        'cmdline: unknown option "nonsense" ignored',
        'cmdline: bad value "0" for "test.number" (1..100): keeping 7',
        'cmdline: bad value "x" for "test.number" (1..100): keeping 3',
        'cmdline: unknown option "=1" ignored',
        'cmdline: bad value "-1" for "seed" (a 64-bit number): ignored',
        'cmdline: bad value "12" for "evidence" (bytes for the transcript, 4K to 4G): ignored',
        'cmdline: bad value "" for "ktest" (SUITE[.CASE[/PARAM]][,...], all or list): ignored',
    ]
    tunables = own.run("tunables")
    assert tunables[0].split() == ["KEY", "VALUE", "LIMITS"]
    assert any(line.split() == ["test.number", "3", "1..100"] for line in tunables)
