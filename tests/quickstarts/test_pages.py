"""What the quickstarts' pages say is what their programs, requirements and tests say."""

import re
import textwrap
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.quickstarts.conftest import LIBRARIES, Library
from tests.quickstarts.environments import CONSTRAINTS, QUICKSTARTS
from tests.quickstarts.running import blocks

INDEX = QUICKSTARTS / "README.md"
PAGES = sorted(QUICKSTARTS.glob("*/README.md"))
BY_NAME = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.quickstart)


def requirements(file: Path) -> list[Requirement]:
    """The requirements of a file."""
    lines = file.read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def shown_in(program: str, block: str) -> bool:
    """Whether the lines stand in the program as they are, at some depth."""
    return any(textwrap.indent(block, " " * depth) in program for depth in range(0, 24, 2))


@pytest.mark.parametrize(
    "program", sorted(QUICKSTARTS.glob("*/agent.*")), ids=lambda p: p.parent.name
)
def test_the_lines_to_add_are_those_of_the_program(program: Path) -> None:
    """Every block of code on a page is in the program beside it, word by word."""
    language = {".py": "python", ".mjs": "js"}[program.suffix]
    shown = blocks(program.with_name("README.md").read_text(), language)
    assert len(shown) >= 2
    assert [block for block in shown if not shown_in(program.read_text(), block)] == []


@BY_NAME
def test_the_install_line_names_what_is_required(library: Library) -> None:
    """The page's `pip install` and requirements.txt name the same packages."""
    folder = QUICKSTARTS / library.quickstart
    (line,) = re.findall(
        r"^    pip install ((?:.*\\\n)*.*)$", (folder / "README.md").read_text(), re.MULTILINE
    )
    named = {Requirement(word.strip('"')).name for word in line.replace("\\\n", " ").split()}
    required = {requirement.name for requirement in requirements(folder / "requirements.txt")}
    assert named == required


@BY_NAME
def test_the_versions_that_were_tried_are_within_the_ranges(library: Library) -> None:
    """Each range has an end, and the version of constraints.txt lies in it."""
    tried = {each.name: next(iter(each.specifier)).version for each in requirements(CONSTRAINTS)}
    for requirement in requirements(QUICKSTARTS / library.quickstart / "requirements.txt"):
        assert requirement.specifier.contains(tried[requirement.name], prereleases=True)
        assert any(each.operator == "<" for each in requirement.specifier), requirement


@BY_NAME
def test_the_index_says_what_the_library_tells(library: Library) -> None:
    """TTFB and tool errors in the table are those that the tests find."""
    (row,) = re.findall(
        rf"^\|.*\]\({library.quickstart}/README\.md\).*$", INDEX.read_text(), re.MULTILINE
    )
    *_, ttfb, tool_errors = [cell.strip() for cell in row.strip("|").split("|")]
    assert ("of calls" in ttfb) == library.ttfb_of_calls
    assert ("of requests" in ttfb) == library.ttfb_of_runs
    assert (tool_errors == "no") == (not library.tool_errors)


def test_the_index_lists_every_quickstart(repository: Path) -> None:
    """None is left out, and the README leads there."""
    listed = set(re.findall(r"\]\(([\w-]+)/README\.md\)", INDEX.read_text()))
    assert listed == {page.parent.name for page in PAGES}
    assert "(quickstarts/README.md)" in (repository / "README.md").read_text()


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.parent.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each relative link of a page is a file that exists."""
    targets = re.findall(r"\]\(([^)#]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
