# SPDX-License-Identifier: MIT
"""Submissions: what is read of them, what is refused, and the sandbox that they are built in."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TREE
from grading import audit, lab, screen, submission
from grading.c_tokens import Kind, tokens
from grading.errors import GradingError, GuestError
from grading.guest import Guest
from grading.result import Status
from grading.sandbox import Confined, Limits, Unconfined
from grading.workshop import Workshop
from test_build import plant

NAME = "mm/x.c"
FLAGS = ["-ffreestanding", "-mgeneral-regs-only", "-fno-pie", "-mcmodel=kernel", "-O1", "-g"]
FLAGS += ["-fstack-protector-strong", "-mstack-protector-guard=global"]
RULES = audit.Rules(
    symbols={"panic"},
    kernel={"panic", "evidence", "ktest_fail", "__stack_chk_fail", "__stack_chk_guard"},
    sections=set(),
    image=range(0xFFFFFFFF80100000, 0xFFFFFFFF80200000),
)


# -- tokens ------------------------------------------------------------------------------


def test_tokens_know_their_lines_and_kinds() -> None:
    text = "int a\\\n = 'x'; /* b\n */ // c\\\nd\n%: /**/ define E f\\\n g\n\"s//\" .5e+3"
    found = [(token.kind, token.text, token.line) for token in tokens(text)]
    assert found == [
        (Kind.NAME, "int", 1),
        (Kind.NAME, "a", 1),
        (Kind.PUNCTUATOR, "=", 2),
        (Kind.CHARACTER, "'x'", 2),
        (Kind.PUNCTUATOR, ";", 2),
        (Kind.DIRECTIVE, "#define E f g", 5),
        (Kind.STRING, '"s//"', 7),
        (Kind.NUMBER, ".5e+3", 7),
    ]


# -- reading -----------------------------------------------------------------------------


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    (tmp_path / "mm").mkdir()
    (tmp_path / NAME).write_text("int x;\n")
    return tmp_path


def test_a_plain_file_is_read(handed_in: Path) -> None:
    assert screen.read_source(handed_in, NAME) == b"int x;\n"


def test_anything_else_is_not(handed_in: Path) -> None:
    path = handed_in / NAME

    def refused() -> str:
        with pytest.raises(screen.NotText) as caught:
            screen.read_source(handed_in, NAME)
        return str(caught.value)

    os.truncate(path, 1 << 30)
    assert refused() == "mm/x.c has 1073741824 bytes: at most 1048576 are read"
    path.write_bytes(b"int x;\n\xff")
    assert refused() == "mm/x.c:2: is no text in UTF-8"
    path.write_bytes(b"int x;\0")
    assert "byte 0" in refused()
    path.unlink()
    assert refused() == "the submission has no file mm/x.c"
    path.symlink_to("/etc/passwd")
    assert "no plain file" in refused()
    path.unlink()
    os.mkfifo(path)
    assert "no plain file" in refused()
    path.unlink()
    path.mkdir()
    assert "no plain file" in refused()
    path.rmdir()
    (handed_in / "elsewhere").mkdir()
    (handed_in / "elsewhere/x.c").write_text("int x;\n")
    (handed_in / "mm").rmdir()
    (handed_in / "mm").symlink_to("elsewhere")
    assert "no plain file" in refused()


# -- screening -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '#include <page.h>\n#include "list.h"\n',
        "/* #line 5 */ // #pragma weak x\nchar *s = \"#line\";\n",
        "#if 1\n#pragma GCC diagnostic ignored \"-Wunused\"\n#error no\n#endif\n",
        "#define LINE #line\n",
    ],
)
def test_sources_that_may_pass(text: str) -> None:
    assert screen.check_source(NAME, text) is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('\n#include "/etc/passwd"', 2, "only the kernel's headers"),
        ("#include <../../etc/passwd>", 1, "only the kernel's headers"),
        ('# /* */ include/**/"a/../b.h"', 1, "only the kernel's headers"),
        ("#line 3", 1, "#line"),
        ("x\n#li\\\nne 3", 2, "#line"),
        ("%: 7 \"y.h\"", 1, "#line"),
        ("#pragma redefine_extname a b", 1, "redefine_extname"),
        ("#pragma weak a = b", 1, "#pragma weak"),
        ("#ident \"x\"", 1, "#ident"),
    ],
)
def test_sources_that_may_not(text: str, line: int, what: str) -> None:
    found = screen.check_source(NAME, text)
    assert found is not None and found.line == line and what in found.what


def test_a_raw_string_hides_nothing() -> None:
    with pytest.raises(screen.NotText, match="mm/x.c:1: a raw string"):
        screen.check_source(NAME, 'char *s = R"(" /* )";\n#line 3 */')


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("void f(void) { __asm__ volatile(\"\" ::: \"memory\"); }", True),
        ("void f(void) { asm(\"nop\"); }", False),
        ("__asm__(\"\");", True),
        ("int x __asm__(\"\");", False),
        ("#define J(a, b) a##b\nvoid f(void) { J(__as, m__)(\".section x\"); }", False),
        ("static int x __attribute__((unused, aligned(8)));", True),
        ("#define S sec##tion\nint x __attribute__((__section__(\"a\")));", False),
        ("static void __attribute__((constructor)) f(void) {}", False),
        ("[[gnu::section(\"a\")]] int x;", False),
        ("int f(int section) { return section ? section : (section); }", True),
        ("#define P _Pragma(\"weak f\")\nP int f;", False),
        ("#include <spinlock.h>\nvoid f(spinlock_t *l) { spin_lock_irqsave(l); }", True),
        ("#include <ktest.h>\nKTEST(buddy, split) { (void)t; }", False),
        ("#include <percpu.h>\nint f(void) { return cpu_id(); }", True),
        ("#include <cmdline.h>\nCMDLINE_OPTION(a, \"a\", \"\", 0);", True),
        ("int x __attribute__((section(\"cmdline_options\"), weak));", False),
        ("int x __attribute__((section(\"cmdline_options\" \"2\")));", False),
    ],
)
def test_what_macros_hide(tmp_path: Path, text: str, allowed: bool) -> None:
    (tmp_path / "mm").mkdir()
    (tmp_path / NAME).write_text(text + "\n")
    includes = ["-I", TREE / "include", "-I", TREE / "kernel/x86_64/include"]
    command = ["gcc", "-E", "-std=gnu11", *FLAGS, *includes, NAME]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = screen.check_preprocessed(NAME, done.stdout, {"cmdline_options"})
    assert (found is None) == allowed, found
    if found:
        assert found.line == 1 + text.count("\n") or "KTEST" in text


def test_dependencies() -> None:
    headers = ("include/", "/usr/lib/gcc")
    rule = f"x.o: {NAME} include/page.h \\\n /usr/lib/gcc/x/include/stddef.h"
    assert screen.check_dependencies(NAME, rule, headers) is None
    for other in ("/usr/include/stdio.h", "include/../mm/y.c", "mm/y.c"):
        found = screen.check_dependencies(NAME, f"{rule} {other}", headers)
        assert found is not None and other in found.what


# -- audit -------------------------------------------------------------------------------


def audited(directory: Path, text: str) -> screen.Finding | None:
    """What the audit says of a source, compiled as it is."""
    (directory / "mm").mkdir(exist_ok=True)
    (directory / NAME).write_text(text)
    flags = [*FLAGS, f"-ffile-prefix-map={directory}=."]
    subprocess.run(["gcc", *flags, "-c", "-o", "x.o", NAME], cwd=directory, check=True)
    command = audit.disassemble("x.o")
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    compiled = audit.Object(NAME, directory / "x.o", done.stdout, {})
    return audit.check(compiled, audit.defined_symbols(directory / "x.o"), RULES)


@pytest.mark.parametrize(
    "text",
    [
        "void panic(const char *); void f(void) { panic(\"x\"); }",
        "static int in, out = 5; int *f(int i) { return i ? &in : &out; }",
        "void f(void) { __asm__(\"cli; sti; pushfq; popq %%rax; pause; rdtsc\" ::: \"rax\"); }",
        "long f(long n) { return n * -2147483648L + 0xffffffff7fffffffL; }",
        "void missing(void); void f(void) { missing(); }",
        "void missing(char *); void f(void) { char array[16]; missing(array); }",
        "int helper(int i) { switch (i) { case 1: return 7; case 2: return 9; } return 0; }",
    ],
)
def test_objects_that_may_pass(tmp_path: Path, text: str) -> None:
    assert audited(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extern int evidence;\nint f(void) {\n\treturn evidence;\n}", "mm/x.c:4: uses evidence"),
        ("void ktest_fail(void);\nvoid *table = ktest_fail;", "mm/x.c: uses ktest_fail"),
        ("void ktest_fail(void) {}", "mm/x.c: defines ktest_fail"),
        ("void __stack_chk_fail(void) {}", "mm/x.c: defines __stack_chk_fail"),
        ("int x __attribute__((section(\"ktest_cases\"))) = 1;", "the section ktest_cases"),
        ("int x; __attribute__((constructor)) void f(void) { x = 1; }", "the section .init_array"),
        ("void f(void) {\n\t__asm__(\"outl %eax, $0xf4\");\n}", "mm/x.c:2: the instruction out"),
        ("void f(void) { __asm__(\"rep insl\"); }", "the instruction insl"),
        ("void f(void) { __asm__(\"hlt\"); }", "the instruction hlt"),
        ("void f(void) { __asm__(\"mov %cr3, %rax\"); }", "the instruction mov %cr3,%rax"),
        ("void f(void) { __asm__(\"mov %rax, %db7\"); }", "the instruction mov %rax,%db7"),
        ("void f(void) { __asm__(\"mov %eax, %ds\"); }", "the instruction mov %eax,%ds"),
        ("void f(void) { __asm__(\"lidt (%rax)\"); }", "the instruction lidt (%rax)"),
        ("void f(void) { __asm__(\"wrmsr\"); }", "the instruction wrmsr"),
        ("void f(void) { __asm__(\"int $0x80\"); }", "the instruction int $0x80"),
        ("void f(void) { __asm__(\"iretq\"); }", "the instruction iretq"),
        ("void f(void) { ((void (*)(void))0xffffffff80123456)(); }", "the number 0xffffffff80123"),
    ],
)
def test_objects_that_may_not(tmp_path: Path, text: str, message: str) -> None:
    found = audited(tmp_path, text)
    assert found is not None and message in str(found)


def test_a_name_in_data_gets_the_line_of_the_source(tmp_path: Path) -> None:
    rules = audit.Rules({"panic"}, {"table"}, set(), RULES.image)
    audited(tmp_path, "extern int table; int *p = &table;")
    compiled = audit.Object(NAME, tmp_path / "x.o", "", {"table": 7})
    assert str(audit.check(compiled, (), rules)).startswith("mm/x.c:7: uses table")


def test_an_object_that_no_memory_holds(tmp_path: Path) -> None:
    with pytest.raises(audit.TooLarge, match="1024 MiB of memory"):
        audited(tmp_path, "static char x[1 << 30]; void *f(void) { return x; }")


def test_changed_code_is_noticed() -> None:
    class Image:
        constant = [(4, b"code")]

    Guest(b"\0\0\0\0code", Image()).check_image()  # type: ignore[arg-type]
    with pytest.raises(GuestError, match="were changed"):
        Guest(b"\0\0\0\0c0de", Image()).check_image()  # type: ignore[arg-type]


# -- sandbox -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def confined() -> Confined:
    try:
        return Confined(Limits(cpu_s=1, wall_s=60, memory_mib=256, file_mib=1, processes=64))
    except GradingError as error:
        pytest.skip(str(error))


def test_only_one_directory_can_be_written(confined: Confined, tmp_path: Path) -> None:
    script = "echo in >inside; for d in / /usr /etc /dev; do echo x >$d/y; done; cat inside"
    done = confined.run(tmp_path, ["bash", "-c", script])
    assert (tmp_path / "inside").read_text() == "in\n"
    assert done.output.count("Read-only file system") + done.output.count("ermission denied") >= 3
    assert not Path("/usr/y").exists() and not Path("/y").exists()


def test_the_host_cannot_be_seen(confined: Confined, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret"
    secret.write_text("secret")
    for command in (["cat", secret], ["cat", "/etc/passwd"], ["cat", "/proc/1/cmdline"]):
        assert confined.run(tmp_path, list(map(str, command))).status != 0
    assert confined.run(tmp_path, ["bash", "-c", f"kill -0 {os.getpid()}"]).status != 0


def test_there_is_no_network(confined: Confined, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]
        assert Unconfined().run(tmp_path, script).status == 0
        assert confined.run(tmp_path, script).status != 0


@pytest.mark.parametrize(
    "script",
    [
        "while :; do :; done",  # CPU time
        "head -c 4M /dev/zero >large",
        'a=x; while :; do a="$a$a"; done',  # memory
    ],
)
def test_limits(confined: Confined, tmp_path: Path, script: str) -> None:
    for runner in (confined, Unconfined(Limits(cpu_s=1, wall_s=60, memory_mib=256, file_mib=1))):
        done = runner.run(tmp_path, ["bash", "-c", script])
        assert done.status != 0
        assert not done.too_slow


@pytest.mark.parametrize("runner", [Confined, Unconfined])
def test_limit_of_wall_time(
    confined: Confined, tmp_path: Path, runner: type[Confined] | type[Unconfined]
) -> None:
    done = runner(Limits(wall_s=1)).run(tmp_path, ["sleep", "60"])
    assert done.status != 0
    assert done.too_slow


def test_without_a_sandbox_it_says_what_to_do() -> None:
    with pytest.raises(GradingError, match="install bubblewrap.*--no-sandbox"):
        Confined(bwrap="no-such-bwrap")
    with pytest.raises(GradingError, match="allow user namespaces.*--no-sandbox"):
        Confined(bwrap="false")


# -- all together --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counter(
    tmp_path_factory: pytest.TempPathFactory, confined: Confined
) -> Iterator[submission.Counter]:
    the_lab = lab.find(TREE, "buddy")
    scratch = tmp_path_factory.getbasetemp() / "workshop"
    yield submission.Counter(the_lab, Workshop(TREE, the_lab, scratch, Confined()))


@pytest.fixture
def solution(tmp_path: Path) -> Path:
    """The files of lab 1 as they are in this tree."""
    (tmp_path / "mm").mkdir()
    for name in ("mm/buddy_allocator.c", "mm/buddy_statistics.c"):
        (tmp_path / name).write_text((TREE / name).read_text())
    return tmp_path


def test_warnings_cost_nothing(counter: submission.Counter, solution: Path) -> None:
    path = solution / "mm/buddy_statistics.c"
    path.write_text(path.read_text() + "static void unused(void) { int x; }\n")
    (solution / "Makefile").write_text("$(error not this one)\n")
    with counter.accept(solution) as built:
        assert built.image.address("buddy_unusable")
        assert any("mm/buddy_statistics.c:" in line for line in built.warnings)
        kernel = built.image.path
    assert not kernel.exists()


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ("int x = y;", Status.NOBUILD, "error: 'y' undeclared"),
        ("void g(void); void f(void) { g(); }", Status.NOBUILD, "undefined reference to `g'"),
        ("void power_off(int); void f(void) { power_off(0); }", Status.CHEAT, "uses power_off"),
        ("void ktest_fail(void) {}", Status.CHEAT, "defines ktest_fail"),
        ("__asm__(\".incbin \\\"/etc/passwd\\\"\");", Status.CHEAT, "inline assembly"),
    ],
)
def test_refused(
    counter: submission.Counter, solution: Path, more: str, status: Status, message: str
) -> None:
    path = solution / "mm/buddy_statistics.c"
    line = path.read_text().count("\n") + 1
    path.write_text(f"{path.read_text()}{more}\n")
    with pytest.raises(submission.Refused) as caught, counter.accept(solution):
        pass
    text = "\n".join(caught.value.lines)
    assert caught.value.status is status
    assert message in text and f"mm/buddy_statistics.c:{line}:" in text


LAB = """
number = {number}
name = "{name}"
title = "A lab"
suite = "s"
handout = "h"
case = []
[submission]
editable = ["{editable}"]
symbols = ["frames"]
"""


@pytest.mark.parametrize("broken", ["this does not compile\n", None])
def test_a_broken_lab_costs_the_next_one_nothing(tmp_path: Path, broken: str | None) -> None:
    """The kernel of a right lab 2 is the reference's, whatever is handed in as lab 1."""
    tree = plant(tmp_path / "tree")
    zones = "int frames(void);\nint zones(void);\nint zones(void) { return frames(); }\n"
    for name, text in (
        ("mm/zones.c", zones),
        ("labs/lab1-buddy/lab.toml", LAB.format(number=1, name="buddy", editable="mm/frames.c")),
        ("labs/lab2-zones/lab.toml", LAB.format(number=2, name="zones", editable="mm/zones.c")),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    handed_in = tmp_path / "in"
    (handed_in / "mm").mkdir(parents=True)
    (handed_in / "mm/zones.c").write_text(zones)
    if broken is not None:
        (handed_in / "mm/frames.c").write_text(broken)
    for wanted in ("zones", "buddy"):
        the_lab = lab.find(tree, wanted)
        workshop = Workshop(tree, the_lab, tmp_path / "scratch", Unconfined())
        counter = submission.Counter(the_lab, workshop)
        if wanted == "buddy":
            with pytest.raises(submission.Refused), counter.accept(handed_in):
                pass
            continue
        with counter.accept(handed_in) as built:
            assert built.image.path.read_bytes() == workshop.pristine.kernel.read_bytes()


def test_a_cheat_from_the_command_line(
    solution: Path, tmp_path_factory: pytest.TempPathFactory, counter: submission.Counter
) -> None:
    path = solution / "mm/buddy_allocator.c"
    path.write_text(path.read_text() + "extern int evidence;\nint *f(void) { return &evidence; }\n")
    scratch = tmp_path_factory.getbasetemp() / "workshop"
    report = solution / "marks.json"
    command = [
        TREE / "grading/grade", "--lab", "buddy", "--submission", solution,
        "--scratch", scratch, "--json", report,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "score: 0/100"
    marks = json.loads(report.read_text())
    assert {test["status"] for test in marks["tests"]} == {"cheat"}
    assert "uses evidence, which a solution does not need" in marks["tests"][0]["output"]
