# SPDX-License-Identifier: MIT
"""The build and the scripts around it, tried on a tree of a few lines."""

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCES = {
    "kernel/x86_64/kernel.ld": "ENTRY(_start)\nSECTIONS { . = 1M; .text : { *(.text*) } }\n",
    "kernel/x86_64/start.S": ".global _start\n_start: call kernel_main\n",
    "kernel/main.c": '#include "main.h"\nvoid\nkernel_main(void)\n{\n}\n',
    "kernel/main.h": "void kernel_main(void);\n",
    "mm/frames.c": "unsigned long frames(void);\nunsigned long\nframes(void)\n{\n\treturn 1;\n}\n",
    "include/types.h": "",
    "labs/lab1-buddy/lab.toml": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return plant(tmp_path / "tree")


def plant(tree: Path) -> Path:
    for name, text in SOURCES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(ROOT / "Makefile", tree)
    no_cache = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "scripts", tree / "scripts", ignore=no_cache)
    shutil.copytree(ROOT / "make", tree / "make")
    return tree


def environment(**extra: str) -> dict[str, str]:
    """Without what a make above may have left."""
    kept = ("PATH", "HOME", "TMPDIR")
    return {key: os.environ[key] for key in kept if key in os.environ} | extra


def make(tree: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(**extra),
        check=False,
    )


def built(done: subprocess.CompletedProcess[str]) -> set[str]:
    """What a make that must succeed says that it built, such as "CC mm/frames.c"."""
    assert done.returncode == 0, done.stdout + done.stderr
    return {" ".join(line.split()) for line in done.stdout.splitlines()}


ALL = {"CC kernel/main.c", "AS kernel/x86_64/start.S", "CC mm/frames.c"}
LINK = {"LD build/gcc-debug/kernel.elf"}


def test_nothing_is_rebuilt_without_a_reason(tree: Path) -> None:
    assert built(make(tree)) == ALL | LINK
    again = make(tree)
    assert built(again) == set()
    assert again.stderr == ""


def test_dry_run_and_clean(tree: Path) -> None:
    assert make(tree, "-n").returncode == 0
    assert not (tree / "build").exists()
    built(make(tree))
    built(make(tree, "clean"))
    assert not (tree / "build").exists()
    assert sorted(p.name for p in tree.iterdir()) == sorted(
        {Path(name).parts[0] for name in SOURCES} | {"Makefile", "make", "scripts"}
    )


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_clean_never_removes_sources(tree: Path, out: str) -> None:
    # With a harmless rm, in case this test is what finds the fault.
    done = make(tree, "clean", f"O={out}", PATH=tools(tree / "bin", rm="echo rm was run"))
    assert done.returncode != 0
    assert "rm was run" not in done.stdout
    assert f"O={out}: make clean would remove the sources" in done.stderr


def test_a_header_rebuilds_its_users(tree: Path) -> None:
    built(make(tree))
    (tree / "kernel/main.h").write_text("void kernel_main(void);\n\n")
    assert built(make(tree)) == {"CC kernel/main.c"} | LINK


def test_a_removed_source_relinks(tree: Path) -> None:
    built(make(tree))
    (tree / "mm/frames.c").unlink()
    assert built(make(tree)) == LINK


def test_a_removed_header_is_no_mystery(tree: Path) -> None:
    built(make(tree))
    (tree / "kernel/main.h").unlink()
    main = tree / "kernel/main.c"
    main.write_text(main.read_text().replace('#include "main.h"', "void kernel_main(void);"))
    assert built(make(tree)) == {"CC kernel/main.c"} | LINK


def test_other_flags_rebuild(tree: Path) -> None:
    built(make(tree))
    assert built(make(tree, "WERROR=0")) == ALL | LINK
    assert built(make(tree, "WERROR=0")) == set()


def test_the_host_build_rebuilds_what_changed(tree: Path) -> None:
    (tree / "tests/host").mkdir(parents=True)
    shutil.copy(ROOT / "tests/host/host.mk", tree / "tests/host")
    names = ("gcc", "clang", "threads", "fuzz")
    objects = [f"build/host/{name}/mm/frames.o" for name in names]
    everything = {f"CC mm/frames.c ({name})" for name in names}
    assert built(make(tree, *objects)) == everything
    assert not built(make(tree, *objects)) & everything
    assert built(make(tree, *objects, "WERROR=0")) == everything


