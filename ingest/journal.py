"""The journal: where a batch is safe before it is acknowledged.

One directory per signal (see `ingest.segments` for what lies in it). The receiver appends to an
open segment and closes it once it is old or big enough; the writer reads closed segments in
sequence order and retires them after they are in the lake.

Two invariants carry the promise that nothing acknowledged is lost or counted twice:

* `Journal.append` returns only after `fdatasync` of the record and of its directory entry;
* a segment is created only after the one before it is durably closed. So the writer, which
  commits in sequence order and skips what it has committed, never skips a segment that came late.

Whatever is raised while it writes or closes is the answer to the batches that waited, and the
journal goes on: each step in `ingest.open_end` leaves it so that the step can be done again.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from ingest.duplicates import DUPLICATE_WINDOW_SECONDS, accepted_before, steady_clock
from ingest.ledger import NoteSegment, hour_of
from ingest.open_end import Entry, OpenEnd
from ingest.record import CorruptRecord, JournalError, Record, TornTail, encode_record
from ingest.recovery import quarantine, quarantined_in, recover
from ingest.segments import (
    Backlog,
    Segment,
    backlog_of,
    closed_segments,
    digest_of,
    make_directory,
    next_sequence,
    prune_digests,
    read_records,
    retire,
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
_RETRY_SECONDS = 1.0

_T = TypeVar("_T")
_log = structlog.get_logger()


class JournalClosed(Exception):  # noqa: N818 - a state, met on every shutdown
    """The journal takes no more batches because the receiver is going down."""


@dataclass(frozen=True)
class _Batch:
    entry: Entry
    digest: bytes
    durable: asyncio.Future[None]


class Journal:
    """The receiver's side of one signal's directory; belongs to one event loop.

    Opening it recovers: segments left open by a crash are closed, their torn tail cut (`damage`
    says what was found). Concurrent appends share one write and one fdatasync. `note` learns what
    a segment holds before the writer can see it. New segments are numbered above `above`.
    """

    def __init__(
        self,
        directory: Path,
        note: NoteSegment,
        *,
        max_age_seconds: float = 1.0,
        max_bytes: int = 12 * 1024 * 1024,
        now: Callable[[], float] | None = None,
        above: int = 0,
    ) -> None:
        now = now or steady_clock()
        make_directory(directory)
        self.directory = directory
        self.damage = recover(directory, note)
        self._note = note
        self._now = now
        self._end = OpenEnd(
            directory,
            self._note_with_retried,
            next_sequence(directory, now, above),
            max_age_seconds=max_age_seconds,
            max_bytes=max_bytes,
        )
        self._accepted = accepted_before(directory, now())
        self._pruned_at = float("-inf")
        self._waiting: list[_Batch] = []
        self._retried: Counter[int] = Counter()
        self._counting = threading.Lock()
        self._in_flight: dict[bytes, asyncio.Future[None]] = {}
        self._committer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"journal-{directory.name}")
        # Its thread starts now: where none can be, later on, what was handed over would be refused
        # and nevertheless be done once one can.
        self._thread.submit(int)

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
        Raises JournalClosed after `close`, OSError when the disk refuses, and whatever else went
        wrong in the journal's thread. The batch is then not in the journal, and new when it is sent
        again.
        """
        if self._closed:
            raise JournalClosed(f"{self.directory}: the journal is closed")
        digest = digest or digest_of(request)
        hour = hour_of(received_unix_nano)
        accepted_at = self._accepted.get(digest, float("-inf"))
        if accepted_at > self._now() - DUPLICATE_WINDOW_SECONDS:
            self._count_retried(hour, records)
            return False
        if (earlier := self._in_flight.get(digest)) is not None:
            await asyncio.shield(earlier)
            self._count_retried(hour, records)
            return False
        durable = asyncio.get_running_loop().create_future()
        durable.add_done_callback(_note_failure)
        self._in_flight[digest] = durable
        record = encode_record(request, received_unix_nano, records, digest)
        self._waiting.append(_Batch(Entry(record, hour, records), digest, durable))
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
        """Take no more batches, make those in flight durable, close the segment.

        Raises whatever kept the segment from being closed: the next start closes it.
        """
        self._closed = True
        try:
            while self._committer is not None:
                await self._committer
            if self._timer is not None:
                self._timer.cancel()
            await self._in_thread(self._end.close)
        finally:
            self._thread.shutdown()

    def _count_retried(self, hour: int, records: int) -> None:
        with self._counting:
            self._retried[hour] += records

    def _wake(self) -> None:
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Make durable whatever waits, until nothing does; then see to the age of the segment."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._commit_group(group)
            due_in = await self._looked_after()
            if self._timer is not None:
                self._timer.cancel()
            if due_in is not None and not self._closed:
                self._timer = asyncio.get_running_loop().call_later(due_in, self._wake)
        finally:
            self._committer = None
            if self._waiting:
                self._wake()

    async def _looked_after(self) -> float | None:
        try:
            return await self._in_thread(self._look_after)
        except Exception as failure:  # noqa: BLE001 - nobody waits; it is tried again, and told then
            _log.warning("journal.close_failed", directory=str(self.directory), error=repr(failure))
            return _RETRY_SECONDS

    async def _commit_group(self, group: Sequence[_Batch]) -> None:
        """Make durable what can be, and answer everybody."""
        entries = [batch.entry for batch in group]
        durable: int = 0
        failure: Exception | None
        try:
            durable, failure = await self._in_thread(partial(self._end.append, entries))
        except Exception as fault:  # noqa: BLE001 - the thread could not even be asked
            failure = fault
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

    def _note_with_retried(self, sequence: int, accepted: Mapping[int, int]) -> None:
        with self._counting:
            retried = dict(+self._retried)
        self._note(sequence, accepted, retried)
        with self._counting:
            self._retried.subtract(retried)

    def _look_after(self) -> float | None:
        """Close the segment if it is due, and prune; returns when to look again (s), or None."""
        due_in = self._end.close_if_due()
        if time.monotonic() - self._pruned_at > _PRUNE_EVERY_SECONDS:
            self._pruned_at = time.monotonic()
            # The files bear the time of the wall clock, which may have been set since.
            prune_digests(self.directory, min(self._now(), time.time()) - DUPLICATE_WINDOW_SECONDS)
        return due_in


def _note_failure(durable: asyncio.Future[None]) -> None:
    """Everybody who waited may have gone away: a failure is then nobody's, and no warning."""
    if not durable.cancelled():
        durable.exception()
