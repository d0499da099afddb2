"""The writer: closed journal segments into the lake, each exactly once.

One commit carries the rows of one or more segments together with the sequence number of the last
one. After a crash at any point the same code compares and goes on: segments at or below the
committed position are only cleaned up, later ones are written. Normal running and recovery are
one path.
"""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import structlog
from deltalake.exceptions import DeltaError

from ingest.decode import Signal, decode
from ingest.journal import (
    JournalError,
    Record,
    Segment,
    closed_segments,
    quarantine,
    read_records,
    retire,
)
from ingest.rows import log_rows, span_rows
from lake import Lake, LakeError

_TABLE_OF: dict[Signal, str] = {"traces": "spans", "logs": "logs"}
_ROWS_OF = {"traces": span_rows, "logs": log_rows}
_MAX_COMMIT_BYTES = 24 * 1024 * 1024
_RETRY_SECONDS = 1.0
_LOG_EVERY_SECONDS = 60.0
_SWEEP_EVERY = timedelta(hours=1)

_log = structlog.get_logger()


class WriterError(Exception):
    """The writer ended and left something in the journal; the message says why."""


@dataclass(frozen=True, kw_only=True)
class WriterSettings:
    """How the writer works on `data`, the sidecar's directory.

    A row is in the lake `commit_every_seconds` after its segment was closed, plus the commit.
    Days older than `retention_days` (UTC, by the row's own time) are deleted; None keeps all.
    """

    data: Path
    retention_days: int | None = None
    commit_every_seconds: float = 1.0
    compact_every_commits: int = 60
    poll_seconds: float = 0.1


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
        self.table = _TABLE_OF[self.name]


def run_writer(settings: WriterSettings, stop: threading.Event) -> None:
    """Write until `stop` is set, then whatever is closed by then, and return.

    A failing disk or lake is retried for ever, and logged: the journal keeps the rows meanwhile,
    and the other signals go on. After `stop` one failure is enough: the segments stay for the
    next start. Raises WriterError then.
    """
    lake = Lake(settings.data / "lake")
    signals = [_Signal(name, settings.data / "journal" / name) for name in _TABLE_OF]
    swept_on: datetime | None = None
    while True:
        stopping = stop.is_set()
        behind = [_write_or_wait(lake, signal, settings, at_once=stopping) for signal in signals]
        now = datetime.now(UTC)
        if not stopping and (swept_on is None or abs(now - swept_on) >= _SWEEP_EVERY):
            swept_on = now
            _keep_house(lake, settings, now.date())
        if any(behind):
            continue
        if stopping:
            if failed := [signal.failure for signal in signals if signal.failure]:
                raise WriterError(f"what is in the journal waits for the next start: {failed[0]}")
            return
        stop.wait(settings.poll_seconds)


def _write_or_wait(lake: Lake, signal: _Signal, settings: WriterSettings, *, at_once: bool) -> bool:
    """`_write_due`, which after a failure is tried again once its time has come."""
    if not at_once and time.monotonic() < signal.retry_at:
        return False
    try:
        behind = _write_due(lake, signal, settings, at_once=at_once)
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


def _write_due(lake: Lake, signal: _Signal, settings: WriterSettings, *, at_once: bool) -> bool:
    """Make the commit of a signal that is due, if one is; True if more is waiting behind it.

    One commit per call, so that a backlog of one signal does not hold up the other.
    """
    segments = closed_segments(signal.directory)
    group = _first_group(segments)
    behind = len(group) < len(segments)
    age = time.monotonic() - signal.committed_at
    if not group or not (at_once or behind or age >= settings.commit_every_seconds):
        return False
    _write(lake, signal, group)
    signal.committed_at = time.monotonic()
    signal.commits += 1
    if signal.commits % settings.compact_every_commits == 0:
        _compact(lake, signal)
    return behind


def _first_group(segments: Sequence[Segment]) -> Sequence[Segment]:
    """The oldest segments that fit one commit; a single large one is a group of its own."""
    size = 0
    for count, segment in enumerate(segments):
        size += segment.path.stat().st_size
        if count and size > _MAX_COMMIT_BYTES:
            return segments[:count]
    return segments


