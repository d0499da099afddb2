"""Whatever happens in the journal: every sender is answered, and the journal goes on."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from ingest.journal import Journal, closed_segments
from tests.ingest.batches import unnoted
from tests.ingest.journal_watch import FAULTS, Book, answered, stored, until
from tests.ingest.watched_disk import WatchedDisk

pytestmark = pytest.mark.anyio

AGE_SECONDS = 0.2


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_a_ledger_that_fails_stops_nobody(tmp_path: Path, fault: Exception) -> None:
    """Whatever it raises when a segment closes by age: batches go on into it, and all is told."""
    book = Book()
    book.fails = [fault, fault]
    journal = Journal(tmp_path, book, max_age_seconds=AGE_SECONDS)
    assert await journal.append(b"one", 1, 10)
    await until(lambda: book.asked)
    assert await answered(journal.append(b"two", 1, 20))
    await until(lambda: closed_segments(tmp_path))
    await answered(journal.close())
    assert stored(tmp_path) == [b"one", b"two"]
    assert list(book.accepted.values()) == [30]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_a_batch_that_has_to_wait_for_a_close_that_fails_is_refused(
    tmp_path: Path, fault: Exception
) -> None:
    """It is told why, is not in the journal, and is new when it is sent again."""
    book = Book()
    journal = Journal(tmp_path, book, max_bytes=200)
    assert await journal.append(b"a" * 90, 1, 1)
    book.fails = [fault]
    with pytest.raises(type(fault)):
        await answered(journal.append(b"b" * 90, 1, 1))
    assert await answered(journal.append(b"b" * 90, 1, 1))
    await answered(journal.close())
    assert stored(tmp_path) == [b"a" * 90, b"b" * 90]


@pytest.mark.parametrize(
    "fault", [MemoryError(), RuntimeError("a bug"), OSError(5, "EIO")], ids=repr
)
async def test_whatever_a_sync_raises_is_the_answer_to_all_who_waited(
    tmp_path: Path, disk: WatchedDisk, fault: Exception
) -> None:
    """Nothing of theirs is kept or remembered: sent again, they are stored once, in that order."""
    book = Book()
    journal = Journal(tmp_path, book)
    assert await journal.append(b"before", 1, 1)
    disk.sync_failure = fault
    bodies = [b"batch %d" % number for number in range(5)]
    answers = await answered(
        asyncio.gather(*(journal.append(each, 1, 1) for each in bodies), return_exceptions=True)
    )
    assert [type(each) for each in answers] == [type(fault)] * 5
    disk.sync_failure = None
    assert (
        await answered(asyncio.gather(*(journal.append(each, 1, 1) for each in bodies)))
        == [True] * 5
    )
    await journal.close()
    assert stored(tmp_path) == [b"before", *bodies]
    assert list(book.accepted.values()) == [6]


async def test_a_thread_that_cannot_be_asked_refuses_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is told, and the journal goes on."""

    def fail(*_: object) -> None:
        raise MemoryError

    journal = Journal(tmp_path, unnoted)
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "run_in_executor", fail)
        with pytest.raises(MemoryError):
            await answered(journal.append(b"one", 1, 1))
    assert await answered(journal.append(b"one", 1, 1))
    await journal.close()
    assert stored(tmp_path) == [b"one"]


async def test_a_close_that_fails_is_loud_and_leaves_all_to_the_next_start(tmp_path: Path) -> None:
    """`close` raises what happened, so that the process ends with it; recovery finds the rest."""
    book = Book()
    journal = Journal(tmp_path, book)
    assert await journal.append(b"one", 1, 1)
    book.fails = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError, match="a bug"):
        await answered(journal.close())
    await Journal(tmp_path, book).close()
    assert stored(tmp_path) == [b"one"]
    assert list(book.accepted.values()) == [1]


async def test_a_retry_at_the_same_moment_waits_for_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is acknowledged when the first one is durable, and refused when that one is."""
    gate, fdatasync = threading.Event(), os.fdatasync
    refusing = True

    def wait(fd: int) -> None:
        gate.wait(20)
        if refusing:
            raise OSError(5, "Input/output error")
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", wait)
    journal = Journal(tmp_path, unnoted)
    for refusing in (True, False):
        gate.clear()
        both = [asyncio.create_task(journal.append(b"same", 1, 1)) for _ in range(2)]
        done, _ = await asyncio.wait(both, timeout=0.2)
        assert not done
        gate.set()
        answers = await asyncio.gather(*both, return_exceptions=True)
        if refusing:
            assert [type(each) for each in answers] == [OSError, OSError]
        else:
            assert answers == [True, False]
    await journal.close()
    assert stored(tmp_path) == [b"same"]


async def test_retries_are_counted_while_segments_close(tmp_path: Path) -> None:
    """None is lost between the loop that counts them and the thread that notes them."""
    book = Book()
    journal = Journal(tmp_path, book, max_bytes=1)
    assert await journal.append(b"same", 1, 1)
    retried, began = 0, time.monotonic()
    while time.monotonic() < began + 0.3:
        new = asyncio.create_task(journal.append(b"%d" % retried, 1, 1))
        for hour in range(50):
            assert not await journal.append(b"same", hour * 3600 * 10**9, 1)
        retried += 50
        assert await answered(new)
    await journal.append(b"last", 1, 1)
    await journal.close()
    assert sum(book.retried.values()) == retried


async def test_no_thread_has_to_be_started_to_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no more threads can be started, those batches are not written whose senders gave up."""
    journal = Journal(tmp_path, unnoted)

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert await answered(journal.append(b"one", 1, 1))
    await answered(journal.close())
    assert stored(tmp_path) == [b"one"]
