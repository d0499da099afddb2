"""Lengths and points of time as people type them: ``90s``, ``24h``, ``7d``, ``2026-11-01``."""

import re
from datetime import UTC, datetime, timedelta

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
LONGEST = timedelta(days=9999)
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
WHOLE = re.compile(rf"(?:{PART.pattern})+")


def parse_duration(text: str) -> timedelta:
    """``1h30m`` -> 90 minutes. A bare number is refused: its unit would be a guess.

    :raises ValueError: when it is not a duration, with an example of one.
    """
    if not WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a duration; write e.g. 90s, 5m, 24h or 7d")
    try:
        parts = (float(amount) * UNITS[unit] for amount, unit in PART.findall(text))
        length = sum(parts, timedelta())
    except OverflowError:
        length = timedelta.max
    if length > LONGEST:
        raise ValueError(f"{text!r} is too long; write at most {LONGEST.days}d")
    return length


def parse_since(text: str, now: datetime) -> datetime:
    """A duration before ``now``, or an ISO 8601 date or time, which is UTC if it names no zone.

    The answer is in UTC. :raises ValueError: when it is neither, or not within the years 1 to 9999.
    """
    try:
        since = datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    else:
        return _in_utc(since, text)
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a duration nor a date; write e.g. 24h, 7d or 2026-11-01"
        ) from None


def _in_utc(time: datetime, text: str) -> datetime:
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError(
            f"{text!r} is in UTC not within the years 1 to 9999; write it without the zone"
        ) from None
