"""The environment of each quickstart: its libraries from PyPI, installed once as its page says."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

QUICKSTARTS = Path(__file__).resolve().parents[2] / "quickstarts"
CONSTRAINTS = QUICKSTARTS / "constraints.txt"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quietpager/quickstarts"
INSTALL_SECONDS = 900
AT_A_TIME = 2
NEEDS = {"10xgraph": (3, 12)}
"""The oldest Python that a library runs on, where it is newer than ours."""


@cache
def python_for(quickstart: str) -> str | None:
    """A Python that the quickstart's library runs on; None if this machine has none."""
    needed = NEEDS.get(quickstart, (3, 11))
    return next((python for python, version in _pythons() if version >= needed), None)


class Environments:
    """Installs the quickstarts' environments in the background, two at a time, in this order."""

    def __init__(self, quickstarts: Sequence[str]) -> None:
        self._pool = ThreadPoolExecutor(AT_A_TIME)
        self._ready: dict[str, Future[Path]] = {
            name: self._pool.submit(_install, name) for name in quickstarts
        }

    def python(self, quickstart: str) -> Path:
        """Its Python, once everything is installed. A pip that failed raises with what it said."""
        return self._ready[quickstart].result()

    def close(self) -> None:
        """Begin no further installation."""
        self._pool.shutdown(cancel_futures=True)


def _pythons() -> Iterator[tuple[str, tuple[int, int]]]:
    """The interpreters of this machine, ours first.

    A version manager's shim may exist and not run, so each is asked.
    """
    yield sys.executable, sys.version_info[:2]
    managed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob("versions/3.*/bin")
    names = [f"python3.{minor}" for minor in range(12, 16)]
    for python in (*names, *(str(programs / "python3") for programs in sorted(managed))):
        if shutil.which(python):
            question = "import venv, sys; print(*sys.version_info[:2])"
            answer = subprocess.run([python, "-c", question], capture_output=True, text=True)
            if answer.returncode == 0:
                major, minor = answer.stdout.split()
                yield python, (int(major), int(minor))


def _install(quickstart: str) -> Path:
    requirements = QUICKSTARTS / quickstart / "requirements.txt"
    python = python_for(quickstart)
    assert python is not None, f"{quickstart} needs Python {NEEDS[quickstart]}"
    wanted = [requirements.read_bytes(), CONSTRAINTS.read_bytes(), python.encode()]
    home = CACHE / f"{quickstart}-{hashlib.sha256(b'|'.join(wanted)).hexdigest()[:16]}"
    home.mkdir(parents=True, exist_ok=True)
    stamp, installed = home / "installed", home / "bin" / "python"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two sessions may run
        if not stamp.exists():
            _run([python, "-m", "venv", "--without-pip", str(home)])
            pip = [sys.executable, "-m", "pip", "--python", str(installed), "--no-input"]
            source = ["-r", str(requirements), "-c", str(CONSTRAINTS)]
            _run([*pip, "install", "--quiet", "--no-compile", *source])
            stamp.touch()
    return installed


def _run(command: Sequence[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert answer.returncode == 0, f"{' '.join(command)}: {answer.stderr[-2000:]}"
