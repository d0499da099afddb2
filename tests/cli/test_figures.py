"""How numbers read in a terminal."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import figures
from cli.durations import UNITS, parse_duration, parse_since

NOW = datetime(2026, 11, 24, 8, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.5, "0.50 ms"),
        (842, "842 ms"),
        (999.6, "1.00 s"),
        (1423.4, "1.42 s"),
        (12345.0, "12.3 s"),
        (61_000, "1 min 1 s"),
        (Decimal(1500), "1.50 s"),
        (-842.0, "-842 ms"),
        (-61_000, "-1 min 1 s"),
        (1e308, "1.16e+300 d"),
        (math.inf, "∞ d"),
        (-math.inf, "-∞ d"),
    ],
)
def test_milliseconds(ms: float | None, shown: str) -> None:
    """A duration is in the unit that keeps three digits."""
    assert figures.milliseconds(ms) == shown


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ([Decimal("12.3"), Decimal(4), None], ["$12.30", "$4.00", "–"]),
        ([Decimal("12.3"), Decimal("0.00123")], ["$12.3000", "$0.0012"]),
        ([Decimal("0.0000000004"), 0], ["$0.000000000", "$0.000000000"]),
        ([-1234.5, 0], ["-$1,234.50", "$0.00"]),
        ([], []),
    ],
)
def test_money(amounts: list[Decimal | float | None], shown: list[str]) -> None:
    """A column of money has one number of decimals, enough for its smallest amount."""
    assert figures.money(amounts) == shown


@given(st.lists(st.decimals(-(10**9), 10**9, places=9), min_size=1))
def test_money_is_aligned(amounts: list[Decimal]) -> None:
    """Every amount of a column has as many decimals, and no amount is off by more than half one."""
    shown = figures.money(amounts)

    (decimals,) = {len(text.partition(".")[2]) for text in shown}
    for amount, text in zip(amounts, shown, strict=True):
        told = Decimal(text.replace("$", "").replace(",", ""))
        assert abs(told - amount) * 2 <= Decimal(1).scaleb(-decimals)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(None, "–"), (0.0, "0.00 %"), (1.0, "100.00 %"), (0.9999999, "> 99.99 %"),
     (0.00001, "< 0.01 %"), (-3.0, "-300.00 %"), (Decimal("0.0325"), "3.25 %")],
)  # fmt: skip
def test_percent(share: float | None, shown: str) -> None:
    """A share reads as 0 % or 100 % only where it is exactly that."""
    assert figures.percent(share) == shown


def test_units_by_name() -> None:
    """A column's name says in which unit its numbers are."""
    assert figures.column("cost_usd", [Decimal("0.5")]) == ["$0.50"]
    assert figures.column("ttfb_ms", [1500.0]) == ["1.50 s"]
    assert figures.column("error_rate", [0.02]) == ["2.00 %"]
    assert figures.column("input_tokens", [1234567]) == ["1,234,567"]
    assert figures.column("note_ms", ["not a number"]) == ["not a number"]


@given(st.floats(), st.sampled_from(("a_usd", "a_ms", "a_rate", "a")))
def test_any_number_is_legible(value: float, name: str) -> None:
    """Whatever a column holds there is a short text for it."""
    (shown,) = figures.column(name, [value])
    assert 0 < len(shown) <= 30
    assert figures.column(name, [value, 1.5, None])[2] == "–"


def test_absurd_money() -> None:
    """Amounts without bounds do not widen the column; what is no number is not zero."""
    assert figures.money([1e300, math.inf, -math.inf, math.nan, 5]) == [
        "$1e+300", "$∞", "-$∞", "–", "$5.00",
    ]  # fmt: skip


def test_other_values() -> None:
    """Times are in UTC to the millisecond, lists and maps are short, nothing is a dash."""
    assert figures.plain(NOW) == "2026-11-24 08:40:00.000Z"
    assert figures.plain(["gpt-4o", None]) == "gpt-4o, –"
    assert figures.plain([("a", "1"), ("b", "2")]) == "a=1, b=2"
    assert figures.plain(True) == "true"
    assert figures.plain(None) == "–"


@given(st.dictionaries(st.sampled_from(list(UNITS)), st.integers(0, 999), min_size=1))
def test_durations(parts: dict[str, int]) -> None:
    """A duration is the sum of its parts."""
    text = "".join(f"{amount}{unit}" for unit, amount in parts.items())

    assert parse_duration(text) == sum((UNITS[u] * n for u, n in parts.items()), timedelta())


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "-5m", "m", "5y", "9" * 30 + "d"])
def test_not_a_duration(text: str) -> None:
    """What is not a duration is refused with an example of one; a bare number has no unit."""
    with pytest.raises(ValueError, match="write"):
        parse_duration(text)


def test_since() -> None:
    """A point of time is a duration back from now, a date, or a time; UTC unless it says else."""
    assert parse_since("36h", NOW) == NOW - timedelta(hours=36)
    assert parse_since("2026-11-01", NOW) == datetime(2026, 11, 1, tzinfo=UTC)
    assert parse_since("2026-11-01T10:00+02:00", NOW) == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert parse_since("0001-01-01", NOW) == datetime.min.replace(tzinfo=UTC)
    for edge in ("0001-01-01T00:00+14:00", "9999-12-31T23:59-01:00"):
        with pytest.raises(ValueError, match="not within the years 1 to 9999; write it without"):
            parse_since(edge, NOW)
    for wrong in ("yesterday", "999999d"):
        with pytest.raises(ValueError, match="neither a duration nor a date"):
            parse_since(wrong, NOW)
