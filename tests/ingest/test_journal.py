"""The journal returns when a batch is durable, and knows a retried one."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.journal import (
    DUPLICATE_WINDOW_SECONDS,
    Journal,
    JournalClosed,
    closed_segments,
    digest_of,
    read_records,
    retire,
)
from ingest.ledger import LedgerError
from ingest.segments import Backlog, backlog_of
from tests.ingest.batches import unnoted
from tests.ingest.journal_watch import Book, until

pytestmark = pytest.mark.anyio


def stored(directory: Path) -> list[bytes]:
    return [
        bytes(record.request)
        for segment in closed_segments(directory)
        for record in read_records(segment.path)
    ]


def opened(directory: Path) -> list[Path]:
    return list(directory.glob("*.open"))


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 4096 bytes: use it briefly, a report is a file too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def test_concurrent_batches_share_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred concurrent batches are made durable by a few syncs, in order of arrival."""
    syncs: list[int] = []
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (syncs.append(fd), fdatasync(fd)))
    journal = Journal(tmp_path, unnoted)
    bodies = [f"batch {n}".encode() for n in range(100)]
    assert all(await asyncio.gather(*(journal.append(body, 1, 1) for body in bodies)))
    await journal.close()
    assert 1 <= len(syncs) <= 3
    assert stored(tmp_path) == bodies


async def test_a_batch_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    """What `append` returned for is in the segment, whole, though the segment is still open."""
    journal = Journal(tmp_path, unnoted)
    await journal.append(b"batch", 42, 1)
    (path,) = opened(tmp_path)
    (record,) = read_records(path)
    assert (bytes(record.request), record.received_unix_nano) == (b"batch", 42)
    await journal.close()


async def test_a_segment_closes_by_age_without_further_traffic(tmp_path: Path) -> None:
    """The writer gets a lone batch after the maximum age."""
    journal = Journal(tmp_path, unnoted, max_age_seconds=0.05)
    await journal.append(b"batch", 1, 1)
    assert not closed_segments(tmp_path)
    for _ in range(500):
        if closed_segments(tmp_path):
            break
        await asyncio.sleep(0.01)
    assert stored(tmp_path) == [b"batch"]
    await journal.close()


async def test_a_segment_closes_by_size(tmp_path: Path) -> None:
    """One burst becomes several segments within the limit; only a lone batch may exceed it."""
    journal = Journal(tmp_path, unnoted, max_bytes=1000)
    bodies = [bytes([n]) * (2000 if n == 7 else 300) for n in range(20)]
    await asyncio.gather(*(journal.append(body, 1, 1) for body in bodies))
    await journal.close()
    assert stored(tmp_path) == bodies
    sizes = [segment.path.stat().st_size for segment in closed_segments(tmp_path)]
    assert sorted(size > 1000 for size in sizes) == [False] * (len(sizes) - 1) + [True]
    assert len(sizes) >= 6


async def test_a_retried_batch_is_dropped(tmp_path: Path) -> None:
    """The same bytes again, later or at the same moment, are acknowledged and not stored."""
    journal = Journal(tmp_path, unnoted)
    assert sorted(await asyncio.gather(*(journal.append(b"same", 1, 1) for _ in range(3)))) == [
        False,
        False,
        True,
    ]
    assert not await journal.append(b"same", 2, 1)
    await journal.close()
    assert stored(tmp_path) == [b"same"]


async def test_a_retried_batch_is_known_after_a_restart(tmp_path: Path) -> None:
    """Whether its segment is still there or was retired by the writer."""
    for retired in (False, True):
        journal = Journal(tmp_path, unnoted)
        body = b"retired" if retired else b"waiting"
        assert await journal.append(body, int(1e18 * 4), 1)
        await journal.close()
        if retired:
            for segment in closed_segments(tmp_path):
                retire(segment, [record.digest for record in read_records(segment.path)])
        again = Journal(tmp_path, unnoted)
        assert not await again.append(body, 2, 1)
        await again.close()


async def test_a_batch_is_new_again_after_two_hours(tmp_path: Path) -> None:
    """Digests are not remembered for ever."""
    clock = Clock()
    journal = Journal(tmp_path, unnoted, now=clock)
    assert await journal.append(b"same", 1, 1)
    clock.now += DUPLICATE_WINDOW_SECONDS - 1
    assert not await journal.append(b"same", 1, 1)
    clock.now += 2
    assert await journal.append(b"same", 1, 1)
    assert not await journal.append(b"same", 1, 1)
    await journal.close()


async def test_the_digest_can_be_that_of_other_bytes(tmp_path: Path) -> None:
    """A retry is recognised by what the client sent, not by what was stored of it."""
    journal = Journal(tmp_path, unnoted)
    assert await journal.append(b"what was kept", 1, 1, digest_of(b'{"json": 1}'))
    assert not await journal.append(b"what was kept", 1, 1, digest_of(b'{"json": 1}'))
    await journal.close()


