# SPDX-License-Identifier: MIT
"""Programs in user mode: what BusyBox and our own programs print, in one boot of /tests/run.

Needs QEMU, the initrd (make initrd) and a built kernel; see test_console.py for which. Scripts
must print what they print on the host with the same BusyBox; programs that print KTAP must pass
there, too, which proves their assertions right.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")
TESTS = ROOT / "user/tests"
SCRIPTS = sorted(path.name for path in (ROOT / "user/files/tests/shell").glob("*.sh"))
RANDOM = {"vm_model", "syscall_fuzz"}
PROGRAMS = sorted(path.stem for path in TESTS.glob("*.c") if path.stem not in RANDOM)
SEEDS = (1, 2)  # as in user/files/tests/run

LIMIT_SECONDS = 300  # of the whole boot
HOST_LIMIT_SECONDS = 60
POWERED_OFF = 33

SECTION = re.compile(r"^@begin (\S+)\n(.*?)^@end \1 (\d+)\n", re.MULTILINE | re.DOTALL)
SHAPE = re.compile(r"^@@ ([^\n]*)\n(.*?)^@@@ (\d+)\n", re.MULTILINE | re.DOTALL)


class Report:
    """What one boot printed: for each test its output and exit status."""

    def __init__(self, text: str, status: int | None) -> None:
        self.text, self.status = text, status
        self.sections = {name: (body, int(end)) for name, body, end in SECTION.findall(text)}

    def of(self, name: str) -> tuple[str, int]:
        """A test's output and status; if it did not end, the end of all that was printed."""
        if name not in self.sections:
            tail = "\n".join(self.text.splitlines()[-40:])
            pytest.fail(f"{name} did not end; the machine (status {self.status}) printed:\n{tail}")
        return self.sections[name]


@pytest.fixture(scope="session")
def initrd() -> Path:
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    return INITRD


def machine(kernel: Path, initrd: Path, cmdline: str, cpu: str = "max") -> list[str | Path]:
    """One CPU that counts instructions: what happens is always the same."""
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", cpu, "-m", "256M",
        "-icount", "shift=0,align=off,sleep=off", "-nodefaults", "-display", "none",
        "-no-reboot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", kernel, "-initrd", initrd, "-append", cmdline,
    ]  # fmt: skip


@pytest.fixture(scope="session")
def report(kernel: Path, initrd: Path) -> Report:
    """One boot that runs everything."""
    command = machine(kernel, initrd, "init=/tests/run")
    status = None
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS,
            check=False,
        )  # fmt: skip
        output, status = run.stdout, run.returncode
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
    return Report(output.decode(errors="replace").replace("\r\n", "\n"), status)


