"""The writer: closed journal segments into the lake, each exactly once.

One commit carries the rows of one or more segments together with the sequence number of the last
one. After a crash at any point the same code compares and goes on: segments at or below the
committed position are only cleaned up, later ones are written. Normal running and recovery are
one path.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import structlog

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
from lake import Lake

_TABLE_OF: dict[Signal, str] = {"traces": "spans", "logs": "logs"}
_ROWS_OF = {"traces": span_rows, "logs": log_rows}
_MAX_COMMIT_BYTES = 24 * 1024 * 1024
_RETRY_SECONDS = 1.0
_SWEEP_EVERY = timedelta(hours=1)

_log = structlog.get_logger()


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
    table: str = field(init=False)

    def __post_init__(self) -> None:
        self.table = _TABLE_OF[self.name]


def run_writer(settings: WriterSettings, stop: threading.Event) -> None:
    """Write until `stop` is set, then whatever is closed by then, and return.

    A failing disk or lake is retried for ever, and logged: the journal keeps the rows meanwhile.
    After `stop` one failure is enough: the segments stay for the next start.
    """
    lake = Lake(settings.data / "lake")
    signals = [_Signal(name, settings.data / "journal" / name) for name in _TABLE_OF]
    swept_on: datetime | None = None
    while True:
        stopping = stop.is_set()
        try:
            for signal in signals:
                _write_due(lake, signal, settings, at_once=stopping)
            now = datetime.now(UTC)
            if not stopping and (swept_on is None or now - swept_on >= _SWEEP_EVERY):
                swept_on = now
                _keep_house(lake, settings, now.date())
        except Exception:  # noqa: BLE001 - whatever it is, the journal still has the rows
            _log.exception("writer.failed", retry_seconds=_RETRY_SECONDS)
            if stopping:
                return
            stop.wait(_RETRY_SECONDS)
            continue
        if stopping:
            return
        stop.wait(settings.poll_seconds)


def _write_due(lake: Lake, signal: _Signal, settings: WriterSettings, *, at_once: bool) -> None:
    """Write the closed segments of a signal, if any, once the last commit is old enough."""
    segments = closed_segments(signal.directory)
    age = time.monotonic() - signal.committed_at
    if not segments or not (at_once or age >= settings.commit_every_seconds):
        return
    for group in _groups(_unwritten(lake, signal, segments)):
        _write(lake, signal, group)
        signal.committed_at = time.monotonic()
        signal.commits += 1
        if signal.commits % settings.compact_every_commits == 0:
            _compact(lake, signal)


def _unwritten(lake: Lake, signal: _Signal, segments: Sequence[Segment]) -> list[Segment]:
    """Those after the committed position; a crash left the others between commit and clean-up."""
    position = lake.position(signal.table)
    for segment in segments:
        if segment.sequence <= position:
            records, damage = _readable(segment)
            _clean_up(segment, [record.digest for record in records], damage)
    return [segment for segment in segments if segment.sequence > position]


def _groups(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Consecutive segments that fit one commit; a single large one is a group of its own."""
    group: list[Segment] = []
    size = 0
    for segment in segments:
        size += segment.path.stat().st_size
        if group and size > _MAX_COMMIT_BYTES:
            yield group
            group, size = [], segment.path.stat().st_size
        group.append(segment)
    if group:
        yield group


def _write(lake: Lake, signal: _Signal, segments: Sequence[Segment]) -> None:
    """One commit for the segments, then their clean-up."""
    started = time.monotonic()
    tables: list[pa.Table] = []
    done: list[tuple[Segment, list[bytes], str | None]] = []
    for segment in segments:
        records, damage = _readable(segment)
        digests = [record.digest for record in records]
        try:
            tables.append(_rows(signal.name, records))
        except Exception as error:  # noqa: BLE001 - one poisoned segment must not stop the rest
            damage = f"cannot be decoded: {error!r}"
        done.append((segment, digests, damage))
    rows = pa.concat_tables(tables) if tables else None
    if rows is not None and rows.num_rows:
        lake.append(signal.table, rows, position=segments[-1].sequence)
    for segment, digests, damage in done:
        _clean_up(segment, digests, damage)
    _log.info(
        "writer.committed",
        signal=signal.name,
        rows=rows.num_rows if rows is not None else 0,
        segments=len(segments),
        position=segments[-1].sequence,
        seconds=round(time.monotonic() - started, 3),
    )


def _rows(signal: Signal, records: Sequence[Record]) -> pa.Table:
    requests = [bytes(record.request) for record in records]
    decoded = decode(signal, requests, [record.received_unix_nano for record in records])
    return _ROWS_OF[signal](decoded)


def _readable(segment: Segment) -> tuple[list[Record], str | None]:
    """The whole records of a segment from its front, and what ended them, if damage did."""
    records: list[Record] = []
    try:
        for record in read_records(segment.path):
            records.append(record)  # noqa: PERF402 - extend would lose those before the damage
    except JournalError as damage:
        return records, str(damage)
    return records, None


def _clean_up(segment: Segment, digests: Sequence[bytes], damage: str | None) -> None:
    """Remember the digests and let the segment go: deleted, or quarantined if it is damaged."""
    if damage is not None:
        kept = quarantine(segment, damage)
        _log.error("writer.quarantined", segment=str(kept), reason=damage, records=len(digests))
    retire(segment, digests)


def _compact(lake: Lake, signal: _Signal) -> None:
    started = time.monotonic()
    report = lake.compact(signal.table)
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
        if settings.retention_days is not None:
            before = today - timedelta(days=settings.retention_days)
            if expired := lake.expire(table, before):
                _log.info("writer.expired", table=table, before=str(before), rows=expired)
        lake.sweep(table)
