# SPDX-License-Identifier: MIT
"""Names, addresses, structures and lines, of a program compiled for the purpose."""

import subprocess
from pathlib import Path

import pytest
from conftest import Fake
from grading.backtrace import explain, find_panic
from grading.debuginfo import DebugInfo
from grading.errors import GradingError, GuestError
from grading.symbols import Image

PROGRAM = """\
struct inner { int before; struct inner *next; };
struct outer { char c; struct inner link; struct inner area[3]; short numbers[2][5]; };
enum state { FIRST = 3, SECOND };
struct outer global_outer;
enum state state = SECOND;
static int __attribute__((noinline))
twice(int n)
{
	__asm__ volatile("");
	return 2 * n;
}
int
start(int n)
{
	return twice(n) + global_outer.c;
}
"""


@pytest.fixture(scope="module", params=["gcc", "clang"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("program")
    (directory / "src").mkdir()
    (directory / "src/program.c").write_text(PROGRAM)
    flags = ["-O1", "-g", "-nostdlib", "-static", "-no-pie", "-Wl,-e,start", "-ffreestanding"]
    command = [request.param, *flags, "-o", "program", "src/program.c"]
    subprocess.run(command, cwd=directory, check=True)
    return directory / "program"


def test_symbols(program: Path) -> None:
    image = Image(program)
    for name in ("twice", "start"):
        assert image.function_at(image.address(name)) == name
    outer = image.address("global_outer")
    assert image.function_at(outer) is None
    assert image.to_physical(outer) == outer
    assert image.to_physical(0x1234) is None
    with pytest.raises(GuestError, match="no symbol nothing"):
        image.address("nothing")


def test_structures(program: Path) -> None:
    debug = DebugInfo.of(program)
    assert debug.size_of("inner") == 16
    assert debug.member("outer", "link").offset == 8
    assert debug.member("outer", "link.next").offset == 16
    assert debug.member("outer", "area").size == 48
    assert debug.member("outer", "area").type == "inner"
    assert debug.member("outer", "numbers").size == 20
    assert debug.enumerator("SECOND") == 4
    with pytest.raises(GuestError, match="no struct nothing"):
        debug.size_of("nothing")
    with pytest.raises(GuestError, match="no member nothing"):
        debug.member("outer", "link.nothing")


def test_lines(program: Path) -> None:
    image = Image(program)
    place = image.debug.line_at(image.address("twice"))
    assert place is not None
    file, _, line = place.partition(":")
    assert file == "src/program.c"
    assert PROGRAM.splitlines()[int(line) - 1] in ("twice(int n)", "\treturn 2 * n;")
    assert image.debug.line_at(0x10) is None


def test_the_cache_follows_the_kernel(program: Path) -> None:
    cache = program.with_name("program.debuginfo.json")
    cache.unlink(missing_ok=True)
    size = DebugInfo.of(program).size_of("outer")
    assert cache.exists()
    cache.write_text(cache.read_text().replace('"sizes"', '"sises"'))
    assert DebugInfo.of(program).size_of("outer") == size
    for damage in ("", "[]", "{", '{"key": 1}'):
        cache.write_text(damage)
        assert DebugInfo.of(program).size_of("outer") == size
    program.with_name("other").write_bytes(program.read_bytes() + b"\0")
    cache.rename(program.with_name("other.debuginfo.json"))
    assert DebugInfo.of(program.with_name("other")).size_of("outer") == size


def test_what_is_no_kernel(tmp_path: Path) -> None:
    for content in (b"", b"text", b"\x7fELF\x01" + bytes(100), b"\x7fELF\x02" + b"\xff" * 100):
        path = tmp_path / "kernel"
        path.write_bytes(content)
        with pytest.raises(GradingError, match="not a 64-bit ELF file"):
            Image(path)


def test_backtrace_names_functions_and_lines(program: Path) -> None:
    image = Image(program)
    inside = image.address("twice")
    panic = find_panic(
        [
            "noise",
            "panic: buddy: wrong order",
            "registers: rax=0000000000000000",
            f"backtrace: {inside:#x} {image.address('start') + 5:#x} 0x1",
        ]
    )
    assert panic is not None and panic.message == "buddy: wrong order"
    first, second = explain(panic, image)
    assert first.startswith("in twice (src/program.c:")
    assert second.startswith("called from start (src/program.c:")


def test_recursion_is_said_once(program: Path) -> None:
    image = Image(program)
    addresses = " ".join([f"{image.address('start') + 5:#x}"] * 20)
    panic = find_panic(["panic: kernel stack overflow", f"backtrace: {addresses}"])
    assert panic is not None
    lines = explain(panic, image)
    assert len(lines) == 2 and lines[1].endswith(", 19 times")


def test_without_debugging_information_names_must_do(fake: Fake) -> None:
    panic = find_panic(["panic: x", "backtrace: 0x102005"])
    assert panic is not None
    assert explain(panic, Image(fake("panics"))) == ["in culprit"]


def test_kinds_of_panic() -> None:
    hang = find_panic(["panic: hang: no end after 9 ms of virtual time"])
    todo = find_panic(["panic: lab 1: TODO: buddy_alloc: split"])
    assert hang is not None and hang.is_hang and hang.todo is None
    assert todo is not None and not todo.is_hang and todo.todo == "buddy_alloc: split"
    assert find_panic(["no panic: here"]) is None
