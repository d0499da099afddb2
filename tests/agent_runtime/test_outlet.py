"""Lines on their way to stdout, whoever reads it, or nobody."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from agent_runtime.outlet import Outlet

from .conftest import wait_until

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


def test_a_reader_who_has_gone_is_an_error_and_no_wait(pipe: Pipe) -> None:
    """The writer hears of it, and may go on without its lines."""
    outlet = Outlet(pipe.into)
    numbered(outlet, 400)
    os.close(pipe.out_of)

    def told() -> bool:
        try:
            outlet.write("hello\n")
        except BrokenPipeError:
            return True
        return False

    wait_until(told)
