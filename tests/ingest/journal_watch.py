"""What tests of the journal look at: segments, a ledger that may fail, answers that must come."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from ingest.journal import closed_segments, read_records
from ingest.ledger import LedgerError

_T = TypeVar("_T")


def stored(directory: Path) -> list[bytes]:
    return [
        bytes(record.request)
        for segment in closed_segments(directory)
        for record in read_records(segment.path)
    ]


def segments(directory: Path) -> list[Path]:
    """Open and closed ones, oldest first; one that is closed meanwhile is not missed."""
    found = [*directory.glob("*.open"), *directory.glob("*.journal")]
    return sorted({path.stem: path for path in found}.values())


async def until(holds: Callable[[], object]) -> None:
    """Poll for up to five seconds."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true within five seconds")


async def answered(work: Coroutine[None, None, _T]) -> _T:
    """What it returns or raises; a hang is a failure of another kind."""
    try:
        async with asyncio.timeout(5):
            return await work
    except TimeoutError:
        pytest.fail("nobody answered")


class Book:
    """A ledger that keeps what it was told of each segment, and raises what stands in `fails`."""

    def __init__(self) -> None:
        self.accepted: dict[int, int] = {}
        self.retried: dict[int, int] = {}
        self.fails: list[BaseException] = []
        self.asked = 0

    def __call__(
        self,
        sequence: int,
        accepted: Mapping[int, int],
        retried: Mapping[int, int],
        uncounted_bytes: int = 0,
    ) -> None:
        assert not uncounted_bytes
        self.asked += 1
        if self.fails:
            raise self.fails.pop(0)
        self.accepted[sequence] = sum(accepted.values())
        self.retried[sequence] = sum(retried.values())


FAULTS = [
    MemoryError(),
    RuntimeError("a bug"),
    KeyError("a bug"),
    LedgerError("database is locked"),
]
