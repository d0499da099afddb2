"""What a benchmark compares with: packages from PyPI, in an environment of their own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from figures import progress

ENVIRONMENTS = Path.home() / ".cache" / "quietpager" / "bench"
INSTALL_SECONDS = 900.0


def installed(name: str, *packages: str) -> Path:
    """The programs of the packages' environment, made the first time; the newest versions then.

    :raises RuntimeError: when pip cannot, with what it said.
    """
    environment = ENVIRONMENTS / name
    stamp = environment / ".installed"
    programs = environment / "bin"
    if not stamp.exists():
        said = " ".join(packages)
        progress(f"  installing {said} into {environment}, once; some need minutes")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        answer = subprocess.run(
            [*pip, "install", "--quiet", *packages],
            capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise RuntimeError(f"pip install {said}: {answer.stderr.strip()[-300:]}")
        stamp.touch()
    return programs


def versions(programs: Path, packages: Sequence[str]) -> tuple[str, ...]:
    """The installed versions of the packages."""
    question = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    answer = subprocess.run(
        [str(programs / "python"), "-c", question, *packages],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(answer.stdout.split())
