"""The wheel carries what the code reads: SQL, templates, static files, SLOs."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest


def tracked(repository: Path, *directories: str) -> set[str]:
    """Files of these directories that git knows."""
    answer = subprocess.run(
        ["git", "ls-files", *directories],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(answer.stdout.split("\n")) - {""}


@pytest.fixture(scope="module")
def rooms(repository: Path) -> list[str]:
    """The packages that the project ships."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return packages


@pytest.fixture(scope="module")
def wheel(
    repository: Path, rooms: list[str], tmp_path_factory: pytest.TempPathFactory
) -> zipfile.ZipFile:
    """A wheel built the way the image builds it: from the files the Dockerfile copies, offline."""
    context = tmp_path_factory.mktemp("context")
    for name in tracked(repository, "LICENSE", "README.md", "pyproject.toml", *rooms):
        if (repository / name).exists():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, context / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", "out", "."]
    subprocess.run([*pip, *options], cwd=context, check=True)
    (built,) = (context / "out").glob("*.whl")
    return zipfile.ZipFile(built)


def test_every_file_of_every_room_is_in_the_wheel(
    wheel: zipfile.ZipFile, repository: Path, rooms: list[str]
) -> None:
    """Nothing that a room reads at run time stays behind in the checkout."""
    missing = {name for name in tracked(repository, *rooms) if (repository / name).exists()}
    missing -= set(wheel.namelist())
    assert missing == set()


def test_the_wheel_has_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    """Installing it gives `quietpager`, under Apache-2.0."""
    by_name = {Path(name).name: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "quietpager = cli:main" in wheel.read(by_name["entry_points.txt"]).decode()
    assert b"License-Expression: Apache-2.0" in wheel.read(by_name["METADATA"])
    assert b"Apache License" in wheel.read(by_name["LICENSE"])