@dataclass(frozen=True)
class _Loaded:
    """A segment read and decoded; `damage` says what of it could not be."""

    segment: Segment
    rows: pa.Table
    digests: list[bytes]
    damage: str | None


def _write(lake: Lake, signal: _Signal, segments: Sequence[Segment]) -> None:
    """One commit for those segments that are not in the lake yet, then the clean-up of all.

    A crash between the two leaves segments at or before the committed position behind.
    """
    started = time.monotonic()
    position = lake.position(signal.table)
    loaded = [_load(signal.name, segment) for segment in segments]
    unwritten = [part.rows for part in loaded if part.segment.sequence > position]
    rows = pa.concat_tables([_rows(signal.name, ()), *unwritten])
    if segments[0].sequence <= position:
        os.sync()  # the crash may have come before the commit was on disk, not only in its cache
    if rows.num_rows:
        lake.append(signal.table, rows, position=segments[-1].sequence)
    for part in loaded:
        _clean_up(part)
    _log.info(
        "writer.committed",
        signal=signal.name,
        rows=rows.num_rows,
        segments=len(segments),
        position=segments[-1].sequence,
        seconds=round(time.monotonic() - started, 3),
    )


def _load(signal: Signal, segment: Segment) -> _Loaded:
    records, damage = _readable(segment)
    rows, undecodable = _decoded(signal, records)
    return _Loaded(segment, rows, [record.digest for record in records], damage or undecodable)


def _readable(segment: Segment) -> tuple[list[Record], str | None]:
    """The whole records of a segment, and what is wrong with the rest, if anything is."""
    damage: list[JournalError] = []
    records = list(read_records(segment.path, damage.append))
    more = f", and {len(damage) - 1} more" if len(damage) > 1 else ""
    return records, f"{damage[0]}{more}" if damage else None


def _decoded(signal: Signal, records: Sequence[Record]) -> tuple[pa.Table, str | None]:
    """The rows of all records together; if that fails, of those that can be decoded alone."""
    try:
        return _rows(signal, records), None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one poisoned record must not stop the rest
        _log.warning("writer.decoding_each_record_alone", signal=signal, reason=repr(error))
    parts, failures = [_rows(signal, ())], []
    for number, record in enumerate(records, start=1):
        try:
            parts.append(_rows(signal, (record,)))
        except Exception as error:  # noqa: BLE001 - as above; the segment is kept in quarantine
            failures.append(f"record {number} of {len(records)} cannot be decoded: {error!r}")
    return pa.concat_tables(parts), "; ".join(failures) or None


def _rows(signal: Signal, records: Sequence[Record]) -> pa.Table:
    requests = [bytes(record.request) for record in records]
    decoded = decode(signal, requests, [record.received_unix_nano for record in records])
    return _ROWS_OF[signal](decoded)


def _clean_up(part: _Loaded) -> None:
    """Remember the digests and let the segment go: deleted, or quarantined if it is damaged."""
    if part.damage is not None:
        kept = quarantine(part.segment, part.damage)
        _log.error("writer.quarantined", segment=str(kept), reason=part.damage)
    retire(part.segment, part.digests)


def _compact(lake: Lake, signal: _Signal) -> None:
    started = time.monotonic()
    try:
        report = lake.compact(signal.table)
    except Exception as error:  # noqa: BLE001 - the rows are in the lake, in more files than need be
        _log.error("writer.compaction_failed", table=signal.table, reason=_one_line(error))
        return
    if report.files_removed:
        _log.info(
            "writer.compacted",
            table=signal.table,
            files_removed=report.files_removed,
            files_added=report.files_added,
            seconds=round(time.monotonic() - started, 3),
        )


def _keep_house(lake: Lake, settings: WriterSettings, today: date) -> None:
    """Expire days out of retention and delete files that no reader can still be using."""
    for table in _TABLE_OF.values():
        try:
            if settings.retention_days is not None:
                before = today - timedelta(days=settings.retention_days)
                if expired := lake.expire(table, before):
                    _log.info("writer.expired", table=table, before=str(before), rows=expired)
            lake.sweep(table)
        except Exception as error:  # noqa: BLE001 - it is tried again in an hour
            _log.error("writer.housekeeping_failed", table=table, reason=_one_line(error))
