"""How far the reading of the lake's files is, on stderr: a bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.output import say

LINE_EVERY_SECONDS = 10.0


@contextmanager
def check_progress(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """What it yields is called with the bytes of each file that was read."""
    if sys.stderr.isatty():
        with _bar(total_bytes) as advance:
            yield advance
        return
    read = 0
    said_at = time.monotonic()

    def advance_line(size_bytes: int) -> None:
        nonlocal read, said_at
        read += size_bytes
        if time.monotonic() - said_at > LINE_EVERY_SECONDS:
            said_at = time.monotonic()
            say(f"{read / 1e6:,.0f} of {total_bytes / 1e6:,.0f} MB read")

    yield advance_line


@contextmanager
def _bar(total_bytes: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("reading files"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total_bytes)
        yield lambda size_bytes: progress.update(task, advance=size_bytes)
