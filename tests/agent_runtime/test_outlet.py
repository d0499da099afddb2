"""Lines on their way to stdout, whoever reads it, or nobody."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from agent_runtime.outlet import Outlet

FULL = 200_000
"""Bytes that no pipe holds."""


@dataclass
class Pipe:
    """Both ends of one."""

    into: TextIO
    out_of: int

    def read(self, size: int = FULL) -> bytes:
        return os.read(self.out_of, size)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    out_of, into = os.pipe()
    with os.fdopen(into, "w") as file:
        yield Pipe(file, out_of)


def numbered(outlet: Outlet, count: int) -> None:
    for number in range(count):
        outlet.write(f"{number} {'x' * 1000}\n")


def test_a_line_is_there_at_once(pipe: Pipe) -> None:
    """With a reader that keeps up nothing is held back, so that nothing dies with the process."""
    outlet = Outlet(pipe.into)
    for number in range(3):
        outlet.write(f"{number}\n")
        assert pipe.read() == f"{number}\n".encode()


def test_nobody_reads_and_nobody_waits(pipe: Pipe) -> None:
    """Lines that find no room are there, in order, as soon as somebody reads."""
    outlet = Outlet(pipe.into)
    numbered(outlet, 400)
    read = b""
    while read.count(b"\n") < 400:
        read += pipe.read()
    assert [int(line.split()[0]) for line in read.splitlines()] == list(range(400))
    outlet.drain(5)
    outlet.write("again at once\n")
    assert pipe.read() == b"again at once\n"


def test_what_is_dropped_is_counted(pipe: Pipe) -> None:
    """Beyond the limit lines are lost, and the log says how many when it can."""
    outlet = Outlet(pipe.into, most_lines=10)
    numbered(outlet, 400)
    read = b""
    while b"agent.lines_dropped" not in read or not read.endswith(b"\n"):
        read += pipe.read()
    *kept, last = read.splitlines()
    said = json.loads(last)
    assert said["event"] == "agent.lines_dropped"
    assert said["dropped"] == 400 - len(kept) > 0


def test_a_line_longer_than_a_pipe_does_not_wait_either(pipe: Pipe) -> None:
    """It arrives in one piece."""
    outlet = Outlet(pipe.into)
    outlet.write("y" * FULL + "\n")
    read = b""
    while not read.endswith(b"\n"):
        read += pipe.read()
    assert read == b"y" * FULL + b"\n"


def test_a_reader_who_has_gone_is_no_error_and_no_wait(
    pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    """The writer goes on without its lines; those that waited and later ones are counted."""
    outlet = Outlet(pipe.into)
    numbered(outlet, 400)
    fitted = fcntl.fcntl(pipe.into, fcntl.F_GETPIPE_SZ) // 1000
    os.close(pipe.out_of)
    outlet.drain(5)
    outlet.write("hello\n")
    outlet.give_up()
    said = json.loads(capfd.readouterr().err)
    # What the pipe had taken is gone as well, which nobody can know.
    assert said["event"] == "agent.lines_dropped"
    assert 0 < 401 - said["dropped"] < fitted


def test_lines_go_on_when_they_can_be_written_again(tmp_path: Path) -> None:
    """As on a disk that has room again; the log says how many are missing."""
    with (tmp_path / "full").open("w") as file, Path("/dev/full").open("w") as full:
        good = os.dup(file.fileno())
        outlet = Outlet(file)
        os.dup2(full.fileno(), file.fileno())
        numbered(outlet, 3)
        os.dup2(good, file.fileno())
        os.close(good)
        outlet.write("again\n")
        outlet.drain(5)
        first, last = (tmp_path / "full").read_text().splitlines()
    assert (first, json.loads(last)["dropped"]) == ("again", 3)


def test_a_stdout_that_the_application_closed_is_no_error(
    pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its descriptor may be another file's by then: nothing is written to it."""
    outlet = Outlet(pipe.into)
    pipe.into.close()
    outlet.write("line\n")
    outlet.give_up()
    assert json.loads(capfd.readouterr().err)["dropped"] == 1


def test_what_the_application_printed_comes_before(pipe: Pipe) -> None:
    """Its own words, which Python holds back, are not overtaken by the lines behind them."""
    outlet = Outlet(pipe.into)
    pipe.into.write("printed\n")
    outlet.write("line\n")
    assert pipe.read() == b"printed\nline\n"


SCRIPT = """
import sys
from agent_runtime import outlet
outlet.EXIT_S = float(sys.argv[1])
out = outlet.to_stdout()
for number in range(400):
    out.write(f"{number} {'x' * 1000}\\n")
if float(sys.argv[2]):
    outlet.drain_stdout(float(sys.argv[2]))
print("done", file=sys.stderr, flush=True)
"""


def script(exit_s: float, drain_s: float = 0) -> subprocess.Popen[bytes]:
    """A process that writes more than a pipe holds, and ends."""
    command = [sys.executable, "-c", SCRIPT, str(exit_s), str(drain_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_process_that_ends_waits_for_its_reader() -> None:
    """All lines are there for one who begins to read only then."""
    with script(exit_s=30) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"done\n"
        assert process.poll() is None
        lines = process.stdout.read().splitlines()
        assert process.stderr.read() == b""
    assert [int(line.split()[0]) for line in lines] == list(range(400))


@pytest.mark.parametrize(("exit_s", "drain_s"), [(0.2, 0), (600, 0.2)])
def test_a_reader_who_never_comes_is_waited_for_once(exit_s: float, drain_s: float) -> None:
    """Then the process ends, and says on stderr how many lines nobody will read."""
    with script(exit_s, drain_s) as process:
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        kept = process.stdout.read().count(b"\n")
        said = json.loads(process.stderr.read().splitlines()[-1])
    assert (said["event"], said["dropped"]) == ("agent.lines_dropped", 400 - kept)
    assert 0 < kept < 400


@pytest.fixture(params=["full disk", "reader gone", "none"])
def lost(request: pytest.FixtureRequest) -> str:
    """How a shell starts a process whose lines nobody gets."""
    return {
        "full disk": '"$@" > /dev/full',
        "reader gone": '"$@" | true',
        "none": '"$@" >&-',
    }[str(request.param)]


def test_nothing_fails_because_its_lines_cannot_be_written(lost: str, tmp_path: Path) -> None:
    """Not a run whose node logs, nor a retry, a write that logs what it did, or an answer to a
    client; and stderr is told how many lines are lost, unless there never was a stdout."""
    command = [sys.executable, "-m", "tests.agent_runtime.logging_process", f"{tmp_path}/t.db"]
    ended = subprocess.run(
        ["/bin/sh", "-c", lost, "sh", *command], capture_output=True, timeout=60, check=False
    )
    told = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith(b"{")]
    assert told[0] == {
        "retried": "success", "logged": "success", "wrote": ["success", "paid"], "asked": 503
    }  # fmt: skip
    if ">&-" not in lost:
        assert told[1]["event"] == "agent.lines_dropped"
        assert told[1]["dropped"] > 8
