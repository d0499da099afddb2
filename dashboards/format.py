"""Numbers as people read them: with units, in the same number of digits, never made up."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashboards.overview import Unit

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
BOUNDLESS = "\N{INFINITY}"
DAY_MS = 86_400_000
LONG_DAYS = 100_000
"""More than these are told in powers of ten; nobody measured them."""


def count(number: int) -> str:
    """12345 -> "12,345"."""
    return f"{number:,}"


def compact(number: int) -> str:
    """A count in three digits: 1234567 -> "1.23 M"; below 10,000 exact, from 10^15 in powers."""
    if number < 10_000:
        return count(number)
    if number >= 10**15 * 0.9995:
        return _powers(number)
    for size, suffix in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        # Rounding to three digits can carry over: 999,950 is 1 M, not 1000 k.
        if number >= size * 0.9995:
            scaled = number / size
            decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{decimals}f}{NARROW_SPACE}{suffix}"
    return count(number)


def milliseconds(ms: float | None) -> str:
    """Milliseconds in the unit that keeps three digits: 842 -> "842 ms", 1423 -> "1.42 s"."""
    if ms is None or math.isnan(ms):
        return NOTHING
    if ms <= -0.5:
        return f"{MINUS}{milliseconds(-ms)}"
    if ms < 999.5:
        return f"{abs(ms):.0f}{NARROW_SPACE}ms"
    seconds = ms / 1000
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f}{NARROW_SPACE}s"
    days = ms / DAY_MS
    if days > LONG_DAYS:
        return f"{_powers(days)}{NARROW_SPACE}d"
    return span(timedelta(seconds=seconds))


def percent(ratio: float | None, decimals: int = 2) -> str:
    """0.0325 -> "3.25 %". Reads 0 % or 100 % only where it is exactly that."""
    if ratio is None or math.isnan(ratio):
        return NOTHING
    size = abs(ratio)
    step = 10.0**-decimals
    shown = f"{size * 100:,.{decimals}f}"
    if size in (0, 1):
        shown = f"{size * 100:.0f}"
    elif float(shown.replace(",", "")) == 0:
        shown = f"< {step:.{decimals}f}"
    elif size < 1 and float(shown.replace(",", "")) == 100:
        shown = f"> {100 - step:.{decimals}f}"
    elif size >= 10**12:
        shown = _powers(size * 100)
    return f"{MINUS if ratio < 0 else ''}{shown}{NARROW_SPACE}%"


def percentile(share: float) -> str:
    """The name of the percentile that this share stays within: 0.95 -> "p95"."""
    return f"p{_plain(Decimal(str(share)) * 100)}"


def times(factor: float | None) -> str:
    """How many times faster than even: 1.681 -> "1.7 x"."""
    if factor is None or math.isnan(factor):
        return NOTHING
    shown = f"{factor:,.1f}" if abs(factor) < 10**12 else _powers(factor)
    return f"{shown}{NARROW_SPACE}×"


def usd(amount: Decimal | float | None) -> str:
    """Dollars to the cent, to a hundredth of a cent below one dollar."""
    if amount is None:
        return NOTHING
    exact = Decimal(str(amount))
    if exact.is_nan():
        return NOTHING
    if exact < 0:
        return f"{MINUS}{usd(-exact)}"
    if exact >= 10**15:
        return f"${_powers(exact)}"
    if exact == 0 or exact >= 1:
        return f"${exact:,.2f}"
    if exact < Decimal("0.00005"):
        return "< $0.0001"
    return f"${exact:.4f}"


def quantity(value: float | None, unit: Unit) -> str:
    """A measured number in the unit it is held in."""
    if unit == "ms":
        return milliseconds(value)
    if unit == "USD":
        return usd(value)
    return percent(value)


def limit(value: float, unit: Unit) -> str:
    """A number somebody wrote down, in as few digits as they did: "1.5 s", "99.5 %", "$0.05"."""
    if not math.isfinite(value):
        return quantity(value, unit)
    if unit == "USD":
        whole, _, cents = f"{Decimal(str(value)):f}".partition(".")
        return f"${int(whole):,}.{cents:0<2}"
    if unit == "ratio":
        return f"{_plain(Decimal(str(value)) * 100)}{NARROW_SPACE}%"
    if value < 1000:
        return f"{_plain(Decimal(str(value)))}{NARROW_SPACE}ms"
    return f"{_plain(Decimal(str(value)) / 1000)}{NARROW_SPACE}s"


def clock(moment: datetime) -> str:
    """ "08:40:12", in UTC."""
    return moment.astimezone(UTC).strftime("%H:%M:%S")


def day_and_clock(moment: datetime) -> str:
    """ "24 Nov 08:40:12", in UTC."""
    return moment.astimezone(UTC).strftime("%d %b %H:%M:%S").lstrip("0")


def day_and_minute(moment: datetime) -> str:
    """ "24 Nov 08:40", in UTC."""
    return day_and_clock(moment).rpartition(":")[0]


def axis_time(moment: datetime, length: timedelta) -> str:
    """A point on a time axis of this length, as short as it can be told apart."""
    return moment.astimezone(UTC).strftime("%H:%M" if length <= timedelta(days=1) else "%d %b")


def iso(moment: datetime) -> str:
    """For machines: "2026-11-24T08:40:12Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(length: timedelta) -> str:
    """A length of time in its two largest units: "3 s", "4 min 10 s", "2 h 5 min", "3 d 4 h"."""
    seconds = max(0, round(length.total_seconds()))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount}{NARROW_SPACE}{unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or f"0{NARROW_SPACE}s"


def visible(name: str) -> str:
    """A name from the data; one that would show nothing is put in quotes."""
    seen = any(letter.isprintable() and not letter.isspace() for letter in name)
    return name if seen else f'"{name}"'


def _powers(number: Decimal | float) -> str:
    """In three digits and a power of ten: 1.23e+20."""
    if math.isinf(number):
        return f"{MINUS if number < 0 else ''}{BOUNDLESS}"
    return f"{number:.3g}".lower()


def _plain(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
