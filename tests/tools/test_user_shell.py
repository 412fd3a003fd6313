# SPDX-License-Identifier: MIT
"""The shell in user mode, typed at through QEMU's serial line, on two CPUs that run at once.

Needs QEMU, pexpect, the initrd (make initrd) and a built kernel; see test_console.py for which.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect", reason="needs the package python3-pexpect")

ROOT = Path(__file__).resolve().parents[2]
INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")

# A new one: the shell's line editor also writes it again on the line where it is.
PROMPT = re.compile(r"\r\nikos:\S+# ")
BEGUN = re.compile(r"\nbegun\r+\n")
AFTER_A_SCREEN = re.compile(r"ikos:\S+# ")  # not at the beginning of a line
CONSOLE = "ikos> "  # the kernel's own
PATIENCE = 150  # seconds, for the slowest host
POWERED_OFF, REBOOTED = 33, 0

UP, LEFT, RIGHT, RUBOUT, ESCAPE = "\x1b[A", "\x1b[D", "\x1b[C", "\x7f", "\x1b"
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r|\a")

SOAK_SEEDS = int(os.environ.get("IKOS_SOAK_SEEDS", "0"))  # make soak-user

SEGV, ILL, FPE, ABRT = 139, 132, 136, 134  # as the shell tells them


def ctrl(letter: str) -> str:
    return chr(ord(letter) & 0x1F)


class Shell:
    """A machine whose first program is the shell, and the terminal to it."""

    def __init__(
        self,
        kernel: Path,
        cpus: int = 2,
        patience: int = PATIENCE,
        mib: int = 256,
        options: Sequence[str] = (),
    ) -> None:
        if not INITRD.exists():
            pytest.skip(f"no initrd {INITRD}: run make initrd")
        self.child = pexpect.spawn(
            "qemu-system-x86_64",
            ["-accel", "tcg", "-cpu", "max", "-m", f"{mib}M", "-smp", str(cpus), "-nodefaults"]
            + ["-display", "none", "-no-reboot", "-chardev", "stdio,id=line,signal=off"]
            + ["-serial", "chardev:line", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
            + ["-kernel", str(kernel), "-initrd", str(INITRD), *options],
            encoding="latin-1",
            timeout=patience,
            echo=False,
        )
        self.child.delaybeforesend = None
        self.started = self.prompt()

    def prompt(self) -> str:
        """Wait for the next prompt, and return what came before it, as a person sees it."""
        return self.until(PROMPT)

    def until(self, what: str | re.Pattern[str]) -> str:
        """Wait for a text, and return what came before it."""
        if isinstance(what, str):
            what = re.compile(re.escape(what))
        try:
            self.child.expect([what])
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            pytest.fail(f"never saw {what.pattern!r}; the terminal: {self.child.before[-2000:]!r}")
            raise AssertionError from error
        return CONTROL.sub("", self.child.before)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.child.send(key)

    def run(self, line: str) -> list[str]:
        """Type a line, of one row, and return the lines that it printed."""
        self.keys(line, "\r")
        return self.prompt().split("\n")[1:]

    def begin(self, line: str) -> None:
        """Type a line whose command goes on until a key is pressed, and wait until it runs.

        A line with "begun" in it says so itself; of others, the shell does before it starts them.
        """
        self.keys(line if "begun" in line else f"echo begun; {line}", "\r")
        self.until(BEGUN)
        time.sleep(0.3)

    def status(self) -> str:
        """The exit status of the last command."""
        return self.run("echo $?")[0]

    def ended(self) -> int:
        """Wait for the end of the machine and return QEMU's exit status."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus

    def close(self) -> None:
        self.child.close(force=True)


@pytest.fixture(scope="module")
def shared(kernel: Path) -> Iterator[Shell]:
    shell = Shell(kernel)
    yield shell
    shell.close()


@pytest.fixture
def shell(shared: Shell) -> Shell:
    """A shell at an empty prompt; the machine is shared, so only for what leaves no trace."""
    shared.keys(ctrl("c"))
    shared.prompt()
    return shared


@pytest.fixture
def own(kernel: Path) -> Iterator[Shell]:
    """A machine of the test's own."""
    shell = Shell(kernel)
    yield shell
    shell.close()


def test_nothing_superfluous(shared: Shell) -> None:
    """Between the kernel's last line and the prompt, there is only what BusyBox says of itself."""
    said = shared.started.partition("boot: 2 CPUs")[2].split("\n")
    said = [line for line in said[1:] if line]
    assert [line.split()[0] for line in said] == ["BusyBox", "Enter"]


def test_commands(shell: Shell) -> None:
    assert shell.run("echo hello") == ["hello"]
    assert shell.run("cd /etc; pwd; cd /") == ["/etc"]
    assert shell.run("cat /etc/hostname") == ["ikos"]
    assert shell.run("seq 3 | tac") == ["3", "2", "1"]
    assert shell.run("no-such-command") == ["sh: no-such-command: not found"]
    assert shell.status() == "127"