def test_the_kernel_command_line_is_in_the_image(tree: Path) -> None:
    (tree / "scripts/mkiso").write_text('#!/bin/sh\necho "$3" >"$2"\n')
    (tree / "scripts/mkiso").chmod(0o755)
    iso = tree / "build/gcc-debug/ikos.iso"
    for line in ("", "ktest=all seed=1", ""):
        built(make(tree, "iso", f"CMDLINE={line}"))
        assert iso.read_text() == f"{line}\n"
    assert built(make(tree, "iso")) == set()


def test_settings_do_not_mix(tree: Path) -> None:
    for words in ([], ["CC=clang"], ["FLAVOR=release"], ["OPT=g"], ["CC=clang", "FLAVOR=release"]):
        built(make(tree, *words))
    assert sorted(p.name for p in (tree / "build").iterdir()) == [
        "clang-debug",
        "clang-release",
        "gcc-debug",
        "gcc-debug-Og",
        "gcc-release",
    ]
    assert built(make(tree)) == set()
    for lab in ("1", "buddy"):  # the last lab there is: the same kernel
        assert built(make(tree, f"LAB={lab}")) == set()


def test_verbose_shows_commands(tree: Path) -> None:
    done = make(tree, "V=1")
    assert " -mno-red-zone " in done.stdout
    assert " -O2 " in done.stdout
    assert "  CC  " not in done.stdout


def test_two_places_build_the_same_bytes(tmp_path: Path) -> None:
    one, two = plant(tmp_path / "one"), plant(tmp_path / "another" / "place")
    for compiler in ("gcc", "clang"):
        elf = f"build/{compiler}-debug/kernel.elf"
        built(make(one, f"CC={compiler}"))
        built(make(two, f"CC={compiler}"))
        assert (one / elf).read_bytes() == (two / elf).read_bytes()


def test_a_path_with_a_blank(tmp_path: Path) -> None:
    assert built(make(plant(tmp_path / "my course"))) == ALL | LINK


def test_a_warning_stops_the_build_unless_told(tree: Path) -> None:
    source = tree / "mm/frames.c"
    source.write_text(source.read_text() + "static int unused;\n")
    assert make(tree).returncode != 0
    assert make(tree, "WERROR=0").returncode == 0


def test_sources_whose_objects_would_clash(tree: Path) -> None:
    (tree / "kernel/main.S").write_text("")
    done = make(tree)
    assert done.returncode != 0
    assert "rename one" in done.stderr


@pytest.mark.parametrize(
    "word, says",
    [
        ("LAB=9", "LAB=9: no such lab here. Use a number or a name: 1-buddy"),
        ("LAB=zones", "LAB=zones: no such lab here"),
        ("FLAVOR=fast", "FLAVOR=fast: use FLAVOR=debug or FLAVOR=release"),
        ("CC=tcc", "CC=tcc: use CC=gcc or CC=clang"),
    ],
)
def test_a_bad_setting_is_one_clear_line(tree: Path, word: str, says: str) -> None:
    done = make(tree, word)
    assert done.returncode != 0
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert says in line


def test_the_labs_that_are_here_are_named(tree: Path) -> None:
    add(tree, {"labs/lab3-slab/lab.toml": ""})
    [line] = make(tree, "LAB=7").stderr.splitlines()
    assert "Use a number or a name: 1-buddy 3-slab." in line


def test_help_names_every_target(tree: Path) -> None:
    done = make(tree, "help")
    for target in ("kernel", "run", "iso", "test", "grade", "setup", "doctor", "clean"):
        assert f"\n  {target} " in done.stdout
    assert "FLAVOR=debug" in done.stdout


def test_compile_commands(tree: Path) -> None:
    built(make(tree, "compile_commands.json"))
    entries = json.loads((tree / "compile_commands.json").read_text())
    assert [entry["file"] for entry in entries] == ["kernel/main.c", "mm/frames.c"]
    assert "-Iinclude" in entries[0]["command"]


