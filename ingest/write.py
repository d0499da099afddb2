"""The writer: closed journal segments into the lake, each exactly once.

One commit carries the rows of one or more segments together with the sequence number of the last
one. After a crash at any point the same code compares and goes on: segments at or below the
committed position are only cleaned up, later ones are written. Normal running and recovery are
one path.
"""

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pyarrow as pa
import structlog
from deltalake.exceptions import DeltaError

from ingest.decode import Signal
from ingest.journal import Segment, closed_segments, quarantine, retire
from ingest.keeper import Keeper, KeeperSettings
from ingest.ledger import Ledger
from ingest.limits import Labels
from ingest.lock import APPENDER, APPENDER_PATIENCE_SECONDS, sole
from ingest.segment_rows import SegmentRows
from ingest.tables import TABLE_OF
from lake import AttributeMap, Lake, LakeError
from lake.mapping_file import SHIPPED

_MAX_COMMIT_BYTES = 12 * 1024 * 1024
_RETRY_SECONDS = 1.0
_LOG_EVERY_SECONDS = 60.0

_log = structlog.get_logger()


class WriterError(Exception):
    """The writer ended and left something in the journal; the message says why."""


@dataclass(frozen=True, kw_only=True)
class WriterSettings:
    """How the writer works on `data`, the sidecar's directory.

    A row is in the lake `commit_every_seconds` after its segment was closed, plus the commit.
    The keeper, which it starts every `compact_every_commits` and every hour, deletes days older
    than `retention_days` (UTC, by the row's own time), those of a tenant in
    `tenant_retention_days` when they are older than that; None keeps all. `mapping` says which
    attributes become which columns. Content is dropped but from rows of the tenants in
    `keep_content_for`.
    """

    data: Path
    retention_days: int | None = None
    tenant_retention_days: Mapping[str, int] = field(default_factory=dict)
    keep_content_for: Collection[str] = ()
    mapping: AttributeMap = SHIPPED
    commit_every_seconds: float = 1.0
    compact_every_commits: int = 60
    poll_seconds: float = 0.2


@dataclass
class _Signal:
    """What the writer remembers of one signal between two rounds; all of it can be forgotten."""

    name: Signal
    directory: Path
    committed_at: float = float("-inf")
    commits: int = 0
    failure: str = ""
    failure_logged_at: float = float("-inf")
    retry_at: float = float("-inf")
    table: str = field(init=False)

    def __post_init__(self) -> None:
        self.table = TABLE_OF[self.name]


@dataclass(frozen=True)
class _Desk:
    """What the writer works with."""

    settings: WriterSettings
    lake: Lake
    ledger: Ledger
    labels: Labels = field(default_factory=Labels)


def run_writer(settings: WriterSettings, stop: threading.Event) -> None:
    """Write until `stop` is set, then whatever is closed by then, and return.

    A failing disk or lake is retried for ever, and logged: the journal keeps the rows meanwhile,
    and the other signals go on. After `stop` one failure is enough: the segments stay for the
    next start. Raises WriterError then.
    """
    signals = [_Signal(name, settings.data / "journal" / name) for name in TABLE_OF]
    kept = KeeperSettings(
        data=settings.data,
        retention_days=settings.retention_days,
        tenant_retention_days=settings.tenant_retention_days,
    )
    with (
        closing(Ledger(settings.data)) as ledger,
        closing(Keeper(kept, settings.compact_every_commits)) as keeper,
    ):
        lake = Lake(settings.data / "lake")
        _mend(lake)
        _write_until(stop, _Desk(settings, lake, ledger), signals, keeper)


def _mend(lake: Lake) -> None:
    """Put right what a power cut has done to the lake; what stays is told when it is met."""
    for table in TABLE_OF.values():
        try:
            for path in lake.mend(table):
                _log.warning("writer.dropped_unwritten", path=str(path))
        except OSError as error:
            _log.error("writer.cannot_mend", table=table, reason=str(error))


def _write_until(
    stop: threading.Event, desk: _Desk, signals: Sequence[_Signal], keeper: Keeper
) -> None:
    while True:
        stopping = stop.is_set()
        behind = [_write_or_wait(desk, signal, at_once=stopping) for signal in signals]
        if not stopping:
            keeper.look_after(sum(signal.commits for signal in signals))
        if any(behind):
            continue
        if stopping:
            if failed := [signal.failure for signal in signals if signal.failure]:
                raise WriterError(f"what is in the journal waits for the next start: {failed[0]}")
            return
        stop.wait(desk.settings.poll_seconds)


