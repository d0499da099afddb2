"""How far an import is, on stderr: bars on a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

LINE_EVERY_SECONDS = 10.0


class Display:
    """Shows one file after another; what is said in between stays readable."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._waited_at = float("-inf")
        self._bars: Progress | None = None
        if sys.stderr.isatty():
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[records]:,} records", markup=False),
                console=self._console,
            )

    def say(self, message: str) -> None:
        """One line for people, above the bars if there are any."""
        self._console.out(message, highlight=False)

    def waiting(self, why: str) -> None:
        """The receiver has to be asked again; said now and then, not each time."""
        if time.monotonic() - self._waited_at >= LINE_EVERY_SECONDS:
            self._waited_at = time.monotonic()
            self.say(f"waiting for the receiver: {why}")

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Bars are on the screen while the block lasts."""
        if self._bars is None:
            yield
            return
        with self._bars:
            yield

    def file(self, name: str, file: BinaryIO, size: int | None) -> "FileDisplay":
        """Begin with a file of `size` bytes; None when that is not known."""
        return FileDisplay(self, self._bars, name, file, size)


class FileDisplay:
    """The progress of one file, by how much of it is read."""

    def __init__(
        self, display: Display, bars: Progress | None, name: str, file: BinaryIO, size: int | None
    ) -> None:
        self._display = display
        self._bars = bars
        self._name = name
        self._file = file
        self._size = size
        short = name.rpartition("/")[2]
        self._task = bars.add_task(short, total=size, records=0) if bars else None
        self._said_at = time.monotonic()

    def advanced(self, records: int) -> None:
        """So many records of the file are sent."""
        read = self._file.tell() if self._size is not None else 0
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=read, records=records)
        elif time.monotonic() - self._said_at >= LINE_EVERY_SECONDS:
            self._said_at = time.monotonic()
            share = f"{read / self._size:.0%}, " if self._size else ""
            self._display.say(f"{self._name}: {share}{records:,} records sent")
