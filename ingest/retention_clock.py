"""What retention remembers of the clock between its rounds, in one small file."""

import json
import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import structlog

FILE = Path("state", "retention.json")

_log = structlog.get_logger()


@dataclass(frozen=True)
class RetentionClock:
    """The last day that was believed, and since when by the clock another is doubted, if one is."""

    day: date
    doubted_since: datetime | None = None


def remembered_clock(data: Path) -> RetentionClock | None:
    """As the last round left it; None before the first, and when the file cannot be read."""
    try:
        told = json.loads((data / FILE).read_text())
        since = told["doubted_since"]
        doubted = None if since is None else datetime.fromisoformat(since)
        return RetentionClock(date.fromisoformat(told["day"]), doubted)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_doubted(data: Path) -> bool:
    """Whether retention counts from an earlier day than today, since the clock leapt ahead."""
    clock = remembered_clock(data)
    return clock is not None and clock.doubted_since is not None


def remember(data: Path, clock: RetentionClock) -> None:
    """Also on a full disk, which retention is to make room on, the round goes on."""
    since = clock.doubted_since
    told = {"day": clock.day.isoformat(), "doubted_since": since and since.isoformat()}
    path = data / FILE
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as fault:
        _log.warning("keeper.day_not_noted", file=str(path), error=str(fault))
