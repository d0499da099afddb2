"""Writes lines to stdout at once, and never waits for whoever reads it.

A pipe that nobody empties (a log shipper that hangs) would otherwise stop every run of the process
at its next line. Lines that do not fit wait here; beyond a limit they are dropped and counted.
"""

import os
import select
import sys
import threading
import time
from collections import deque
from typing import TextIO

import orjson

MOST_LINES = 10_000
"""That wait for a reader; about 10 MB."""


class Outlet:
    """What a logger takes for a file."""

    def __init__(self, stdout: TextIO, most_lines: int = MOST_LINES) -> None:
        self._stdout = stdout
        self._most_lines = most_lines
        self._descriptor = stdout.fileno()
        self._room = select.poll()
        self._room.register(self._descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write a line, or have it written when there is room.

        :raises OSError: when it can never be, because the pipe is closed or the disk full.
        """
        line = text.encode("utf-8", "replace")
        with self._lock:
            # A pipe that takes anything takes this much without blocking.
            if self._writer is None and len(line) <= select.PIPE_BUF and self._room.poll(0):
                self._stdout.flush()  # what the application printed itself comes before
                os.write(self._descriptor, line)
            elif len(self._waiting) < self._most_lines:
                self._waiting.append(line)
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write_waiting, daemon=True)
                    self._writer.start()
            else:
                self._dropped += 1

    def flush(self) -> None:
        """Nothing is held back that could be written."""

    def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, for so long at most."""
        writer = self._writer
        if writer is not None:
            writer.join(seconds)

    def _write_waiting(self) -> None:
        try:
            while (line := self._next()) is not None:
                while line:
                    self._room.poll()
                    line = line[os.write(self._descriptor, line) :]
        except OSError:  # whoever read it has gone for good
            with self._lock:
                self._waiting.clear()
                self._writer = None

    def _next(self) -> bytes | None:
        """The line whose turn it is; the last one says how many were dropped."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._dropped:
                said = {"event": "agent.lines_dropped", "dropped": self._dropped,
                        "level": "warning", "timestamp": _now()}  # fmt: skip
                self._dropped = 0
                return orjson.dumps(said) + b"\n"
            self._writer = None
            return None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


_outlets: list[Outlet] = []


def to_stdout() -> TextIO | Outlet:
    """An outlet to stdout; stdout itself where it is no file, or files cannot be asked for room."""
    try:
        _outlets.append(Outlet(sys.stdout))
    except (OSError, AttributeError):
        return sys.stdout
    return _outlets[-1]


def drain_stdout(seconds: float) -> None:
    """Wait until what was to go to stdout is there, for so long at most."""
    for each in _outlets:
        each.drain(seconds)
