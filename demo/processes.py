"""Starts the demo's processes, waits until they are ready, and ends them."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

START_SECONDS = 30.0
END_SECONDS = 90.0
LOG_LINES_SHOWN = 5


class DemoFailed(Exception):  # noqa: N818 - a verdict for the user, not a bug
    """The demo cannot go on; the message says why and what to look at."""


def own_environment() -> dict[str, str]:
    """This environment without the user's Quietpager settings, which would come before the demo's:
    its runs would go to their lake, and its alert to their pager."""
    return {name: value for name, value in os.environ.items()
            if not name.upper().startswith("QUIETPAGER_")}  # fmt: skip


class Process:
    """A process that prints on stdout when it is ready and logs to a file."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as stderr:
            self._popen = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=own_environment(),
                # Ctrl-C is for the demo, which then ends its processes in order.
                start_new_session=True,
            )
        self._lines: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def _read(self) -> None:
        assert self._popen.stdout is not None  # noqa: S101 - a pipe was asked for
        with self.log.open("a") as log:
            for line in self._popen.stdout:
                self._lines.put(line)
                log.write(line)
                log.flush()

    def lines(self, count: int) -> list[str]:
        """The next ``count`` lines it prints. :raises DemoFailed: when it ends or is too slow."""
        deadline = time.monotonic() + START_SECONDS
        lines: list[str] = []
        while len(lines) < count:
            try:
                lines.append(self._lines.get(timeout=0.1).rstrip())
            except Empty:
                self.check()
                if time.monotonic() > deadline:
                    raise DemoFailed(f"{self.name} was not ready in {START_SECONDS:.0f} s: "
                                     f"{self._last_words()}") from None  # fmt: skip
        return lines

    def check(self) -> None:
        """:raises DemoFailed: when it has ended."""
        if (code := self._popen.poll()) is not None:
            raise DemoFailed(f"{self.name} ended with exit code {code}: {self._last_words()}")

    def end(self) -> int:
        """Let it drain; returns its exit code. A second Ctrl-C ends it at once."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            return self._popen.wait(END_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._popen.kill()
            return self._popen.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return " | ".join(lines) or f"nothing in {self.log}"


@contextmanager
def running(name: str, command: Sequence[str], log: Path) -> Iterator[Process]:
    """Run a process while in the context, and let it drain at the end.

    :raises DemoFailed: when it did not end well.
    """
    process = Process(name, command, log)
    try:
        yield process
    finally:
        code = process.end()
    if code not in (0, -signal.SIGTERM):
        raise DemoFailed(f"{name} did not drain: exit code {code}; see {log}")