# ---- Labs: what comes with each, and reference objects ----------------------------------

LATER = {
    "mm/zones.c": "int zones(void) { return 1; }\n",
    "mm/before_zones.c": "int before_zones(void) { return 1; }\n",
    "tests/kernel/frames_test.c": "int frames_test(void) { return 1; }\n",
    "tests/kernel/zones_test.c": "int zones_test(void) { return 1; }\n",
    "tests/kernel/zones_bench.c": "int zones_bench(void) { return 1; }\n",
    "labs/lab2-zones/lab.toml": "",
    "labs/lab2-zones/tests/cases.c": "int cases(void) { return 1; }\n",
}
# In place of all that the Makefile says itself.
LISTS = [f"{name}_LAB{n}=" for name in ("MM", "MM_BEFORE", "FILES") for n in range(3, 8)]
LISTS += [
    "MM_LAB2=zones.c",
    "MM_BEFORE_LAB2=before_zones.c",
    "FILES_LAB2=tests/kernel/zones_% include/zones.h",
]


def add(tree: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def test_a_kernel_of_an_earlier_lab_is_without_the_later_files(tree: Path) -> None:
    add(tree, LATER)
    zones = {
        "CC mm/zones.c", "CC tests/kernel/zones_test.c", "CC tests/kernel/zones_bench.c",
        "CC labs/lab2-zones/tests/cases.c",
    }  # fmt: skip
    both = ALL | {"CC tests/kernel/frames_test.c"}
    assert built(make(tree, *LISTS)) == both | zones | LINK
    early = both | {"CC mm/before_zones.c", "LD build/gcc-debug-lab1/kernel.elf"}
    assert built(make(tree, *LISTS, "LAB=buddy")) == early
    # A starter of that lab has the same kernel, without LAB=.
    for name in (*zones, "CC labs/lab2-zones/lab.toml"):
        (tree / name.split()[1]).unlink()
    shutil.rmtree(tree / "labs/lab2-zones")
    assert built(make(tree, *LISTS)) == {"CC mm/before_zones.c"} | LINK


def test_what_comes_with_a_lab_can_be_asked(tree: Path) -> None:
    assert make(tree, "-s", *LISTS, "print-files").stdout.splitlines() == [
        "2 mm/zones.c", "2 tests/kernel/zones_%", "2 include/zones.h"
    ]  # fmt: skip


def test_host_tests_are_of_the_lab_too(tree: Path) -> None:
    add(tree, LATER)
    (tree / "tests/host").mkdir()
    shutil.copy(ROOT / "tests/host/host.mk", tree / "tests/host")
    names = ("frames_test.c", "zones_test.c", "fuzz/fuzz_buddy.c")
    add(tree, {f"tests/host/{name}": "" for name in names})
    lists = [*LISTS[:-1], "FILES_LAB2=tests/host/zones_% tests/host/fuzz/fuzz_buddy.c"]

    def asked(variable: str, *words: str) -> list[str]:
        show = f"show: ; @echo $({variable})"
        return make(tree, *lists, *words, "--eval", show, "show").stdout.split()

    assert {"tests/host/zones_test.c", "mm/zones.c"} <= set(asked("HOST_TEST"))
    early = asked("HOST_TEST", "LAB=1")
    assert "tests/host/frames_test.c" in early and "mm/before_zones.c" in early
    assert not [name for name in early if "/zones" in name]
    assert "fuzz_buddy" in asked("FUZZ_TARGETS")
    assert "fuzz_buddy" not in asked("FUZZ_TARGETS", "LAB=1")
    assert asked("HOST_O", "LAB=1") == ["build/host-lab1"]


@pytest.fixture
def starter(tree: Path) -> Path:
    """A starter of lab 2: of lab 1 there are objects too, and the student's file is broken."""
    add(tree, LATER | {"mm/frames.h": "", "starter/lab1.mk": "EDITABLE_LAB1 := mm/frames.c\n"})
    source = tree / "mm/frames.c"
    more = "#include <types.h>\nint reference_was_here(void) { return 1; }\n"
    source.write_text(more + source.read_text())
    for flavor in ("debug", "release"):
        folder = f"build/gcc-{flavor}"
        ending = "" if flavor == "debug" else "-release"
        flags = make(tree, "-s", f"FLAVOR={flavor}", "print-abi").stdout
        built(make(tree, f"FLAVOR={flavor}", f"{folder}/mm/frames.o"))
        (tree / "ref").mkdir(exist_ok=True)
        archive = f"ref/lab1{ending}.a"
        command = ["ar", "rcD", archive, f"{folder}/mm/frames.o"]
        subprocess.run(command, cwd=tree, check=True)
        sums = subprocess.run(
            ["sha256sum", "include/types.h", archive], cwd=tree, capture_output=True, text=True,
            check=True,
        ).stdout  # fmt: skip
        (tree / f"ref/lab1{ending}.abi").write_text(flags + sums)
    source.write_text("this does not compile\n")
    shutil.rmtree(tree / "build")
    return tree


@pytest.mark.parametrize("words", [[], ["FLAVOR=release"], ["CC=clang"]])
def test_reference_objects_stand_in_for_a_students_files(starter: Path, words: list[str]) -> None:
    assert make(starter, *LISTS, *words).returncode != 0
    done = make(starter, *LISTS, *words, "REF=1", "kernel")
    assert done.returncode == 0, done.stderr
    [kernel] = starter.glob("build/*/kernel-ref1.elf")
    names = subprocess.run(["nm", kernel], capture_output=True, text=True, check=True).stdout
    assert "reference_was_here" in names  # though nothing refers to it
    assert built(make(starter, *LISTS, *words, "REF=buddy", "kernel")) == set()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["REF=2"], "REF=2: use labs before lab 2: 1"),
        (["REF=1,x"], "REF=1,x: use labs before lab 2: 1"),
        (["REF=%"], "REF=%: use labs before lab 2: 1"),
        (["REF=1", "LAB=1"], "REF=1: there is no lab before lab 1"),
    ],
)
def test_a_ref_that_is_none_is_one_clear_line(starter: Path, words: list[str], says: str) -> None:
    done = make(starter, *LISTS, *words)
    assert done.returncode != 0 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line == f"Makefile:{line.split(':')[1]}: *** {says}.  Stop."


