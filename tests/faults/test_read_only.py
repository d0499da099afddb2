"""A data directory that cannot be written: said at start, survived later."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lake import Lake
from tests.faults.senders import check_journal_is_empty, check_lake, load
from tests.faults.test_damage import events
from tests.sidecar import COMMAND, ENVIRONMENT, Processes

# For root a mode forbids nothing, unless it goes without this capability. Containers that may not
# mount anything read-only can do this.
OBEYING_MODES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing below can be created, renamed or removed."""
    folders = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*OBEYING_MODES, *COMMAND, *arguments),
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=60,
    )


@pytest.mark.parametrize("depth", ["data", "data/journal"])
def test_at_start(tmp_path: Path, depth: str) -> None:
    """The sidecar says in one line which directory it cannot write and what to do; exit code 2."""
    (tmp_path / depth).mkdir(parents=True)
    with read_only(tmp_path / depth):
        done = run("up", "--data", str(tmp_path / "data"), "--otlp-http", "127.0.0.1:0",
                   "--otlp-grpc", "127.0.0.1:0", "--dashboard", "127.0.0.1:0")  # fmt: skip
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("quietpager: ")]
    assert line.startswith(f"quietpager: {tmp_path / depth}")
    assert line.endswith("Permission denied; choose a directory that can be written with --data")


def test_while_running(tmp_path: Path) -> None:
    """Senders are told to come back; what is stored can be read; afterwards all is there once."""
    data, log = tmp_path / "data", tmp_path / "log"
    with (
        Processes(data, log, inside=OBEYING_MODES) as sidecar,
        load(sidecar, largest=3000) as sending,
    ):
        sidecar.start_and_wait()
        sending.wait_until_each(lambda sent: len(sent.acknowledged), more=3000)
        with read_only(data):
            sending.wait_until_each(lambda sent: sent.retries, more=3)
            assert run("sql", "--data", str(data), "SELECT count(*) FROM spans").returncode == 0
        sending.wait_until_each(lambda sent: len(sent.acknowledged))
        sending.finish()
        sidecar.stop()
    check_journal_is_empty(data)
    check_lake(Lake(data / "lake"), sending)
    (failure, *_) = events(log, "receive.disk_refused")
    assert str(data) in str(failure["error"])
