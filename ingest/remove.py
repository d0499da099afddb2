"""Rows leave the lake on the record: noted in the ledger first, then taken out.

The lake's number of the last committed removal tells which notes came true, so a crash between
the two loses no row and miscounts none.
"""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import structlog

from ingest.ledger import Ledger, Reason
from ingest.lock import APPENDER, APPENDER_PATIENCE_SECONDS, sole
from lake import (
    TABLES,
    Lake,
    Removal,
    RemovalConflict,
    tenants_own,
    tenants_unnamed,
)

_STILL_WRITTEN = timedelta(days=1)
_ATTEMPTS = 5

_log = structlog.get_logger()


def remove(
    data: Path, ledger: Ledger, find: Callable[[], Removal], reason: Reason, day: date
) -> int:
    """Take the rows that `find` counts out of `day`, and return how many they were.

    Nothing is appended meanwhile where rows still come in: a removal that others disturb is done
    again. The caller holds the keeper's lock. Raises RemovalConflict when it never succeeds.
    """
    is_still_written = datetime.now(UTC).date() - day <= _STILL_WRITTEN
    for attempt in range(1, _ATTEMPTS + 1):
        undisturbed = sole(data, APPENDER, APPENDER_PATIENCE_SECONDS)
        with undisturbed if is_still_written or attempt > 1 else nullcontext():
            removal = find()
            if not removal.rows:
                return 0
            ledger.note_removal(removal.table, removal.number, reason, removal.rows)
            try:
                removal.commit()
            except RemovalConflict as conflict:
                if attempt == _ATTEMPTS:
                    raise
                _log.info("remove.again", reason=str(conflict))
                continue
        _log.info(
            "remove.committed",
            table=removal.table,
            day=str(day),
            why=reason,
            rows=removal.total,
        )
        return removal.total
    raise AssertionError("the last attempt returns or raises")


def remove_tenant(
    data: Path,
    lake: Lake,
    ledger: Ledger,
    tenant: str,
    traces: pa.Table,
    reason: Reason,
    before: date | None = None,
) -> dict[str, int]:
    """Take out a tenant's rows, of days earlier than `before` if given; counts them by table.

    Its rows are those that name it, and those that name nobody in `traces`, see `lake.traces_of`.
    The latter go first, from all tables: after a crash the former still tell which traces those
    were.
    """
    removed = dict.fromkeys(TABLES, 0)
    days = {
        table: [day for day in lake.days(table) if before is None or day < before]
        for table in TABLES
    }
    for table, schema in TABLES.items():
        for day in days[table] if schema.has_traces and traces.num_rows else ():
            find = partial(tenants_unnamed, lake, table, day, traces)
            removed[table] += remove(data, ledger, find, reason, day)
    for table in TABLES:
        for day in days[table]:
            find = partial(tenants_own, lake, table, day, tenant)
            removed[table] += remove(data, ledger, find, reason, day)
    return removed