def edit_lines(shell: Shell) -> list[list[str]]:
    shell.keys("echo abc", LEFT, "X", ctrl("e"), "d", RUBOUT, "e")
    shown = [shell.run("")]
    shell.keys("cho one two", ctrl("w"), "three", ctrl("a"), "e", RIGHT)
    shown.append(shell.run(""))
    shell.keys("garbage", ctrl("u"))
    shown.append(shell.run("echo clean"))
    shell.keys(UP, UP)
    return [*shown, shell.run("")]


def test_line_editing(shell: Shell) -> None:
    expected = [["abXce"], ["one three"], ["clean"], ["one three"]]
    for _ in range(4):  # the shell gives what a cursor key sends 50 ms to arrive as a whole
        shown = edit_lines(shell)
        if shown == expected:
            break
    assert shown == expected


def test_completion(shell: Shell) -> None:
    shell.keys("cat /etc/hostn\t")
    assert shell.run("") == ["ikos"]


def test_input_to_its_end(shell: Shell) -> None:
    shell.begin("wc -l")
    shell.keys("one\r", "two\r", ctrl("d"))
    assert shell.prompt().split("\n")[-1].strip() == "2"


def test_full_screen(shell: Shell) -> None:
    """vi, less and watch take the terminal over and give it back."""
    shell.begin("vi /tmp/note")
    shell.keys("ione\rtwo words", ESCAPE)
    shell.until("- /tmp/note [Modified]")  # before that, more keys are taken for a function key
    shell.keys("0dw", "yyp", ":wq\r")
    shell.until(AFTER_A_SCREEN)
    assert shell.run("cat /tmp/note") == ["one", "words", "words"]
    shell.begin("seq 500 | less")
    shell.until("20")
    shell.keys("G", "q")
    assert "500" in shell.until(AFTER_A_SCREEN)
    shell.begin("watch -n 4 echo tick")
    shell.until("tick")
    time.sleep(1)  # while its command runs, in system(), it ignores the key
    shell.keys(ctrl("c"))
    shell.until(AFTER_A_SCREEN)
    assert shell.run("rm /tmp/note; stty | grep -c -e -echo") == ["0"]


def test_here_document(shell: Shell) -> None:
    shell.keys("cat <<END\r", "line $((1 + 1))\r", "END\r")
    assert "line 2" in shell.prompt().split("\n")


# Its last process says that all are there: interrupted before, the pipeline ends as its input does.
PIPELINE = "sleep 100 | cat | (echo begun; cat)"


@pytest.mark.parametrize(
    "command",
    ["sleep 100", "cat", "while :; do :; done", "yes >/dev/null", PIPELINE],
)
def test_interrupted(shell: Shell, command: str) -> None:
    shell.begin(command)
    shell.keys(ctrl("c"))
    shell.prompt()
    assert shell.status() == "130"


def test_fuzzer_interrupted(shell: Shell) -> None:
    shell.begin("/tests/syscall_fuzz 3 1000000; rm -rf /tmp/fuzz-*")
    time.sleep(1)
    shell.keys(ctrl("c"))
    shell.prompt()
    assert shell.run("echo alive") == ["alive"]


def test_stopped_and_continued(shell: Shell) -> None:
    shell.begin("(echo begun; exec sleep 100)")
    shell.keys(ctrl("z"))
    assert "Stopped" in shell.prompt()
    assert "sleep 100" in shell.run("jobs")[0]
    shell.keys("fg\r")
    shell.until("sleep 100")
    time.sleep(0.3)
    shell.keys(ctrl("c"))
    shell.prompt()
    assert shell.run("jobs") == []


def test_background_jobs(shell: Shell) -> None:
    shell.run("sleep 0.3 & sleep 0.1 &")
    assert len(shell.run("jobs")) == 2
    shell.run("wait")
    assert shell.run("echo $?") == ["0"]
    assert shell.run("jobs") == []


@pytest.mark.parametrize(
    ("way", "message", "status"),
    [
        ("null", "Segmentation fault", SEGV),
        ("write", "Segmentation fault", SEGV),
        ("jump", "Segmentation fault", SEGV),
        ("stack", "Segmentation fault", SEGV),
        ("kernel", "Segmentation fault", SEGV),
        ("privileged", "Segmentation fault", SEGV),
        ("divide", "Floating point exception", FPE),
        ("illegal", "Illegal instruction", ILL),
        ("abort", "Aborted", ABRT),
    ],
)
def test_crash(shell: Shell, way: str, message: str, status: int) -> None:
    """The shell says what happened and goes on."""
    assert message in "\n".join(shell.run(f"crash {way}"))
    assert shell.status() == str(status)