@pytest.mark.parametrize("name", ["ref/lab1.a", "starter/lab1.mk"])
def test_a_ref_that_was_not_published(starter: Path, name: str) -> None:
    (starter / name).unlink()
    done = make(starter, *LISTS, "REF=1")
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert f"REF=1: there is no {name} here: your course has not published that" in line


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("include/types.h", "#define X 1\n", "ref/lab1.a does not fit: include/types.h is not as"),
        ("ref/lab1.a", "!<arch>\n", "ref/lab1.a does not fit: ref/lab1.a is not as"),
        ("ref/lab1.abi", "-DOTHER\n", "ref/lab1.a does not fit: it was compiled with other flags"),
    ],
)
def test_objects_that_do_not_fit_are_not_linked(
    starter: Path, name: str, text: str, says: str
) -> None:
    built(make(starter, *LISTS, "REF=1", "kernel"))
    (starter / name).write_text(text)
    done = make(starter, *LISTS, "REF=1", "kernel")
    assert done.returncode != 0
    assert says in done.stderr.splitlines()[0]
    assert make(starter, *LISTS, "REF=1", "kernel").returncode != 0


# ---- Tools that are missing ----------------------------------------------------------


def tools(folder: Path, *without: str, **fakes: str) -> str:
    """A PATH with the usual tools but these, and with fakes: scripts by name."""
    folder.mkdir()
    for name in os.listdir("/usr/bin"):
        if name not in without and name not in fakes:
            (folder / name).symlink_to(f"/usr/bin/{name}")
    for name, script in fakes.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


NOT_ROOT = "echo 1000"
NOTHING_INSTALLED = "exit 1"
ALL_INSTALLED = 'shift 3; for p in "$@"; do echo "ii $p"; done'


