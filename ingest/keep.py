"""The keeper: a short-lived process that keeps the lake in shape while others write and read it.

It merges small files, and once an hour expires what is out of retention, puts ended days in order
(each row once, a tenant's rows together) and deletes files that no reader can still be using. It
ends when it is done and gives its memory back; the writer starts it. Killed at any point it leaves
the lake as it was or as it shall be.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

if __name__ == "__main__":
    # structlog loads rich where it is installed, to draw tracebacks; here they are JSON. pyarrow
    # loads numpy, which takes 10 MB and is not needed here.
    for unwanted in ("rich", "numpy"):
        sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type] # None forbids the import

import structlog

from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger
from ingest.lock import KEEPER, DirectoryInUse, sole
from ingest.logs import log_json
from lake import TABLES, Lake, RemovalConflict

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
            from ingest.thorough import hourly  # with it comes DuckDB, which a merge does without

            tasks += hourly(settings, lake, ledger, now)
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