def test_paste(shell: Shell) -> None:
    """Far more lines at once than the receive FIFO holds: none is lost.

    While a command runs, the terminal echoes what comes in, amid what the command prints.
    """
    shell.keys("".join(f"echo \\<$(({i} * 3))\\>\r" for i in range(40)))
    text = shell.until(f"<{39 * 3}>")
    shell.prompt()
    assert re.findall(r"<(\d+)>", text) == [str(i * 3) for i in range(39)]


def test_terminal_settings(shell: Shell) -> None:
    assert any("speed" in line for line in shell.run("stty -a"))
    shell.begin("read -s word; echo; echo got $word")
    shell.keys("secret\r")
    assert shell.prompt().split("\n")[-1] == "got secret"


def test_all_processors(shell: Shell) -> None:
    assert shell.run("nproc") == ["2"]
    assert re.fullmatch(
        r"threads: 8 threads, 100 rounds, \d+ faults, 0 pages wrong",
        shell.run("threads 8 100")[0],
    )


@pytest.mark.parametrize("program", ["threads", "fork", "mmap", "signals"])
def test_program(shell: Shell, program: str) -> None:
    """Some of what test_user.py runs on one CPU, where there are races to be lost."""
    lines = shell.run(f"/tests/{program}")
    assert not [line for line in lines if line.startswith(("not ok", "# user/"))]
    assert re.fullmatch(r"# pass:\d+ fail:0 skip:0 total:\d+ checks:\d+", lines[-1])


def free_memory(shell: Shell) -> int:
    return int(shell.run("awk '/^MemFree/ { print $2 }' /proc/meminfo")[0])


def test_memory_comes_back(shell: Shell) -> None:
    shell.run("cd /tests; w() { forks 4 2; threads 4 20; ./vm_model 5 300; seq 99 | wc; }")
    shell.run("w; ./syscall_fuzz 5 5 100")
    before = free_memory(shell)
    shell.run("w; w; ./syscall_fuzz 5 5 100")
    assert free_memory(shell) > before - 1024


def test_out_of_memory(kernel: Path) -> None:
    """Who has most is ended, and told once; the shell, which has little, never."""
    shell = Shell(kernel, mib=48)
    before = free_memory(shell)
    said = shell.run("head -c 60000000 /dev/zero | sort | wc")
    assert [line for line in said if re.fullmatch(r"out of memory: sort\[\d+\] is killed", line)]
    grow = "head -c 9000000 /dev/zero | sort >/dev/null &"
    said = shell.run(f"(for i in 1 2 3 4 5 6; do {grow} done; wait)")
    killed = [line for line in said if line.startswith("out of memory: sort[")]
    assert killed and len(killed) == len(set(killed))
    assert free_memory(shell) > before - 1024
    assert shell.run("echo $((6 * 7))") == ["42"]
    shell.close()


@pytest.mark.skipif(not SOAK_SEEDS, reason="make soak-user")
def test_soak(kernel: Path) -> None:
    """The random programs with many seeds, on as many CPUs as there are, several at once."""
    shell = Shell(kernel, cpus=4, patience=10 * PATIENCE)
    for seed in range(1, SOAK_SEEDS + 1):
        shell.keys(f"for i in {seed} 1{seed} 2{seed}; do /tests/vm_model $i 3000 & done; ")
        shell.keys(f"for i in {seed} 3{seed}; do /tests/vm_model $i 3000 huge & done; ")
        shell.keys(f"/tests/syscall_fuzz {seed} 20 500; forks 5 2; threads 8 20; wait\r")
        said = shell.prompt()
        assert said.count(" operations: no contradiction\n") == 5, said
        assert "20 children" in said, said
        assert ", 0 saw what they should not" in said, said
        assert " 0 pages wrong" in said, said
    shell.keys("exit\r")
    shell.until(CONSOLE)
    shell.keys("check\r")
    assert "memory agrees with its books" in shell.until(CONSOLE)
    shell.close()


def test_no_input_no_work(shell: Shell) -> None:
    """At the prompt the machine sleeps: QEMU uses next to no processor time."""

    def ticks() -> int:
        fields = Path(f"/proc/{shell.child.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.5)
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 0.5 * os.sysconf("SC_CLK_TCK")


def test_init_is_told_by_signals(own: Shell) -> None:
    """BusyBox's init blocks those that it waits for, and has no handlers for them."""
    own.keys("(sleep 1; busybox poweroff) & exec busybox init\r")
    assert own.ended() == POWERED_OFF


def test_poweroff(own: Shell) -> None:
    own.keys("poweroff\r")
    assert own.ended() == POWERED_OFF


def test_reboot(own: Shell) -> None:
    own.keys("reboot\r")
    assert own.ended() == REBOOTED


def test_back_to_the_console(own: Shell) -> None:
    """When the shell ends, the kernel's own console takes over."""
    own.keys("exit\r")
    own.until(CONSOLE)
    own.keys("check\r")
    assert "agrees" in own.until(CONSOLE)
    own.keys("poweroff\r")
    assert own.ended() == POWERED_OFF
