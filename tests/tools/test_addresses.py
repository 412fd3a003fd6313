# SPDX-License-Identifier: MIT
"""Addresses in a kernel's output, explained: in verdicts, in ktest, and by scripts/symbolise."""

import subprocess
from pathlib import Path

import pytest
from conftest import TREE, Fake
from grading import addresses, lab, oracle
from grading.symbols import Image
from grading.verdict import Grader

PROGRAM = """\
void last(void) { __asm__ volatile("ud2"); }
__attribute__((noinline)) int
called(int n)
{
	__asm__ volatile("");
	return 2 * n;
}
int
start(int n)
{
	int m = called(n);

	__asm__ volatile("" ::: "memory");
	last();
	return m;
}
"""
CALL = 'start (src/program.c:11)'


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is linked where kernels are."""
    directory = tmp_path_factory.mktemp("program")
    (directory / "src").mkdir()
    (directory / "src/program.c").write_text(PROGRAM)
    flags = ["-O1", "-g", "-nostdlib", "-static", "-no-pie", "-fno-pie", "-ffreestanding"]
    flags += ["-mcmodel=kernel", "-fno-asynchronous-unwind-tables"]
    place = "-Wl,-e,start,-Ttext=0xffffffff80100000,--build-id=none"
    command = ["gcc", *flags, place, "-o", "kernel", "src/program.c"]
    subprocess.run(command, cwd=directory, check=True)
    return directory / "kernel"


def after_call(program: Path) -> int:
    """The address that called() returns to, in start()."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    at = next(i for i, line in enumerate(listing) if "\tcall " in line)
    return int(listing[at + 1].split(":")[0], 16)


def test_a_call_site(program: Path) -> None:
    image = Image(program)
    site = after_call(program)
    line = f"object 0x1234 allocated at {site:#x}, freed at {site:#x}"
    assert addresses.explain(line, image) == f"object 0x1234 allocated at {CALL}, freed at {CALL}"


def test_the_place_of_a_trap_is_no_return_address(program: Path) -> None:
    image = Image(program)
    entry = image.address("called")
    line = f"panic: page fault reading address 0x8 from kernel at {entry:#x}: no page"
    assert addresses.explain(line, image) == (
        "panic: page fault reading address 0x8 from kernel at called (src/program.c:6): no page"
    )


@pytest.mark.parametrize(
    "line",
    [
        "expected a == b, but a is 0xffffffff80100010",  # a value, no place
        "at 0xffffffff8f000000",  # in no function
        "at 0xffff888000100000",  # of the heap
        "at 0xffffffff801000100",
        "format 0xffffffff80100010",
        "at",
    ],
)
def test_what_is_left_as_it_is(program: Path, line: str) -> None:
    assert addresses.explain(line, Image(program)) == line


def symbolise(kernel: Path, text: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [TREE / "scripts/symbolise", kernel]
    return subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)


def test_a_serial_log(program: Path) -> None:
    site = after_call(program)
    log = (
        f"IKOS\xff\r\n# lost: 64 bytes, allocated at {site:#x}\r\n"
        f"panic: slab: double free\r\nbacktrace: {site:#x}\r\nbacktrace: {site:#x} 0x1\r\n"
        f"rebooting\r\nbacktrace: {site:#x}"
    )
    done = symbolise(program, log.encode("latin-1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [
        "IKOS\ufffd",
        f"# lost: 64 bytes, allocated at {CALL}",
        "panic: slab: double free",
        f"backtrace: {site:#x}",
        f"backtrace: {site:#x} 0x1",
        f"  in {CALL}",
        f"  called from {CALL}",
        "rebooting",
        f"backtrace: {site:#x}",
        f"  in {CALL}",
    ]


def test_what_is_no_kernel_is_one_line() -> None:
    done = symbolise(Path("/etc/passwd"), b"")
    assert done.returncode == 2
    assert done.stderr.startswith(b"symbolise: /etc/passwd is not a 64-bit ELF file")
    assert len(done.stderr.splitlines()) == 1


def test_verdicts_and_suites_name_functions(sample_tree: Path, fake: Fake) -> None:
    kernel = fake("site")
    the_lab = lab.find(sample_tree, "9")
    grader = Grader(the_lab, Image(kernel), oracle.load(the_lab.oracle), ref="1,2")
    result = grader.grade(the_lab.cases[0], 7)
    assert result.output == "mm/x.c:7: 1 object lost, allocated at culprit"
    assert result.replay == "make replay LAB=sample CASE=work SEED=7 REF=1,2"
    done = subprocess.run(
        [TREE / "grading/ktest", "--kernel", kernel, "--smp", "1"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "      mm/x.c:7: 1 object lost, allocated at culprit" in done.stdout.splitlines()
