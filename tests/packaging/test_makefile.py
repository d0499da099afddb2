"""What `make` says on a machine that is not ready."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A directory to be the whole PATH: the shell, make and touch, and no Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("bash", "sh", "make", "touch", "sed", "awk"):
        found = shutil.which(program)
        assert found is not None
        (programs / program).symlink_to(found)
    return programs


def add_python(programs: Path, name: str, script: str) -> None:
    """Put a Python that behaves as scripted on the bare machine."""
    python = programs / name
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def make(repository: Path, programs: Path, venv: Path) -> subprocess.CompletedProcess[str]:
    """Make the virtual environment there."""
    return subprocess.run(
        ["make", "--no-print-directory", f"VENV={venv}", f"{venv}/.python"],
        cwd=repository,
        env={**os.environ, "PATH": str(programs)},
        capture_output=True,
        text=True,
    )


def test_without_python_it_says_which_is_needed(
    repository: Path, bare_machine: Path, tmp_path: Path
) -> None:
    """No Python at all: the message names the version and how to point at one."""
    answer = make(repository, bare_machine, tmp_path / "venv")
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stderr
    assert "make PYTHON=" in answer.stderr


def test_an_old_python3_is_passed_over_for_a_newer_one(
    repository: Path, bare_machine: Path, tmp_path: Path
) -> None:
    """python3 is too old and python3.13 a shim that does not run: python3.12 is taken."""
    add_python(bare_machine, "python3", "exit 1")
    add_python(bare_machine, "python3.13", "echo 'not installed' >&2; exit 127")
    add_python(
        bare_machine, "python3.12", f'echo "$*" >> {tmp_path}/calls; mkdir -p {tmp_path}/venv'
    )
    (bare_machine / "mkdir").symlink_to(str(shutil.which("mkdir")))
    answer = make(repository, bare_machine, tmp_path / "venv")
    assert answer.returncode == 0, answer.stderr
    assert f"-m venv --clear {tmp_path}/venv" in (tmp_path / "calls").read_text()


def test_a_python_without_venv_gets_the_remedy(
    repository: Path, bare_machine: Path, tmp_path: Path
) -> None:
    """Debian's python3 without python3-venv: the message names the package."""
    add_python(bare_machine, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    answer = make(repository, bare_machine, tmp_path / "venv")
    assert answer.returncode != 0
    assert "apt install python3-venv" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_every_target_is_explained(repository: Path) -> None:
    """`make help` lists every target that the README and CI use."""
    answer = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True)
    listed = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("  make ")}
    assert {"install", "demo", "test", "lint", "collector", "bench", "nightly"} <= listed
