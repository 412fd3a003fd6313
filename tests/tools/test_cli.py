# SPDX-License-Identifier: MIT
"""The command "grade" as it is called."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from conftest import TREE, Fake

GRADE = TREE / "grading/grade"


def grade(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_full_marks(sample_tree: Path, fake: Fake, tmp_path: Path) -> None:
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file in files:
        done = grade(
            "--lab", 9, "--tree", sample_tree, "--kernel", fake("transcript"), "--seed", 7,
            "--json", file, "--junit", tmp_path / "junit.xml",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "score: 5/5"
    assert files[0].read_bytes() == files[1].read_bytes()
    assert json.loads(files[0].read_text())["tests"][0]["seed"] == 7
    assert (tmp_path / "junit.xml").exists()


def test_a_fresh_seed_for_each_run(sample_tree: Path, fake: Fake, tmp_path: Path) -> None:
    seeds = set()
    for _ in range(2):
        arguments = ("--lab", 9, "--tree", sample_tree, "--kernel", fake("fails"))
        done = grade(*arguments, "--json", tmp_path / "out.json")
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == "score: 0/5"
        seeds.add(json.loads((tmp_path / "out.json").read_text())["tests"][0]["seed"])
    assert len(seeds) == 2


def test_mistakes_get_one_line_and_status_2(sample_tree: Path, fake: Fake) -> None:
    tree = ("--tree", sample_tree, "--lab", 9)
    for arguments, message in (
        ((*tree, "--kernel", "/nowhere"), "cannot read the kernel /nowhere"),
        ((*tree, "--kernel", "/etc/passwd"), "not a 64-bit ELF file"),
        ((*tree, "--case", "play"), "no case play"),
        (("--tree", sample_tree, "--lab", 8), "there is no lab 8"),
        ((*tree, "--kernel", fake("silent"), "--qemu", "/nowhere"), "cannot start /nowhere"),
        ((*tree, "--kernel", fake("transcript"), "--json", "/nowhere/x"), "cannot write"),
    ):
        done = grade(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr


def test_an_emulator_that_fails_leaves_the_case_ungraded(sample_tree: Path, fake: Fake) -> None:
    done = grade(
        "--tree", sample_tree, "--lab", 9, "--kernel", fake("silent"), "--qemu", "/bin/false"
    )
    assert done.returncode == 2
    assert "ungraded" in done.stdout
    assert "1 case could not be graded" in done.stdout


def test_list(sample_tree: Path) -> None:
    done = grade("--tree", sample_tree, "--lab", "sample", "--list")
    assert done.stdout.split() == ["work", "5"]


def test_a_tree_that_does_not_build(sample_tree: Path) -> None:
    (sample_tree / "Makefile").write_text("kernel:\n\t@echo 'mm/x.c:1:2: error: no'; exit 1\n")
    done = grade("--tree", sample_tree, "--lab", 9, "--build")
    assert done.returncode == 1
    assert "nobuild" in done.stdout and "mm/x.c:1:2: error: no" in done.stdout
    assert done.stdout.splitlines()[-1] == "score: 0/5"


def test_reference_objects_that_do_not_fit(sample_tree: Path) -> None:
    lines = "".join(f"\t@echo '  CC  mm/{i}.c'\n" for i in range(30))
    message = "ref/lab1.a does not fit: include/page.h is not as it was for it."
    (sample_tree / "Makefile").write_text(f"kernel:\n{lines}\t@echo '{message}'; exit 1\n")
    done = grade("--tree", sample_tree, "--lab", 9, "--build", "--ref", "1")
    assert "(on the reference's lab 1)" in done.stdout.splitlines()[0]
    assert message in done.stdout and "REF=1" in done.stdout
    done = grade("--tree", sample_tree, "--lab", 9, "--submission", sample_tree, "--ref", "1")
    assert (done.returncode, done.stderr) == (
        2, "grade: --ref is not for submissions: their other labs are the reference's\n"
    )  # fmt: skip


def test_without_a_name_it_is_the_last_lab(sample_tree: Path) -> None:
    path = sample_tree / "labs/lab8-older/lab.toml"
    path.parent.mkdir()
    path.write_text("")
    done = grade("--tree", sample_tree, "--list")
    assert done.stdout.split() == ["work", "5"]


def test_the_end_of_the_grader_is_the_end_of_its_emulators(sample_tree: Path, fake: Fake) -> None:
    kernel = fake("spin")
    grader = subprocess.Popen(
        [GRADE, "--tree", sample_tree, "--lab", "9", "--kernel", kernel],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 10
    while not _emulators_of(kernel) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _emulators_of(kernel)
    grader.send_signal(signal.SIGTERM)
    _, error = grader.communicate(timeout=60)
    assert (grader.returncode, error) == (130, b"grade: interrupted\n")
    assert not _emulators_of(kernel)


def _emulators_of(kernel: Path) -> list[int]:
    """Processes of QEMU that run that kernel."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"qemu" in words[0] and os.fsencode(kernel) in words:
            found.append(int(process.name))
    return found
