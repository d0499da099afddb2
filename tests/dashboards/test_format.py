"""Numbers as people read them."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import format as human


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0.2, "0 ms"),
        (842.4, "842 ms"),
        (999.6, "1.00 s"),
        (1423.0, "1.42 s"),
        (9996.0, "10.0 s"),
        (59_940.0, "59.9 s"),
        (125_000.0, "2 min 5 s"),
        (-0.2, "0 ms"),
        (-5.0, "-5 ms"),
        (-125_000.0, "-2 min 5 s"),
        (1e308, "1.16e+300 d"),
        (math.inf, "∞ d"),
        (-math.inf, "-∞ d"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_milliseconds(ms: float | None, shown: str) -> None:
    """A latency is shown in three digits, in the unit that needs no more."""
    assert plain(human.milliseconds(ms)) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (0.0325, "3.25 %"),
        (1, "100 %"),
        (0, "0 %"),
        (0.99999, "> 99.99 %"),
        (0.00001, "< 0.01 %"),
        (-3.0, "-300.00 %"),
        (1e306, "1e+308 %"),
        (math.inf, "∞ %"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_percent(ratio: float | None, shown: str) -> None:
    """A ratio is a percentage, and no data is neither 0 % nor 100 %."""
    assert plain(human.percent(ratio)) == shown


@given(st.floats(min_value=0, max_value=1))
def test_percent_claims_perfection_only_where_it_is(ratio: float) -> None:
    """One failure in any number of events never reads as 100 %, one success never as 0 %."""
    shown = plain(human.percent(ratio))
    assert (shown in {"100 %", "100.00 %"}) == (ratio == 1)
    assert (shown in {"0 %", "0.00 %"}) == (ratio == 0)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("0.0123"), "$0.0123"),
        (Decimal("0.00001"), "< $0.0001"),
        (Decimal(0), "$0.00"),
        (Decimal(-5), "-$5.00"),
        (Decimal("1e300"), "$1e+300"),
        (math.inf, "$∞"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_usd(amount: Decimal | None, shown: str) -> None:
    """Money carries its currency, and an unknown amount is not zero."""
    assert plain(human.usd(amount)) == shown


@given(st.floats(), st.sampled_from(("ms", "ratio", "USD")))
def test_any_number_is_legible(value: float, unit: human.Unit) -> None:
    """Whatever was measured, or written as a limit, there is a short text for it."""
    for shown in (human.quantity(value, unit), human.times(value)):
        assert 0 < len(shown) <= 25
    assert human.limit(value, unit)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (1_234_567, "1.23 M"),
        (12_345_678_901, "12.3 B"),
        (999_500_000_000, "1.00 T"),
        (27_000_000_000_000, "27.0 T"),
        (999_499_999_999_999, "999 T"),
        (10**15, "1e+15"),
        (2**64, "1.84e+19"),
    ],
)
def test_compact(number: int, shown: str) -> None:
    """A large count is told in three digits, also where rounding carries over."""
    assert plain(human.compact(number)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1500, "ms", "1.5 s"),
        (10_000, "ms", "10 s"),
        (800, "ms", "800 ms"),
        (0.995, "ratio", "99.5 %"),
        (0.02, "ratio", "2 %"),
        (0.1, "ratio", "10 %"),
        (0.05, "USD", "$0.05"),
        (0.5, "USD", "$0.50"),
        (2, "USD", "$2.00"),
        (0.0075, "USD", "$0.0075"),
    ],
)
def test_limit(value: float, unit: human.Unit, shown: str) -> None:
    """A threshold reads as it was written, without digits of false precision."""
    assert plain(human.limit(value, unit)) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("acme", "acme"), ("", '""'), ("  ", '"  "'), ("\u200b", '"\u200b"'), (" a", " a")],
)
def test_a_name_is_never_invisible(name: str, shown: str) -> None:
    """A blank name is there to be seen."""
    assert human.visible(name) == shown


def test_quantity_follows_the_unit() -> None:
    """The same number reads differently as a duration, a share and money."""
    assert [plain(human.quantity(0.5, unit)) for unit in ("ms", "ratio", "USD")] == [
        "0 ms",
        "50.00 %",
        "$0.5000",
    ]


def test_percentile_and_burn_rate() -> None:
    """A percentile is called by its usual name, a burn rate is a factor, unknown stays unknown."""
    assert [human.percentile(share) for share in (0.95, 0.999, 0.5)] == ["p95", "p99.9", "p50"]
    assert [plain(human.times(factor)) for factor in (1.681, 1200.0, None)] == [
        "1.7 ×",
        "1,200.0 ×",
        "–",
    ]


def test_times_are_utc() -> None:
    """A moment of another zone is shown in UTC."""
    moment = datetime(2026, 11, 4, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert human.clock(moment) == "23:30:00"
    assert human.day_and_clock(moment) == "3 Nov 23:30:00"
    assert human.day_and_minute(moment) == "3 Nov 23:30"
    assert human.iso(moment) == "2026-11-03T23:30:00Z"
    assert human.axis_time(moment, timedelta(hours=1)) == "23:30"
    assert human.axis_time(moment, timedelta(days=7)) == "03 Nov"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (3.4, "3 s"),
        (250, "4 min 10 s"),
        (7200, "2 h"),
        (90_060, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    """A length of time is told in its two largest units."""
    assert plain(human.span(timedelta(seconds=seconds))) == shown


def test_the_clock_of_a_moment_in_utc() -> None:
    """A UTC moment keeps its digits."""
    assert human.clock(datetime(2026, 11, 24, 8, 40, 12, tzinfo=UTC)) == "08:40:12"
