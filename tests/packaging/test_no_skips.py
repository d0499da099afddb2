"""CI does not pass by leaving tests out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("forbidden", "exit_code"), [("1", 1), ("0", 0)])
def test_a_skipped_test_fails_when_skipping_is_forbidden(
    repository: Path, tmp_path: Path, forbidden: str, exit_code: int
) -> None:
    """QUIETPAGER_NO_SKIPS=1 turns a skip into a failure that names the reason."""
    shutil.copy(repository / "tests" / "conftest.py", tmp_path)
    tests = "import pytest\n\ndef test_it():\n    pytest.skip('no such tool')\n"
    (tmp_path / "test_it.py").write_text(tests)
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={**os.environ, "QUIETPAGER_NO_SKIPS": forbidden},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == exit_code, answer.stdout
    assert "no such tool" in answer.stdout
