"""The time ranges a viewer can pick, and how finely each is drawn."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class RangeName(StrEnum):
    """The ``range`` parameter of every page and of the JSON interface."""

    MINUTES_15 = "15m"
    HOUR = "1h"
    HOURS_6 = "6h"
    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_30 = "30d"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A length of time up to now; ``bucket`` is the width of one point of a sparkline."""

    name: RangeName
    label: str
    length: timedelta
    bucket: timedelta


RANGES: dict[RangeName, TimeRange] = {
    chosen.name: chosen
    for chosen in (
        TimeRange(RangeName.MINUTES_15, "15 minutes", timedelta(minutes=15), timedelta(seconds=30)),
        TimeRange(RangeName.HOUR, "hour", timedelta(hours=1), timedelta(minutes=1)),
        TimeRange(RangeName.HOURS_6, "6 hours", timedelta(hours=6), timedelta(minutes=10)),
        TimeRange(RangeName.HOURS_24, "24 hours", timedelta(hours=24), timedelta(minutes=30)),
        TimeRange(RangeName.DAYS_7, "7 days", timedelta(days=7), timedelta(hours=3)),
        TimeRange(RangeName.DAYS_30, "30 days", timedelta(days=30), timedelta(hours=12)),
    )
}

DEFAULT_RANGE = RangeName.HOUR