def path_with(tmp_path: Path, dpkg: str, *without: str) -> str:
    fakes = {"id": NOT_ROOT, "dpkg-query": dpkg, "apt-get": "echo apt-get was run; exit 1"}
    return tools(tmp_path / "bin", *without, **fakes)


def test_a_missing_tool_and_no_root(tree: Path, tmp_path: Path) -> None:
    path = path_with(tmp_path, NOTHING_INSTALLED, "qemu-system-x86_64")
    done = make(tree, "run", PATH=path)
    assert done.returncode != 0
    assert "setup: not found: qemu-system-x86_64" in done.stderr
    assert "setup: run: sudo apt-get install --no-install-recommends " in done.stderr
    assert "apt-get was run" not in done.stdout + done.stderr


def test_a_missing_compiler(tree: Path, tmp_path: Path) -> None:
    path = path_with(tmp_path, NOTHING_INSTALLED, "gcc", "x86_64-linux-gnu-gcc")
    done = make(tree, PATH=path)
    assert done.returncode != 0
    assert "setup: not found: gcc" in done.stderr
    assert "CC " not in done.stdout


def test_a_missing_tool_does_not_matter_to_others(tree: Path, tmp_path: Path) -> None:
    path = path_with(tmp_path, NOTHING_INSTALLED, "qemu-system-x86_64")
    assert built(make(tree, PATH=path)) == ALL | LINK


def run_setup(path: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts/setup", *words],
        capture_output=True,
        text=True,
        env=environment(PATH=path),
        check=False,
    )


def test_setup_with_everything_there(tmp_path: Path) -> None:
    path = path_with(tmp_path, ALL_INSTALLED)
    for words in ([], ["--check"], ["--need", "awk"]):
        done = run_setup(path, *words)
        assert done.returncode == 0, done.stderr
        assert "apt-get was run" not in done.stdout


def test_setup_where_path_hides_a_tool(tmp_path: Path) -> None:
    done = run_setup(path_with(tmp_path, ALL_INSTALLED), "--need", "no-such-tool")
    assert done.returncode == 1
    assert "$PATH does not lead to: no-such-tool" in done.stderr


def test_setup_check_names_what_is_missing(tmp_path: Path) -> None:
    done = run_setup(path_with(tmp_path, NOTHING_INSTALLED), "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("setup: missing packages: ")
    assert "qemu-system-x86" in done.stderr


def test_setup_on_another_distribution(tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "apt-get", "dpkg-query", dnf="exit 1")
    done = run_setup(path)
    assert done.returncode == 1
    assert "sudo dnf install" in done.stderr


# ---- Checks ----------------------------------------------------------------------------


def run_check(name: str, tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / name, "--root", tree], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "file, line, says",
    [
        ("mm/memory_map.c", "#include <acpi.h>", "acpi.h is not for mm/"),
        ("mm/newcomer.c", "", "has no layer yet"),
        ("include/list.h", "#include <page.h>", "page.h belongs to layer frames, above base"),
        ("mm/memory_map.c", '__asm__ volatile("cli");', "go through an arch_*() function"),
    ],
)
def test_layers(tmp_path: Path, file: str, line: str, says: str) -> None:
    for folder in ("include", "mm"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mm/memory_map.c").write_text("#include <page.h>\n#include <stdint.h>\n")
    assert run_check("check-layers", tmp_path).returncode == 0
    (tmp_path / file).write_text(f"\n{line}\n")
    done = run_check("check-layers", tmp_path)
    assert done.returncode == 1
    assert says in done.stdout


GOOD = "/* SPDX-License-Identifier: MIT */\nint f(void);\n\nint\nf(void)\n{\n\treturn 1;\n}\n"


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("/* SPDX-License-Identifier: MIT */", "/* MIT */", ":1: the first line names the licence"),
        ("\treturn 1;", "\treturn 1; ", ":7: blanks at the end"),
        ("\treturn 1;", "        return 1;", ":7: indented with spaces"),
        ("\treturn 1;", "\treturn 1; /* " + "x" * 90 + " */", ":7: longer than 100 columns"),
        ("\treturn 1;", "\treturn 1; /* TO" "DO */", ":7: something was left to be done"),
        ("\treturn 1;", "\treturn 1; /* /home/" "me/x */", ":7: a path of one machine"),
        ("\treturn 1;", "#ifdef X\n#endif\n\treturn 1;", "conditional compilation inside f"),
        ("\treturn 1;", "\n" * 60 + "\treturn 1;", ":5: f has 64 lines"),
        ("return 1;\n}\n", "return 1;\n}\n\n", "exactly one line end"),
    ],
)
def test_style(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "mm").mkdir()
    source = tmp_path / "mm/f.c"
    source.write_text(GOOD)
    shutil.copy(ROOT / ".clang-format", tmp_path)
    before = run_check("check-style", tmp_path)
    assert before.returncode == 0, before.stdout
    source.write_text(GOOD.replace(old, new))
    done = run_check("check-style", tmp_path)
    assert done.returncode == 1
    assert says in done.stdout


