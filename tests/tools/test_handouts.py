# SPDX-License-Identifier: MIT
"""Do the handouts agree with the tree, and do they keep the solution to themselves?"""

import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HANDOUTS = sorted((ROOT / "handouts").glob("*.md"))
LABS = sorted(ROOT.glob("labs/lab*/lab.toml"))
FIGURES = sorted((ROOT / "handouts/figures").glob("*.svg"))

# Of the tree, as much as matters to whether a line gives something away.

each_handout = pytest.mark.parametrize("path", HANDOUTS, ids=lambda path: path.stem)
each_lab = pytest.mark.parametrize("path", LABS, ids=lambda path: path.parent.name)


class Page(HTMLParser):
    """The anchors of a rendered page, what it links to, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(values["id"] or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if tag in ("img", "script", "link", "iframe", "object"):
            self.loads += [values[key] or "" for key in ("src", "href", "data") if key in values]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All handouts, rendered once."""
    if not shutil.which("pandoc") or not shutil.which("weasyprint"):
        pytest.skip("pandoc or weasyprint is not installed: run scripts/setup")
    out = tmp_path_factory.mktemp("handouts")
    for path in HANDOUTS:
        done = subprocess.run(
            [ROOT / "scripts/handouts", path, out], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == done.stderr == ""
    return out


def code_of(text: str) -> list[str]:
    """What a handout sets as code: in lines, and in blocks."""
    blocks = re.findall(r"^```.*?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    return [*blocks, *indented, *spans]


# ---- as pages -------------------------------------------------------------------------


@each_handout
def test_page_is_whole(path: Path, rendered: Path) -> None:
    page = Page((rendered / f"{path.stem}.html").read_text())
    assert len(page.ids) == len(set(page.ids)), "two sections have one anchor"
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, f"no section {link}"
        elif not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            other = Page((rendered / name).read_text())
            assert not anchor or anchor in other.ids, f"no section {link}"
    for source in page.loads:
        assert source.startswith("data:"), f"{source} is not in the page"
    assert (rendered / f"{path.stem}.pdf").read_bytes().startswith(b"%PDF-")


def test_figures_are_there_and_used() -> None:
    named = {
        name
        for path in HANDOUTS
        for name in re.findall(r"\]\(\s*(figures/[^)\s]+)\)", path.read_text())
    }
    assert named == {f"figures/{path.name}" for path in FIGURES}


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_figure_can_stand_alone(path: Path) -> None:
    """It says what it shows, loads nothing, and lies within its own frame."""
    text = path.read_text()
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title") is not None and root.find(f"{space}desc") is not None
    assert "href" not in text and "url(" not in text
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        x, y = float(element.get("x", 0)), float(element.get("y", 0))
        assert 0 <= x and x + float(element.get("width", 0)) <= width
        assert 0 <= y and y + float(element.get("height", 0)) <= height


# ---- and the labs ---------------------------------------------------------------------


@each_lab
def test_sections_that_reports_point_to(path: Path, rendered: Path) -> None:
    lab = tomllib.loads(path.read_text())
    page = Page((rendered / Path(lab["handout"]).with_suffix(".html").name).read_text())
    for case in lab["case"]:
        assert case["section"] in page.ids, f"{case['name']}: no section {case['section']}"


@each_lab
def test_every_exercise_and_case_is_explained(path: Path) -> None:
    lab = tomllib.loads(path.read_text())
    text = (ROOT / lab["handout"]).read_text()
    for exercise in lab["exercise"]:
        assert f"{exercise['function']}(" in text, f"{exercise['function']} is not explained"
    for case in lab["case"]:
        assert f"`{case['name']}`" in text, f"{case['name']} is not explained"
    for name in lab["submission"]["editable"]:
        assert f"`{name}`" in text


@each_lab
def test_marks_are_those_of_the_lab(path: Path) -> None:
    """The table of points, and the column of scores in the table of steps."""
    lab = tomllib.loads(path.read_text())
    text = (ROOT / lab["handout"]).read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| +(\d+) \|", text, re.MULTILINE))
    points = {case["name"]: case["points"] for case in lab["case"]}
    assert {name: int(value) for name, value in table.items()} == points
    score = 0
    for names, total in re.findall(r"^\| \[\d\]\(.*?\|.*?\|(.*)\| (\d+) \|$", text, re.MULTILINE):
        score += sum(points[name] for name in re.findall(r"`(\w+)`", names) if name in points)
        assert score == int(total)
    assert score == sum(points.values())


# ---- and the tree ---------------------------------------------------------------------


@each_handout
def test_commands_exist(path: Path) -> None:
    listed = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^  ([a-z][\w.-]*) ", listed, re.MULTILINE))
    settings = set(re.findall(r"\b([A-Z]+)=", listed))
    for code in code_of(path.read_text()):
        for words in re.findall(r"(?:^|[ (])make ((?:-\S+ )?[a-z][^\n#]*)", code):
            target, *rest = words.split()
            assert target in targets, f"make {target}: no such target"
            for name in re.findall(r"\b([A-Z]+)=", " ".join(rest)):
                assert name in settings, f"make {target} {name}=: no such setting"


@each_handout
def test_files_exist(path: Path) -> None:
    folders = "include|mm|kernel|labs|grading|scripts|tests|handouts"
    for code in code_of(path.read_text()):
        for name in re.findall(rf"(?<![\w/.<])((?:{folders})/[\w./-]*\w/?)", code):
            assert (ROOT / name).exists(), f"there is no {name}"


@each_lab
def test_console_commands_exist(path: Path) -> None:
    lab = tomllib.loads(path.read_text())
    text = (ROOT / lab["handout"]).read_text()
    sources = "".join(
        file.read_text() for file in (*ROOT.glob("kernel/**/*.c"), *ROOT.glob("mm/*.c"))
    )
    known = set(re.findall(r'CONSOLE_COMMAND\(\w+, "(\w+)"', sources))
    for word in re.findall(r"^ikos> (\w+)", text, re.MULTILINE):
        assert word in known, f"the console has no command {word}"


@each_handout
def test_commands_of_the_debugger_exist(path: Path) -> None:
    sources = "".join(file.read_text() for file in ROOT.glob("scripts/gdb/*.py"))
    known = set(re.findall(r'super\(\).__init__\("(ikos[\w-]*)", gdb.COMMAND', sources))
    assert len(known) > 5
    for name in re.findall(r"`(?:\(gdb\) )?(ikos-[\w-]+)", path.read_text()):
        assert name in known, f"GDB has no command {name}"


# ---- and the solution -----------------------------------------------------------------


@each_lab
def test_no_line_of_the_solution(path: Path) -> None:
    """In no handout that students get, nor in a figure."""
    scripts = ROOT / "scripts"
    if not (scripts / "staging").is_dir():
        pytest.skip("this tree has no solution")
    sys.path.insert(0, str(scripts))
    from staging import leaks, manifest, starter
    from staging.reference import read

    reference = read(ROOT, untracked=True)
    lab = manifest.select(reference.labs, path.parent.name)
    given = starter.for_lab(reference, lab)
    later = reference.labs[lab.number - 1 :]
    lines = leaks.telling_lines(starter.solutions(reference, later), given)
    texts = [(name, file.content) for name, file in given.items() if name.startswith("handouts/")]
    assert texts
    assert [str(leak) for leak in leaks.search(lines, texts)] == []
    assert not any("instructor" in name for name, _ in texts)
