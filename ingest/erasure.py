"""Takes everything of a tenant out of a data directory, and shows that it is gone."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ingest.ledger import Ledger
from ingest.limits import short
from ingest.lock import APPENDER, APPENDER_PATIENCE_SECONDS, KEEPER, DirectoryInUse, sole
from ingest.naming import quarantined_files_naming, waiting_files_naming
from ingest.recovery import recover
from ingest.remove import remove_tenant
from ingest.set_aside import take_out_of_quarantine
from ingest.tables import TABLE_OF
from ingest.write import WriterSettings, run_writer
from lake import TABLES, AttributeMap, Lake, rows_of_tenant, traces_of
from lake.mapping_file import SHIPPED

KEEPER_PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.1
_ROUNDS = 3


class StillInJournal(Exception):  # noqa: N818 - it names what is the case
    """What was accepted before has not reached the lake in time; nothing was erased."""


@dataclass(frozen=True)
class Erasure:
    """How many rows of a tenant were taken out of each table, and what is left of it (nothing).

    `tenant` is its name as the lake has it. `left` counts the rows in the lake; `waiting` are the
    segments of the journal that name it, since its senders go on. `cleared` are the files in
    quarantine that it was taken out of, `quarantined` those that hold its name still, within a
    longer one.
    """

    tenant: str
    removed: Mapping[str, int]
    left: Mapping[str, int]
    waiting: tuple[Path, ...]
    cleared: tuple[Path, ...]
    quarantined: tuple[Path, ...]


def erase(
    data: Path,
    tenant: str,
    mapping: AttributeMap = SHIPPED,
    *,
    keep_content_for: Collection[str] = (),
    patience_seconds: float = 60.0,
) -> Erasure:
    """Take out every row of `tenant`, and look where there may be more.

    What was accepted before this was called is out afterwards, what comes in meanwhile as far as
    three rounds find it. Its rows are those that name it, and those that name nobody in a trace
    that names it. A reader sees a day with them or without. It may run beside the sidecar; where
    none runs it first writes what the journal holds, by `mapping`, without content but for the
    tenants in `keep_content_for`. Raises StillInJournal when the writer does not come to it, and
    DirectoryInUse when another process rewrites the lake for longer than ten minutes.
    """
    writing = WriterSettings(data=data, mapping=mapping, keep_content_for=keep_content_for)
    removed = Counter[str]()
    for _ in range(_ROUNDS):
        begun_at = datetime.now(UTC)
        _empty_journal(writing, patience_seconds)
        gone, left = _take_out(data, short(tenant), begun_at)
        removed.update(gone)
        if not (waiting := waiting_files_naming(data, tenant)):
            break
    with sole(data, KEEPER, KEEPER_PATIENCE_SECONDS):
        cleared = take_out_of_quarantine(data, tenant, mapping)
    quarantined = quarantined_files_naming(data, tenant)
    return Erasure(short(tenant), removed, left, waiting, cleared, quarantined)


def _take_out(
    data: Path, tenant: str, begun_at: datetime
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The rows of a tenant that left the lake, and those that are left, by table."""
    lake = Lake(data / "lake")
    with sole(data, KEEPER, KEEPER_PATIENCE_SECONDS), closing(Ledger(data)) as ledger:
        traces = traces_of(lake, tenant)
        removed = remove_tenant(data, lake, ledger, tenant, traces, "erased")
        left = {table: rows_of_tenant(lake, table, tenant, traces, begun_at) for table in TABLES}
    return removed, left


def sweep(data: Path) -> int:
    """Delete the files that the present lake does not need, at once; returns how many.

    A question that is being answered from them may fail. Nothing is appended meanwhile: files that
    are about to be committed are nobody's, too. Raises DirectoryInUse as `erase` does.
    """
    lake = Lake(data / "lake")
    with (
        sole(data, KEEPER, KEEPER_PATIENCE_SECONDS),
        sole(data, APPENDER, APPENDER_PATIENCE_SECONDS),
    ):
        return sum(lake.sweep(table, grace_hours=0) for table in TABLES)


def _empty_journal(settings: WriterSettings, patience_seconds: float) -> None:
    """Return when all that was accepted before is in the lake."""
    data = settings.data
    waiting = _segments(data)
    try:
        with sole(data, "receiver"), sole(data, "writer"):
            _write_journal(settings)
    except DirectoryInUse:
        deadline = time.monotonic() + patience_seconds
        while waiting & _segments(data):
            if time.monotonic() > deadline:
                raise StillInJournal(
                    f"{data / 'journal'} still holds what was accepted {patience_seconds:g} s ago; "
                    "see why the writer does not write it (its log lines), then erase again"
                ) from None
            time.sleep(_POLL_SECONDS)


def _write_journal(settings: WriterSettings) -> None:
    data = settings.data
    with closing(Ledger(data)) as ledger:
        for signal in TABLE_OF:
            if (directory := data / "journal" / signal).is_dir():
                recover(directory, partial(ledger.close_segment, signal))
    stop = threading.Event()
    stop.set()
    run_writer(settings, stop)
    if _segments(data):
        raise StillInJournal(
            f"{data / 'journal'} cannot be written to the lake; see the log lines above"
        )


def _segments(data: Path) -> set[tuple[str, str]]:
    """Signal and sequence of every segment that is not in the lake."""
    return {
        (path.parent.name, path.stem)
        for suffix in ("open", "journal")
        for path in (data / "journal").glob(f"*/*.{suffix}")
    }
