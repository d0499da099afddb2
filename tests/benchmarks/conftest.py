"""Benchmarks, run as a user's shell would."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, repository: Path) -> Run:
    """Runs the script that the module of tests is named after, with options."""
    script = repository / "benchmarks" / request.path.name.removeprefix("test_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QUIETPAGER_")}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, str(script), *options)
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run
