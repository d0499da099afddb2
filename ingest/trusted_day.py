"""The day from which retention counts back: today, unless the clock may have been set far ahead.

Nothing brings back what retention has deleted, and a clock that is wrong by years, once, would make
all of it look old. So each round remembers its day. A later day than could have come since is
believed only when the clock has kept to it for `DOUBT`; until then the remembered day holds, and
somebody is told. A sidecar that was off for a week expires rows a day later for it.
"""

from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import structlog

from ingest.retention_clock import RetentionClock, remember, remembered_clock
from lake import TABLES, Lake, LakeError

LEAP = timedelta(days=2)
"""Rounds come every hour: this much later than the last, and a sidecar was off or a clock set."""
DOUBT = timedelta(days=1)

_log = structlog.get_logger()


def trusted_day(data: Path, lake: Lake, now: datetime) -> date:
    """The day to count back from at `now` (UTC). The caller holds the keeper's lock."""
    today = now.date()
    clock = remembered_clock(data) or RetentionClock(_last_day_of(lake) or today)
    if today <= clock.day + LEAP:
        remember(data, RetentionClock(today))
        return today
    since = clock.doubted_since
    if since is None or now < since:
        since = now
    if now - since >= DOUBT:
        remember(data, RetentionClock(today))
        return today
    remember(data, RetentionClock(clock.day, since))
    _log.error(
        "keeper.clock_doubted",
        clock=now.isoformat(),
        last_round=clock.day.isoformat(),
        believed_from=(since + DOUBT).isoformat(),
        remedy="set the clock right; retention counts from the last round's day meanwhile",
    )
    return clock.day


def _last_day_of(lake: Lake) -> date | None:
    """When a file of the lake was last committed: what the clock said then."""
    days = []
    for table in TABLES:
        with suppress(LakeError):  # a damaged table does not keep the others from expiring
            files = (file for of_day in lake.days(table).values() for file in of_day)
            days += [file.modified.date() for file in files]
    return max(days, default=None)
