"""The journal: where a batch is safe before it is acknowledged.

One directory per signal (see `ingest.segments` for what lies in it). The receiver appends to an
open segment and closes it once it is old or big enough; the writer reads closed segments in
sequence order and retires them after they are in the lake.

Two invariants carry the promise that nothing acknowledged is lost or counted twice:

* `Journal.append` returns only after `fdatasync` of the record and of its directory entry;
* a segment is created only after the one before it is durably closed. So the writer, which
  commits in sequence order and skips what it has committed, never skips a segment that came late.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import structlog

from ingest.duplicates import DUPLICATE_WINDOW_SECONDS, accepted_before, steady_clock
from ingest.ledger import NoteSegment, hour_of
from ingest.recovery import quarantine, quarantined_in, recover
from ingest.segments import (
    Backlog,
    CorruptRecord,
    JournalError,
    Record,
    Segment,
    TornTail,
    backlog_of,
    closed_segments,
    digest_of,
    encode_record,
    next_sequence,
    prune_digests,
    read_records,
    retire,
    sync_directory,
)

__all__ = [
    "DUPLICATE_WINDOW_SECONDS",
    "CorruptRecord",
    "Journal",
    "JournalClosed",
    "JournalError",
    "Record",
    "Segment",
    "TornTail",
    "closed_segments",
    "digest_of",
    "quarantine",
    "read_records",
    "retire",
]

MAX_REMEMBERED_DIGESTS = 1_000_000  # about 150 MB; the oldest are forgotten first
_PRUNE_EVERY_SECONDS = 600.0

_T = TypeVar("_T")
_log = structlog.get_logger()


class JournalClosed(Exception):  # noqa: N818 - a state, met on every shutdown
    """The journal takes no more batches because the receiver is going down."""


@dataclass(frozen=True)
class _Batch:
    record: bytes
    digest: bytes
    hour: int
    records: int
    durable: asyncio.Future[None]


@dataclass
class _OpenSegment:
    path: Path
    fd: int
    created_at: float
    durable_bytes: int = 0
    accepted: Counter[int] = field(default_factory=Counter)  # records by unix hour
    torn: bool = False  # a write failed: the file may hold more than `durable_bytes`


class Journal:
    """The receiver's side of one signal's directory; belongs to one event loop.

    Opening it recovers: segments left open by a crash are closed, their torn tail cut (`damage`
    says what was found). Concurrent appends share one write and one fdatasync. `note` learns what
    a segment holds before the writer can see it.
    """

    def __init__(
        self,
        directory: Path,
        note: NoteSegment,
        *,
        max_age_seconds: float = 1.0,
        max_bytes: int = 12 * 1024 * 1024,
        now: Callable[[], float] | None = None,
    ) -> None:
        now = now or steady_clock()
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.damage = recover(directory, note)
        self._note = note
        self._max_age = max_age_seconds
        self._max_bytes = max_bytes
        self._now = now
        self._sequences = count(next_sequence(directory, now))
        self._accepted = accepted_before(directory, now())
        self._pruned_at = float("-inf")
        self._segment: _OpenSegment | None = None
        self._waiting: list[_Batch] = []
        self._retried: Counter[int] = Counter()
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}
        self._committer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"journal-{directory.name}")

    async def append(
        self,
        request: bytes,
        received_unix_nano: int,
        records: int,
        digest: bytes | None = None,
    ) -> bool:
        """Return once `request` is durable: True if it is new, False if it is a retry.

        A retry has the digest of a batch accepted within the last two hours, over restarts too
        (the time between does not count), or of one still on its way to disk. `records` is how many
        spans, log records or data points `request` holds, for the ledger. `digest` defaults to that
        of `request`; give it when the client sent other bytes (JSON, or spans that were refused).
        Raises OSError when the disk refuses (the batch is then not in the journal), JournalClosed
        after `close`.
        """
        if self._closed:
            raise JournalClosed(f"{self.directory}: the journal is closed")
        digest = digest or digest_of(request)
        hour = hour_of(received_unix_nano)
        accepted_at = self._accepted.get(digest, float("-inf"))
        if accepted_at > self._now() - DUPLICATE_WINDOW_SECONDS:
            self._retried[hour] += records
            return False
        if (earlier := self._in_flight.get(digest)) is not None:
            await asyncio.shield(earlier)
            self._retried[hour] += records
            return False
        durable = asyncio.get_running_loop().create_future()
        durable.add_done_callback(_note_failure)
        self._in_flight[digest] = durable
        record = encode_record(request, received_unix_nano, records, digest)
        self._waiting.append(_Batch(record, digest, hour, records, durable))
        self._wake()
        await asyncio.shield(durable)
        return True

    def backlog(self) -> Backlog:
        """What the writer has not taken over yet."""
        return backlog_of(self.directory)

    def quarantined_segments(self) -> int:
        """How many segments were set aside because something in them could not be read."""
        return len(quarantined_in(self.directory))

    async def close(self) -> None:
        """Take no more batches, make those in flight durable, close the segment."""
        self._closed = True
        while self._committer is not None:
            await self._committer
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._in_thread(self._close_segment)
        finally:
            self._thread.shutdown()

    def _wake(self) -> None:
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Make durable whatever waits, until nothing does; then see to the age of the segment."""
        while self._waiting:
            group, self._waiting = self._waiting, []
            durable, failure = await self._in_thread(partial(self._write, group))
            accepted_at = self._now()
            for batch in group[:durable]:
                self._accepted.pop(batch.digest, None)  # an expired one: it goes to the end
                self._accepted[batch.digest] = accepted_at
                batch.durable.set_result(None)
            for batch in group[durable:]:
                batch.durable.set_exception(failure or OSError("the batch was not written"))
            for batch in group:
                del self._in_flight[batch.digest]
            self._forget_old_digests()
        due_in = await self._in_thread(self._close_if_due)
        if self._timer is not None:
            self._timer.cancel()
        if due_in is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(due_in, self._wake)
        self._committer = None
        if self._waiting:
            self._wake()

    def _forget_old_digests(self) -> None:
        """Bound the memory; the dict is in order of acceptance."""
        horizon = self._now() - DUPLICATE_WINDOW_SECONDS
        while self._accepted:
            oldest = next(iter(self._accepted))
            if self._accepted[oldest] > horizon and len(self._accepted) <= MAX_REMEMBERED_DIGESTS:
                return
            del self._accepted[oldest]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # What follows runs in the journal's own thread, one call at a time.

    def _write(self, group: Sequence[_Batch]) -> tuple[int, Exception | None]:
        """Append and sync; returns how many of the group, from the front, are durable."""
        durable = 0
        try:
            while durable < len(group):
                segment = self._segment_with_room(len(group[durable].record))
                taken, size = durable, segment.durable_bytes
                while taken < len(group) and self._has_room(size, len(group[taken].record)):
                    size += len(group[taken].record)
                    taken += 1
                segment.torn = True
                _write_all(segment.fd, b"".join(batch.record for batch in group[durable:taken]))
                os.fdatasync(segment.fd)
                for batch in group[durable:taken]:
                    segment.accepted[batch.hour] += batch.records
                segment.torn, segment.durable_bytes, durable = False, size, taken
        except (OSError, MemoryError) as failure:
            return durable, failure
        return durable, None

    def _has_room(self, size: int, needed: int) -> bool:
        return size == 0 or size + needed <= self._max_bytes

    def _segment_with_room(self, needed: int) -> _OpenSegment:
        """The open segment without the leavings of a failed write, or a new one."""
        if self._segment is not None and not self._has_room(self._segment.durable_bytes, needed):
            self._close_segment()
        if self._segment is None:
            path = self.directory / f"{next(self._sequences):020d}.open"
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._segment = _OpenSegment(path, fd, time.monotonic())
            sync_directory(self.directory)
        self._mend(self._segment)
        return self._segment

    def _mend(self, segment: _OpenSegment) -> None:
        """Cut what a failed write left: those batches were refused and will be sent again."""
        if segment.torn:
            os.ftruncate(segment.fd, segment.durable_bytes)
            os.fsync(segment.fd)
            segment.torn = False

    def _close_if_due(self) -> float | None:
        """Close the segment if it is old or full; returns when to look again (s), or None."""
        if self._segment is None:
            return None
        age = time.monotonic() - self._segment.created_at
        if age < self._max_age and self._segment.durable_bytes < self._max_bytes:
            return self._max_age - age
        try:
            self._close_segment()
        except OSError as failure:
            _log.warning("journal.close_failed", segment=str(self._segment.path), error=failure)
            return self._max_age
        return None

    def _close_segment(self) -> None:
        """Hand the segment to the writer. May be called again after it failed half-way."""
        segment = self._segment
        if segment is None:
            return
        self._mend(segment)
        if segment.durable_bytes == 0:
            segment.path.unlink(missing_ok=True)
        elif segment.path.exists():
            retried = dict(+self._retried)
            self._note(int(segment.path.stem), segment.accepted, retried)
            self._retried.subtract(retried)
            segment.path.rename(segment.path.with_suffix(".journal"))
        sync_directory(self.directory)
        os.close(segment.fd)
        self._segment = None
        if time.monotonic() - self._pruned_at > _PRUNE_EVERY_SECONDS:
            self._pruned_at = time.monotonic()
            # The files bear the time of the wall clock, which may have been set since.
            prune_digests(self.directory, min(self._now(), time.time()) - DUPLICATE_WINDOW_SECONDS)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _note_failure(durable: asyncio.Future[None]) -> None:
    """Everybody who waited may have gone away: a failure is then nobody's, and no warning."""
    if not durable.cancelled():
        durable.exception()