# ---- The count of all tests ---------------------------------------------------------------


def load(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("loaded", str(ROOT / name))
    spec = importlib.util.spec_from_loader("loaded", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text, status, counted",
    [
        ("check-style: 97 files, 0 complaints", 0, (1, 0)),
        ("check-style: 97 files, 3 complaints", 1, (0, 1)),
        ("ok x\n12 passed, 0 failed, 3 skipped", 0, (12, 0)),
        ("12 passed, 2 failed, 3 skipped", 1, (12, 2)),
        ("12 passed\nkilled", 124, (12, 1)),
        ("2 failed, 40 passed in 1.20s", 1, (40, 2)),
        ("40 passed, 1 skipped in 1.20s", 0, (40, 0)),
        ("1 failed, 2 errors in 1.20s", 1, (0, 3)),
        ("split ........  5/5  ok\nmerge ........  0/5  wrong\nscore: 5/10", 1, (1, 1)),
        ("    ok 1 - a\n    not ok 2 - b\nnot ok 1 - gcc\nok 2 - fuzz\n1..2", 1, (2, 1)),
        ("", 2, (0, 1)),
    ],
)
def test_counting(
    text: str, status: int, counted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert load("scripts/test-all").count(text, status) == counted


def test_every_lab_is_graded_and_every_stage_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    test_all = load("scripts/test-all")
    for name in ("lab1-buddy", "lab2-zones", "lab3-slab", "lab4-paging"):
        add(tmp_path, {f"labs/{name}/lab.toml": ""})
    monkeypatch.setattr(test_all, "ROOT", tmp_path)
    names = [step.name for step in test_all.steps(Path("build"))]
    begin = names.index("build LAB=1")
    assert names[begin : names.index("tools")] == [
        "build LAB=1", "suites gcc-debug-lab1 --smp=4", "grade buddy",
        "build LAB=2", "suites gcc-debug-lab2 --smp=4", "grade zones",
        "build LAB=3", "suites gcc-debug-lab3 --smp=4", "grade slab",
        "grade paging",
    ]  # fmt: skip


# ---- Boots ------------------------------------------------------------------------------------

BOOTED = "IKOS\nboot: 4 CPUs, 250 MiB usable, 9 thousand cycles\nok 1 paging\n"


@pytest.mark.parametrize(
    "serial, status, says",
    [
        (BOOTED, 0, []),
        (BOOTED, None, ["it did not end"]),
        (BOOTED, 2, ["it ended with status 2"]),
        (BOOTED.replace("4 CPUs", "1 CPU"), 0, ["the kernel counts 1 of 4 CPUs"]),
        (BOOTED.replace("250", "25"), 0, ["the kernel counts 25 of 256 MiB"]),
        (BOOTED.replace("ok 1", "not ok 1"), 0, ["the suite paging failed"]),
        (BOOTED + "panic: bad\n", 0, ["panic: bad"]),
        ("", 0, ['no line "boot: N CPUs, N MiB usable"', "the suite paging did not end"]),
    ],
)
def test_boots_are_judged(
    serial: str, status: int | None, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    boots = load("tests/boot/boots")
    assert boots.judge(boots.Boot("pc", "direct"), status, serial) == says
