"""Numbers as people read them in a terminal: with units, aligned, never made up.

A column's name says its unit, as everywhere in Quietpager: ``_usd`` is money, ``_ms`` is a
duration, ``_ratio`` and ``_rate`` are shares of 1.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

NOTHING = "–"
BOUNDLESS = "∞"
DAY_MS = 86_400_000
LONG_DAYS = 100_000
"""More than these are told in powers of ten; nobody measured them."""
MUCH = 10**15

MONEY = ("_usd",)
TIMES = ("_ms",)
SHARES = ("_ratio", "_rate", "_share", "coverage", "sli")
NUMBERS = (int, float, Decimal)


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether a column is read from its right end."""
    present = [value for value in values if value is not None]
    return bool(present) and all(
        isinstance(value, NUMBERS) and not isinstance(value, bool) for value in present
    )


def column(name: str, values: Sequence[Any]) -> list[str]:
    """The cells of a column, every one in the same style."""
    if is_numeric(values):
        if name.endswith(MONEY):
            return money(values)
        if name.endswith(TIMES):
            return [milliseconds(value) for value in values]
        if name.endswith(SHARES):
            return [percent(value) for value in values]
    return [plain(value) for value in values]


def money(amounts: Sequence[Decimal | float | None], least: int = 2) -> list[str]:
    """US dollars with one number of decimals for all, so that the points stand in a column.

    Cents, or as many decimals (at most 9) as give the smallest amount two significant digits.
    """
    exact = [None if a is None or math.isnan(a) else Decimal(str(a)) for a in amounts]
    sizes = [abs(a) for a in exact if a and a.is_finite()]
    wanted = max((1 - size.adjusted() for size in sizes), default=least)
    decimals = min(max(least, wanted), 9)
    return [NOTHING if a is None else _dollars(a, decimals) for a in exact]


def _dollars(amount: Decimal, decimals: int) -> str:
    size = abs(amount)
    shown = f"{size:,.{decimals}f}" if size < MUCH else _powers(size)
    return f"{'-' if amount < 0 else ''}${shown}"


def milliseconds(ms: Decimal | float | None) -> str:
    """In the unit that keeps three digits: 842 -> ``842 ms``, 1423 -> ``1.42 s``."""
    if ms is None or math.isnan(ms):
        return NOTHING
    ms = float(ms)
    if ms < 0:
        return f"-{milliseconds(-ms)}"
    if ms < 9.995:
        return f"{ms:.2f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.{2 if ms < 9_995 else 1}f} s"
    if (days := ms / DAY_MS) > LONG_DAYS:
        return f"{_powers(days)} d"
    return length(timedelta(milliseconds=ms))


def length(duration: timedelta) -> str:
    """In its two largest units: ``45 s``, ``4 min 10 s``, ``2 h 5 min``, ``30 d``."""
    seconds = max(0, round(duration.total_seconds()))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def percent(share: Decimal | float | None) -> str:
    """0.0325 -> ``3.25 %``. Reads 0 % or 100 % only where it is exactly that."""
    if share is None or math.isnan(share):
        return NOTHING
    size = abs(float(share))
    if 0 < size < 0.00005:
        shown = "< 0.01"
    elif 0.99995 <= size < 1:
        shown = "> 99.99"
    elif size >= MUCH:
        shown = _powers(size * 100)
    else:
        shown = f"{size * 100:,.2f}"
    return f"{'-' if share < 0 else ''}{shown} %"


def _powers(size: Decimal | float) -> str:
    """In three digits and a power of ten: 1.23e+20."""
    return BOUNDLESS if math.isinf(size) else f"{size:.3g}".lower()


def moment(at: datetime) -> str:
    """``2026-11-24 08:40:12.345Z``: to the millisecond, in UTC."""
    utc = at.astimezone(UTC) if at.tzinfo else at
    zone = "Z" if at.tzinfo else ""
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d}{zone}"


def plain(value: Any) -> str:
    """Any other value: counts with thousands, times in UTC, lists and maps in short."""
    match value:
        case None:
            return NOTHING
        case bool():
            return "true" if value else "false"
        case str() if not value.strip():
            return f'"{value}"'
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}" if abs(value) < 1e15 else repr(value)
        case Decimal():
            return f"{value:,f}"
        case datetime():
            return moment(value)
        case timedelta():
            return milliseconds(value / timedelta(milliseconds=1))
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict():
            return ", ".join(f"{key}={plain(each)}" for key, each in value.items())
        case list():
            return ", ".join(
                plain({each[0]: each[1]}) if isinstance(each, tuple) else plain(each)
                for each in value
            )
    return str(value)
