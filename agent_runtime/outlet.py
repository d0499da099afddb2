"""Writes lines to stdout at once, and never waits for whoever reads it.

A pipe that nobody empties (a log shipper that hangs) would otherwise stop every run of the process
at its next line, and one that is closed, or a disk that is full, fail it. Lines that do not fit
wait here; beyond a limit, or where they cannot be written, they are dropped and counted. At its end
the process waits a little for its reader, and tells stderr how many lines it takes along. A server
that was told to end by a signal ends by it, with nothing of Python run: it has to wait and tell
before.
"""

import atexit
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import orjson

MOST_LINES = 10_000
"""That wait for a reader; about 10 MB."""
EXIT_S = 5.0
"""How long a process that ends waits for its reader, who has not been waited for in vain before."""


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
        self._in_hand = 0
        """Lines that the writer is at; of one that says how many were dropped, those."""
        self._in_vain = False
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write a line, have it written when there is room, or count it as dropped. Never fails."""
        line = text.encode("utf-8", "replace")
        with self._lock:
            # A pipe that takes anything takes this much without blocking.
            if self._writer is None and len(line) <= select.PIPE_BUF and self._room.poll(0):
                if not self._write_at_once(line):
                    self._dropped += 1
                elif self._dropped:
                    self._begin_to_write()
            elif len(self._waiting) < self._most_lines:
                self._waiting.append(line)
                if self._writer is None:
                    self._begin_to_write()
            else:
                self._dropped += 1

    def _write_at_once(self, line: bytes) -> bool:
        """Whether it could be: not to a pipe or a file that is closed, nor to a full disk."""
        try:
            self._stdout.flush()  # what the application printed itself comes before
            return os.write(self._descriptor, line) == len(line)
        except (OSError, ValueError):
            return False

    def _begin_to_write(self) -> None:
        self._writer = threading.Thread(target=self._write_waiting, daemon=True)
        self._writer.start()

    def flush(self) -> None:
        """Nothing is held back that could be written."""

    def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, for so long at most."""
        writer = self._writer
        if writer is not None:
            writer.join(seconds)
            self._in_vain = writer.is_alive()

    def end(self) -> None:
        """Have what waits written before the process ends; tell stderr of what was not in time."""
        if not self._in_vain:
            self.drain(EXIT_S)
        self.give_up()

    def give_up(self) -> None:
        """Tell stderr of what nobody will read."""
        with self._lock:
            lost = len(self._waiting) + self._dropped + self._in_hand
            self._waiting.clear()
            self._dropped = self._in_hand = 0
        if lost:
            # There may be no stderr.
            with suppress(OSError, RuntimeError, AttributeError, ValueError):
                Outlet(sys.stderr).write(_lost(lost).decode())

    def _write_waiting(self) -> None:
        try:
            while (line := self._next()) is not None:
                while line:
                    self._room.poll()
                    line = line[os.write(self._descriptor, line) :]
        except OSError:  # whoever read it has gone for good, or the disk is full
            with self._lock:
                self._dropped += len(self._waiting) + self._in_hand
                self._waiting.clear()
                self._in_hand = 0
                self._writer = None

    def _next(self) -> bytes | None:
        """The line whose turn it is; the last one says how many were dropped."""
        with self._lock:
            if self._waiting:
                self._in_hand = 1
                return self._waiting.popleft()
            if self._dropped:
                self._in_hand, self._dropped = self._dropped, 0
                return _lost(self._in_hand)
            self._in_hand, self._in_vain = 0, False
            self._writer = None
            return None


def _lost(lines: int) -> bytes:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {"event": "agent.lines_dropped", "dropped": lines, "level": "warning", "timestamp": now}
    return orjson.dumps(said) + b"\n"


_outlets: list[Outlet] = []


def to_stdout() -> TextIO | Outlet:
    """An outlet to stdout; stdout itself where it is no file, or files cannot be asked for room;
    to nowhere where the process was started without one."""
    try:
        _outlets.append(Outlet(sys.stdout or Path(os.devnull).open("w")))  # noqa: SIM115 - kept open
    except (OSError, AttributeError):
        return sys.stdout
    atexit.register(_outlets[-1].end)
    return _outlets[-1]


def drain_stdout(seconds: float) -> None:
    """Wait until what was to go to stdout is there, for so long at most."""
    for each in _outlets:
        each.drain(seconds)


def give_stdout_up() -> None:
    """Tell stderr how many lines have not gone to stdout: the process ends now."""
    for each in _outlets:
        each.give_up()