async def test_sequences_go_on_after_a_restart(tmp_path: Path) -> None:
    """Also when every segment has been retired."""
    sequences = []
    for n in range(4):
        journal = Journal(tmp_path, unnoted)
        await journal.append(b"batch %d" % n, 1, 1)
        await journal.close()
        (segment,) = closed_segments(tmp_path)
        sequences.append(segment.sequence)
        retire(segment, [])
    assert len(sequences) == 4
    assert all(earlier < later for earlier, later in pairwise(sequences))


async def test_a_refused_write_refuses_its_batch_only(tmp_path: Path) -> None:
    """When the disk takes half a batch: OSError, nothing of it is kept, others are unharmed."""
    journal = Journal(tmp_path, unnoted)
    assert await journal.append(b"a" * 1000, 1, 1)
    with small_files(), pytest.raises(OSError, match="File too large"):
        await journal.append(b"b" * 5000, 1, 1)
    assert await journal.append(b"c" * 1000, 1, 1)
    await journal.close()
    assert stored(tmp_path) == [b"a" * 1000, b"c" * 1000]


async def test_a_refused_batch_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose sync failed is not remembered as accepted, and is stored once on retry."""
    fdatasync = os.fdatasync

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path, unnoted)
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="Input/output"):
        await journal.append(b"batch", 1, 1)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    assert await journal.append(b"batch", 1, 1)
    await journal.close()
    assert stored(tmp_path) == [b"batch"]


async def test_no_new_segment_before_the_last_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If closing fails, batches are refused until it is done: sequence order never breaks."""
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path, unnoted, max_age_seconds=0.02, max_bytes=100)
    monkeypatch.setattr(Path, "rename", fail)
    assert await journal.append(b"a" * 200, 1, 1)
    await asyncio.sleep(0.1)
    with pytest.raises(OSError, match="Input/output"):
        await journal.append(b"b" * 200, 1, 1)
    assert len(opened(tmp_path)) == 1
    monkeypatch.setattr(Path, "rename", rename)
    assert await journal.append(b"b" * 200, 1, 1)
    await journal.close()
    assert stored(tmp_path) == [b"a" * 200, b"b" * 200]


async def test_closing_finishes_what_is_in_flight_and_takes_no_more(tmp_path: Path) -> None:
    """Batches handed over before `close` are durable; later ones are refused."""
    journal = Journal(tmp_path, unnoted)
    in_flight = [asyncio.create_task(journal.append(b"batch %d" % n, 1, 1)) for n in range(5)]
    await asyncio.sleep(0)
    await journal.close()
    assert await asyncio.gather(*in_flight) == [True] * 5
    with pytest.raises(JournalClosed):
        await journal.append(b"late", 1, 1)
    assert len(stored(tmp_path)) == 5


async def test_a_client_that_gives_up_harms_nobody(tmp_path: Path) -> None:
    """Cancelling one append leaves the group and later batches alone."""
    journal = Journal(tmp_path, unnoted)
    tasks = [asyncio.create_task(journal.append(b"batch %d" % n, 1, 1)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] is True
    assert results[2] is True
    assert await journal.append(b"later", 1, 1)
    await journal.close()
    assert len(stored(tmp_path)) == 4


async def test_the_backlog_is_what_the_writer_has_not_taken(tmp_path: Path) -> None:
    """Open and closed segments count, retired ones do not."""
    journal = Journal(tmp_path, unnoted)
    await journal.append(b"x" * 1000, 1, 1)
    assert 1000 < journal.backlog().bytes < 1100
    await journal.close()
    assert 1000 < journal.backlog().bytes < 1100
    retire(closed_segments(tmp_path)[0], [])
    assert journal.backlog().bytes == 0


async def test_a_segment_that_cannot_be_closed_grows_old(tmp_path: Path) -> None:
    """It waits since its first record came, however many come behind it."""
    book = Book()
    book.fails = [LedgerError("the ledger is damaged")] * 100
    journal = Journal(tmp_path, book, max_age_seconds=0.01)
    now = time.time_ns()
    await journal.append(b"first" * 1000, now - 90 * 10**9, 1)
    await journal.append(b"later", now, 1)
    await until(lambda: book.asked)

    assert 90 <= journal.backlog().oldest_seconds < 100

    book.fails = []
    await journal.close()
    assert journal.backlog().oldest_seconds < 10


@pytest.mark.parametrize("written", [b"", b"\x80", b"\x05short", b"\x40" + b"x" * 70])
def test_an_open_segment_without_a_whole_record_has_no_age(tmp_path: Path, written: bytes) -> None:
    """What of it was acknowledged came with a whole one."""
    (tmp_path / "00000000000000000007.open").write_bytes(written)

    assert backlog_of(tmp_path) == Backlog(len(written), 0.0)