@pytest.fixture(scope="session")
def root(initrd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The initrd, unpacked by cpio."""
    directory = tmp_path_factory.mktemp("root")
    with initrd.open("rb") as archive:
        subprocess.run(
            ["cpio", "--extract", "--quiet", "--no-preserve-owner"],
            cwd=directory, stdin=archive, check=True, timeout=HOST_LIMIT_SECONDS,
        )  # fmt: skip
    return directory


def on_host(root: Path, directory: Path, *command: str) -> tuple[str, int]:
    """Run a command of the initrd in a directory: its output and status."""
    path = ":".join(str(root / part) for part in ("bin", "sbin", "usr/bin", "usr/sbin"))
    run = subprocess.run(
        command, cwd=directory, env={"PATH": path, "HOME": "/root", "TZ": "UTC0"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=HOST_LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return run.stdout.decode(errors="replace"), run.returncode


# ---- The initrd -------------------------------------------------------------------------------


def test_initrd(root: Path) -> None:
    """It unpacks, links lead to BusyBox, and every program is there."""
    assert (root / "bin/sh").resolve() == (root / "bin/busybox").resolve()
    assert os.readlink(root / "usr/bin/awk") == "../../bin/busybox"
    assert os.access(root / "init", os.X_OK)
    assert {path.name for path in (root / "tests").iterdir() if os.access(path, os.X_OK)} >= {
        *PROGRAMS, *RANDOM, "run",
    }  # fmt: skip
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:")
    for name in ("dev", "proc", "tmp", "root"):
        assert (root / name).is_dir()


def test_initrd_is_reproducible(initrd: Path, root: Path, tmp_path: Path) -> None:
    """Nothing of the machine that packs it gets into it: neither dates, nor owners, nor order."""
    again = [tmp_path / "one", tmp_path / "two"]
    for out in again:
        command = [ROOT / "scripts/mkinitrd", "--busybox", root / "bin/busybox"]
        command += ["--files", ROOT / "user/files", out, f"tests/={root / 'tests/mmap'}"]
        subprocess.run(command, check=True, timeout=HOST_LIMIT_SECONDS)
        (root / "tests/mmap").touch()
    assert again[0].read_bytes() == again[1].read_bytes()


def test_initrd_without_busybox(tmp_path: Path) -> None:
    command = [ROOT / "scripts/mkinitrd", "--busybox", tmp_path / "none"]
    command += ["--files", ROOT / "user/files", tmp_path / "out"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("mkinitrd: cannot use BusyBox: ")
    assert run.stderr.count("\n") == 1


# ---- BusyBox ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_script(script: str, report: Report, root: Path, tmp_path: Path) -> None:
    """The same output and status as on the host."""
    expected, status = on_host(root, tmp_path, "sh", str(root / "tests/shell" / script))
    # Messages begin with the path of the script.
    expected = expected.replace(str(root / "tests/shell"), "/tests/shell")
    got, got_status = report.of(script)
    assert got.splitlines() == expected.splitlines()
    assert got_status == status


SHAPES = {
    "uname": r"(Linux|IKOS)\n",
    "uname -a": r"(Linux|IKOS) ikos .* x86_64 .*\n",
    "cat /proc/uptime": r"\d+\.\d\d \d+\.\d\d\n",
    "cat /proc/meminfo": r"MemTotal: +\d+ kB\nMemFree: +\d+ kB\n([\w()]+: +\d+( kB)?\n)+",
    "cat /proc/self/status": r"Name:\tcat\n(?s:.*)VmRSS:\t +\d+ kB\n(?s:.*)Threads:\t1\n(?s:.*)",
    "cat /proc/self/maps": r"([0-9a-f]+-[0-9a-f]+ [r-][w-][x-][ps] [0-9a-f]+ .*\n)+",
    "cat /proc/stat": r"cpu  (\d+ ?)+\n(?s:.*)",
    "cat /proc/loadavg": r"\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+/\d+ \d+\n",
    "cat /proc/cmdline": r"init=/tests/run\n",
    "ls /proc": r"(?s:.*)\b1\n(?s:.*)meminfo\n(?s:.*)",
    "ls /proc/self/fd": r"0\n1\n2\n3\n",
    "ls /dev": r"(?s:.*)console\n(?s:.*)null\n(?s:.*)zero\n",
    "free": r" +total +used +free .*\nMem: +\d+ +\d+ +\d+ .*\n(?s:.*)",
    "uptime": r" \d\d:\d\d:\d\d up .* load average: .*\n",
    "ps": r" *PID +USER .*\n +1 root .*\n(?s:.*)\d+ root +.*sleep 30\n(?s:.*)",
    "cat /proc/self/comm": r"cat\n",
    "nproc": r"1\n",
    "id": r"uid=0\(root\) gid=0\(root\).*\n",
    "date +%s": r"\d+\n",
    "hostname": r"ikos\n",
    "wc -c /proc/self/cmdline": r"25 /proc/self/cmdline\n",
    "vmstat": r" +free kB .*\n( +\d+){7}\n",
    "whoami": r"root\n",
    "owner": r"12 56\n",
    "device": r"crw-r--r-- +1 root +root +1, +3 .* null\n",
    "other_root": r"bin\n",
    "top -b -n 1": r"Mem: \d+K used, .*\nCPU: .*\nLoad average: .*\n(?s:.*)\btop -b(?s:.*)",
    "by_name": r"\d+\n(Terminated\n)?",
    "renice 3 1": r"",
    "busybox": r"BusyBox v(?s:.*)",
}


def shapes(report: Report) -> dict[str, tuple[str, int]]:
    body, _ = report.of("shapes")
    return {name: (text, int(status)) for name, text, status in SHAPE.findall(body)}


@pytest.mark.parametrize("command", SHAPES)
def test_shape(command: str, report: Report) -> None:
    text, status = shapes(report)[command]
    assert re.fullmatch(SHAPES[command], text), text
    assert status == 0


def test_pmap(report: Report) -> None:
    """The mappings of a process that sleeps: BusyBox, its heap, its stack, and their sum."""
    text, status = next(found for name, found in shapes(report).items() if name.startswith("pmap"))
    assert status == 0
    rows = [line.split() for line in text.splitlines()]
    assert rows[0][:3] == ["address", "kB", "there"]
    assert {"/bin/busybox", "[heap]", "[stack]"} <= {row[-1] for row in rows}
    mappings, total = rows[1:-1], rows[-1]
    assert total[0] == "total"
    for column in (1, 2, 3):
        assert sum(int(row[column]) for row in mappings) == int(total[column])
    assert any(row[4] == "r-xp" and int(row[2]) > 0 for row in mappings)


# ---- Programs of our own ----------------------------------------------------------------------


def check_ktap(text: str) -> None:
    """Every case passes, and there are as many as the plan says."""
    lines = text.splitlines()
    assert lines[0] == "KTAP version 1"
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan, lines[1]
    results = [line for line in lines if re.match(r"(not )?ok \d", line)]
    wrong = [line for line in lines if line.startswith(("not ok", "# user/"))]
    assert not wrong, "\n".join(wrong)
    assert len(results) == int(plan[1]) > 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str, report: Report) -> None:
    text, status = report.of(program)
    check_ktap(text)
    assert status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="what root may do is asserted")
@pytest.mark.parametrize("program", PROGRAMS)
def test_program_on_host(program: str, root: Path, tmp_path: Path) -> None:
    """The assertions hold for Linux."""
    text, status = on_host(root, tmp_path, str(root / "tests" / program))
    check_ktap(text)
    assert status == 0


def first_program(kernel: Path, initrd: Path, cmdline: str, cpu: str) -> str:
    """What is printed until the first program has ended; then the machine goes."""
    lines = []
    with subprocess.Popen(
        machine(kernel, initrd, cmdline, cpu), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as run:
        guard = threading.Timer(LIMIT_SECONDS, run.kill)
        guard.start()
        assert run.stdout
        for line in run.stdout:
            lines.append(line.decode(errors="replace").replace("\r\n", "\n"))
            if lines[-1].startswith("init: "):
                break
        guard.cancel()
        run.kill()
    return "".join(lines)


def ktap_of(text: str) -> str:
    return text[text.index("KTAP version 1") : text.index("init: ")]


def test_without_protection_keys(kernel: Path, initrd: Path) -> None:
    """A processor that has none: Linux's error numbers, and all else is skipped."""
    text = first_program(kernel, initrd, "init=/tests/pkeys", "max,-pku")
    assert re.search(r"^cpu: .* without .*\bPKU\b", text, re.MULTILINE)
    check_ktap(ktap_of(text))
    assert "ok 1 without_keys_there_are_none\n" in text
    assert text.count("# SKIP no protection keys here") == text.count("\nok ") - 1


def test_seed_fixes_the_addresses(kernel: Path, initrd: Path) -> None:
    """The same seed draws the same places."""
    one, same, other = (
        ktap_of(first_program(kernel, initrd, f"init=/tests/aslr seed={seed}", "max"))
        for seed in (7, 7, 8)
    )
    check_ktap(one)
    assert one == same != other


def test_heap_overflow_is_told(report: Report) -> None:
    """What the kernel says of a program that the guarded heap's pages have stopped."""
    lines = re.findall(r"^segfault: heap_guard\[\d+\] (.*)$", report.text, re.MULTILINE)
    assert len(lines) == 2, lines
    assert re.fullmatch(r"writing address 0x[0-9a-f]+000 from 0x.*: heap overflow", lines[0])
    assert re.fullmatch(r"writing .*: the mapping does not allow it", lines[1])  # freed


EXERCISERS = {
    "faults": r"first write to anonymous memory +256 faults +\d+ cycles each\n"
    r"second write: no fault +0 faults(?s:.*)"
    r"write to a page shared by fork: a copy +256 faults(?s:.*)"
    r"write to nothing +signal 11, code 1\n"
    r"write to a page that may only be read +signal 11, code 2\n"
    r"write to the kernel +signal 11, code 1\n",
    "forks": r"forks: 31 processes, \d+ faults, 0 saw what they should not\n",
    "signals": r"signals: 5000 accesses to 4096 pages, 4906 faults, 64 pages there, 0 wrong\n",
    "stackgrow": r"(stackgrow: [246]\d{3} kB\n){3}"
    r"stackgrow: signal 11 at 8\d\d\d kB below the start, 8\d\d\d calls deep, \d+ faults\n",
    "threads": r"threads: 4 threads, 50 rounds, \d+ faults, 0 pages wrong\n",
}


@pytest.mark.parametrize("program", EXERCISERS)
def test_exerciser(program: str, report: Report, root: Path, tmp_path: Path) -> None:
    host, host_status = on_host(root, tmp_path, str(root / "bin" / program))
    assert re.fullmatch(EXERCISERS[program], host), host
    assert host_status == 0
    text, status = report.of(f"bin/{program}")
    assert re.fullmatch(EXERCISERS[program], text), text
    assert status == 0


@pytest.mark.parametrize("pages", ("", "huge"))
@pytest.mark.parametrize("seed", SEEDS)
def test_model(seed: int, pages: str, report: Report, root: Path, tmp_path: Path) -> None:
    says = f"vm_model: seed {seed}, 1500 operations: no contradiction\n"
    command = [str(root / "tests/vm_model"), str(seed), "1500", *pages.split()]
    assert on_host(root, tmp_path, *command) == (says, 0)
    assert report.of("-".join(("vm_model", *pages.split(), str(seed)))) == (says, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_fuzz(seed: int, report: Report) -> None:
    text, status = report.of(f"syscall_fuzz-{seed}")
    assert status == 0
    counts = re.search(r"(\d+) calls: (\d+) succeeded, (\d+) failed; 10 children", text)
    assert counts, text
    made, succeeded, failed = map(int, counts.groups())
    assert made == succeeded + failed > 500
    assert succeeded > made / 10


def test_machine_ends_in_good_order(report: Report) -> None:
    assert report.status == POWERED_OFF
    assert "panic:" not in report.text
