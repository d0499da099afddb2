"""The keeper's hourly tasks: expire what is out of retention, put ended days in order, sweep."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import partial

import structlog

from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger
from ingest.limits import short
from ingest.remove import remove, remove_tenant
from ingest.trusted_day import trusted_day
from lake import TABLES, DayFile, Lake, surplus_copies, traces_of, whole_day

CLOSED_AFTER = timedelta(hours=2)
"""How long after its end a day is put in order: most of what comes late has come by then."""

CALM = timedelta(hours=1)
"""No row has come for so long: nobody is delivering the day's rows again, or a backfill."""

_log = structlog.get_logger()


def hourly(
    settings: KeeperSettings, lake: Lake, ledger: Ledger, now: datetime
) -> list[Callable[[], object]]:
    """The tasks of a round at `now` (with a time zone), in their order."""
    today = trusted_day(settings.data, lake, now.astimezone(UTC))
    return [
        *(partial(_expire, settings, lake, ledger, table, today) for table in TABLES),
        partial(_expire_tenants, settings, lake, ledger, today),
        *(partial(_put_in_order, lake, ledger, table, now) for table in TABLES),
        *(partial(lake.sweep, table) for table in TABLES),
    ]


def _expire(settings: KeeperSettings, lake: Lake, ledger: Ledger, table: str, today: date) -> None:
    if settings.retention_days is None:
        return
    before = today - timedelta(days=settings.retention_days)
    for day in lake.days(table):
        if day < before:
            remove(settings.data, ledger, partial(whole_day, lake, table, day), "expired", day)


def _expire_tenants(settings: KeeperSettings, lake: Lake, ledger: Ledger, today: date) -> None:
    for named, days in settings.tenant_retention_days.items():
        tenant = short(named)
        before = today - timedelta(days=days)
        traces = traces_of(lake, tenant)
        remove_tenant(settings.data, lake, ledger, tenant, traces, "expired", before=before)


def _put_in_order(lake: Lake, ledger: Ledger, table: str, now: datetime) -> None:
    for day, files in lake.days(table).items():
        ended = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
        if now < ended + CLOSED_AFTER or max(file.modified for file in files) > now - CALM:
            continue
        if ledger.is_in_order(table, day, _paths(files)):
            continue
        started = time.monotonic()
        surplus = surplus_copies(lake, table, day)
        ledger.note_removal(table, surplus.number, "duplicate", surplus.rows)
        surplus.commit()
        ledger.note_day(table, day, _paths(lake.days(table)[day]))
        _log.info(
            "keeper.put_in_order",
            table=table,
            day=str(day),
            duplicates=surplus.total,
            seconds=round(time.monotonic() - started, 3),
        )


def _paths(files: Iterable[DayFile]) -> list[str]:
    return [file.path for file in files]
