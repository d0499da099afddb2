"""Where the strokes of a sparkline go."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from dashboards.overview import Point, SloCard
from dashboards.sparkline import HEIGHT, WIDTH, draw

START = datetime(2026, 11, 24, tzinfo=UTC)


def card(
    values: list[float | None],
    *,
    threshold: float = 1500.0,
    better: Literal["lower", "higher"] = "lower",
) -> SloCard:
    return SloCard(
        name="ttfb",
        title="First token",
        description="",
        state="met",
        value=1.0,
        unit="ms",
        better=better,
        threshold=threshold,
        target=0.95,
        good=1,
        total=1,
        excluded=0,
        missing=0,
        coverage=1.0,
        budget_left=1.0,
        burn_rate=0.0,
        series=tuple(
            Point(START + timedelta(minutes=i), value, 1) for i, value in enumerate(values)
        ),
    )


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+) ([\d.]+)", path)]


def test_without_numbers_there_is_nothing_to_draw() -> None:
    """No series, or a series of unknowns, draws no line at zero."""
    assert draw(card([])) is None
    assert draw(card([None, None])) is None


@given(st.lists(st.none() | st.floats(), min_size=1))
def test_any_number_has_a_place(values: list[float | None]) -> None:
    """Infinite and huge numbers are drawn inside the box; what is no number is a gap."""
    chart = draw(card(values))
    known = [value for value in values if value is not None and not math.isnan(value)]
    assert (chart is None) == (not known)
    if chart is not None:
        assert "nan" not in chart.line + chart.area
        assert "inf" not in chart.line + chart.area
        assert math.isfinite(chart.threshold_y)


def test_a_gap_breaks_the_line() -> None:
    """A step without a number is not bridged: nobody knows what was there."""
    chart = draw(card([100.0, 200.0, None, 300.0, 400.0]))
    assert chart is not None
    assert chart.line.count("M") == 2


def test_a_lone_step_is_a_dot() -> None:
    """One number between gaps is still seen."""
    chart = draw(card([None, 100.0, None]))
    assert chart is not None
    assert chart.line.endswith("h0")
    assert chart.area == ""


def test_the_bad_side_is_above_a_latency_limit_and_below_a_success_target() -> None:
    """The band drawn as bad lies beyond the threshold, on the side where it hurts."""
    latency = draw(card([100.0, 2000.0]))
    success = draw(card([1.0, 0.9], threshold=0.995, better="higher"))
    assert latency is not None
    assert success is not None
    assert (latency.bad_top, latency.bad_height) == (0.0, latency.threshold_y)
    assert success.bad_top == success.threshold_y
    assert success.bad_top + success.bad_height == HEIGHT


@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)), min_size=1, max_size=60
    ),
    threshold=st.floats(min_value=0, max_value=1e9),
    better=st.sampled_from(["lower", "higher"]),
)
def test_everything_stays_inside_the_box(
    values: list[float | None], threshold: float, better: Literal["lower", "higher"]
) -> None:
    """Whatever the numbers, line and threshold lie in the box, and higher is drawn higher."""
    drawn = card(values, threshold=threshold, better=better)
    chart = draw(drawn)
    if chart is None:
        assert all(value is None for value in values)
        return
    dots = places(chart.line)
    known = [value for value in values if value is not None]
    assert len(dots) == len(known)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in dots)
    assert 0 <= chart.threshold_y <= HEIGHT
    assert dots[known.index(max(known))][1] <= dots[known.index(min(known))][1]
    assert len(chart.hovers) == len(values)