def _write_or_wait(desk: _Desk, signal: _Signal, *, at_once: bool) -> bool:
    """`_write_due`, which after a failure is tried again once its time has come."""
    if not at_once and time.monotonic() < signal.retry_at:
        return False
    try:
        behind = _write_due(desk, signal, at_once=at_once)
    except Exception as error:  # noqa: BLE001 - whatever it is, the journal still has the rows
        _note_failure(signal, error)
        signal.retry_at = time.monotonic() + _RETRY_SECONDS
        return False
    signal.failure = ""
    return behind


def _note_failure(signal: _Signal, error: Exception) -> None:
    """Log a failure when it is new, and now and then while it lasts."""
    reason = _one_line(error)
    now = time.monotonic()
    if reason == signal.failure and now - signal.failure_logged_at < _LOG_EVERY_SECONDS:
        return
    signal.failure, signal.failure_logged_at = reason, now
    known = isinstance(error, LakeError | DeltaError | OSError)
    _log.error(
        "writer.failed",
        signal=signal.name,
        reason=reason,
        retry_seconds=_RETRY_SECONDS,
        exc_info=None if known else error,
    )


def _one_line(error: Exception) -> str:
    """The message without the stack that Delta's library puts behind it."""
    return " ".join(str(error).partition("\n   0:")[0].split()) or repr(error)


def _write_due(desk: _Desk, signal: _Signal, *, at_once: bool) -> bool:
    """Make the commit of a signal that is due, if one is; True if more is waiting behind it.

    One commit per call, so that a backlog of one signal does not hold up the other.
    """
    segments = closed_segments(signal.directory)
    group = _first_group(segments)
    behind = len(group) < len(segments)
    age = time.monotonic() - signal.committed_at
    if not group or not (at_once or behind or age >= desk.settings.commit_every_seconds):
        return False
    with sole(desk.settings.data, APPENDER, APPENDER_PATIENCE_SECONDS):
        _write(desk, signal, group)
    signal.committed_at = time.monotonic()
    signal.commits += 1
    return behind


def _first_group(segments: Sequence[Segment]) -> Sequence[Segment]:
    """The oldest segments that fit one commit; a single large one is a group of its own."""
    size = 0
    for count, segment in enumerate(segments):
        size += segment.path.stat().st_size
        if count and size > _MAX_COMMIT_BYTES:
            return segments[:count]
    return segments


def _write(desk: _Desk, signal: _Signal, segments: Sequence[Segment]) -> None:
    """One commit for those segments that are not in the lake yet, then the clean-up of all.

    A crash in between leaves segments at or before the committed position behind, and perhaps the
    ledger without them: both are put right when they are met again.
    """
    started = time.monotonic()
    position = desk.lake.position(signal.table)
    read = [_rows_of(desk, signal, segment) for segment in segments]
    if segments[0].sequence <= position:
        os.sync()  # the crash may have come before the commit was on disk, not only in its cache
    for each in read:
        if each.segment.sequence <= position:
            deque(each.parts(), maxlen=0)  # they are in the lake; the ledger wants their number
    new = [each for each in read if each.segment.sequence > position]
    rows = _append(desk.lake, signal, new)
    desk.ledger.settle(signal.name, [each.settlement() for each in read])
    for each in read:
        _clean_up(each)
    seconds = time.monotonic() - started
    if rows:
        files = sum(len(day) for day in desk.lake.days(signal.table).values())
        desk.ledger.note_commit(signal.name, rows, seconds, files)
        desk.ledger.note_dropped(signal.name, sum((each.screen.dropped for each in new), Counter()))
    _log.info(
        "writer.committed",
        signal=signal.name,
        rows=rows,
        segments=len(segments),
        position=segments[-1].sequence,
        seconds=round(seconds, 3),
    )


def _rows_of(desk: _Desk, signal: _Signal, segment: Segment) -> SegmentRows:
    return SegmentRows(
        signal.name, segment, desk.settings.mapping, desk.labels, desk.settings.keep_content_for
    )


def _append(lake: Lake, signal: _Signal, segments: Sequence[SegmentRows]) -> int:
    """Commit the rows of all segments together as they are decoded; returns how many."""
    parts = _ahead(part for segment in segments for part in segment.parts() if part.num_rows)
    first = next(parts, None)
    if first is None:
        return 0
    written = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal written
        for part in chain((first,), parts):
            written += part.num_rows
            yield from part.to_batches()

    rows = pa.RecordBatchReader.from_batches(first.schema, batches())
    lake.append(signal.table, rows, position=segments[-1].segment.sequence)
    return written


def _ahead(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same, the next one being made while this one is written: those are two cores' work."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part


def _clean_up(read: SegmentRows) -> None:
    """Remember the digests and let the segment go: deleted, or quarantined if it is damaged."""
    if read.damage is not None:
        kept = quarantine(read.segment, read.damage)
        _log.error("writer.quarantined", segment=str(kept), reason=read.damage)
    retire(read.segment, read.digests)
