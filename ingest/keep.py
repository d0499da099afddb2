"""The keeper: a short-lived process that keeps the lake in shape while others write and read it.

It merges small files, and once an hour expires what is out of retention, puts ended days in order
(each row once, a tenant's rows together) and deletes files that no reader can still be using. It
ends when it is done and gives its memory back; the writer starts it. Killed at any point it leaves
the lake as it was or as it shall be.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial

import structlog

from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger
from ingest.limits import short
from ingest.lock import KEEPER, DirectoryInUse, sole
from ingest.logs import log_json
from ingest.remove import remove, remove_tenant
from ingest.trusted_day import trusted_day
from lake import (
    TABLES,
    DayFile,
    Lake,
    RemovalConflict,
    surplus_copies,
    traces_of,
    whole_day,
)

CLOSED_AFTER = timedelta(hours=2)
"""How long after its end a day is put in order: most of what comes late has come by then."""

CALM = timedelta(hours=1)
"""No row has come for so long: nobody is delivering the day's rows again, or a backfill."""

_log = structlog.get_logger()


def keep(settings: KeeperSettings, now: datetime) -> bool:
    """Do what is due at `now` (with a time zone); returns False when something of it failed.

    What fails is logged and left for the next round: it must not keep the rest from being done.
    Raises DirectoryInUse when another keeper is at work.
    """
    with sole(settings.data, KEEPER), closing(Ledger(settings.data)) as ledger:
        lake = Lake(settings.data / "lake")
        tasks: list[Callable[[], object]] = [partial(_compact, lake, table) for table in TABLES]
        if settings.thorough:
            today = trusted_day(settings.data, lake, now.astimezone(UTC))
            tasks += [
                *(partial(_expire, settings, lake, ledger, table, today) for table in TABLES),
                partial(_expire_tenants, settings, lake, ledger, today),
                *(partial(_put_in_order, lake, ledger, table, now) for table in TABLES),
                *(partial(lake.sweep, table) for table in TABLES),
            ]
        failed = [task for task in tasks if not _succeeds(task)]
        return not failed


def _succeeds(task: Callable[[], object]) -> bool:
    try:
        task()
    except RemovalConflict as conflict:
        _log.info("keeper.disturbed", reason=str(conflict))
    except Exception:  # noqa: BLE001 - the other tasks do not depend on this one
        _log.exception("keeper.failed")
        return False
    return True


def _compact(lake: Lake, table: str) -> None:
    started = time.monotonic()
    report = lake.compact(table)
    if report.files_removed:
        _log.info(
            "keeper.compacted",
            table=table,
            files_removed=report.files_removed,
            files_added=report.files_added,
            seconds=round(time.monotonic() - started, 3),
        )


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


def main() -> None:
    """One round, as the settings on the command line say."""
    log_json("keeper")
    os.nice(10)  # nobody waits for it; the writer is waited for
    settings = KeeperSettings.from_json(sys.argv[1])
    try:
        succeeded = keep(settings, datetime.now(UTC))
    except DirectoryInUse as busy:
        _log.info("keeper.not_needed", reason=str(busy))
        return
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    main()
