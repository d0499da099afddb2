"""The pins: hashed, complete, in step with pyproject.toml, and free of index addresses."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = ("requirements.txt", "requirements-test.txt")


def pins(path: Path) -> dict[str, tuple[str, int]]:
    """Version and number of hashes per pinned package of a compiled file."""
    found: dict[str, tuple[str, int]] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text()):
        if not entry.startswith("#"):
            requirement = Requirement(entry.split("\\")[0].split("    #")[0])
            (pin,) = requirement.specifier
            assert pin.operator == "==", entry
            found[canonicalize_name(requirement.name)] = (pin.version, entry.count("--hash=sha256"))
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_hashes(repository: Path, name: str) -> None:
    """An installer can check each file it fetches."""
    found = pins(repository / name)
    assert len(found) > 50
    assert [package for package, (_, hashes) in found.items() if hashes == 0] == []


@pytest.mark.parametrize("name", FILES)
def test_no_address_of_an_index_is_committed(repository: Path, name: str) -> None:
    """Where packages come from is the installing machine's business."""
    text = (repository / name).read_text()
    assert re.search(r"https?://|--(extra-)?index-url|--find-links|file:", text) is None


def test_the_project_does_not_pin_itself(repository: Path) -> None:
    """Quietpager is installed from the checkout, never from an index."""
    assert all("quietpager" not in pins(repository / name) for name in FILES)


def test_the_tests_run_on_the_versions_that_users_get(repository: Path) -> None:
    """Every runtime pin is repeated, at the same version, among the test pins."""
    runtime, test = (pins(repository / name) for name in FILES)
    assert {package: test.get(package) for package in runtime} == runtime


def test_the_pins_follow_pyproject(repository: Path) -> None:
    """A dependency added or moved in pyproject.toml without `make requirements` is found here."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    declared = {
        "requirements.txt": project["project"]["dependencies"] + groups["build"],
        "requirements-test.txt": groups["test"],
    }
    for name, lines in declared.items():
        found = pins(repository / name)
        for line in lines:
            requirement = Requirement(line)
            version, _ = found[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{name}: {version} is not {line}"


def test_the_build_backend_is_among_the_pins(repository: Path) -> None:
    """Installing without build isolation needs the backend in the environment."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    for line in project["build-system"]["requires"]:
        assert canonicalize_name(Requirement(line).name) in pins(repository / "requirements.txt")


def test_no_tracked_file_names_a_mirror(repository: Path) -> None:
    """No committed text file redirects pip, Go or a container build to some other registry."""
    answer = subprocess.run(
        ["git", "grep", "-lIE", r"index-url *[=:]|GOPROXY *=|PIP_(INDEX|EXTRA|FIND)"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert set(answer.stdout.split()) <= {"tests/packaging/test_requirements.py"}
