"""Where the strokes of a sparkline go. Pure geometry: no number is made here, only placed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dashboards.overview import Point, SloCard

WIDTH = 300.0
HEIGHT = 64.0
MARGIN = 4.0
HEADROOM = 1.15
"""The largest number of a scale from zero stays this factor under the upper edge."""
FARTHEST = 1e300
"""Where what is infinite is drawn, so that places can be computed."""


@dataclass(frozen=True, slots=True)
class Hover:
    """The strip of one step, over which the browser shows its numbers."""

    x: float
    width: float
    point: Point


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A drawing in a box of WIDTH x HEIGHT, y downwards.

    ``line`` and ``area`` are SVG path data, cut where a step has no number. ``bad_top`` and
    ``bad_height`` bound the band beyond the threshold.
    """

    line: str
    area: str
    threshold_y: float
    bad_top: float
    bad_height: float
    hovers: tuple[Hover, ...]


def draw(card: SloCard) -> Sparkline | None:
    """Place a card's series and its threshold; None when no step has a number."""
    placed = [_place(point.value) for point in card.series]
    values = [value for value in placed if value is not None]
    if not values:
        return None
    low, high = _scale(values, card)

    def y(value: float) -> float:
        inner = HEIGHT - 2 * MARGIN
        return round(MARGIN + inner * (1 - (value - low) / (high - low)), 2)

    step = WIDTH / len(card.series)
    threshold_y = y(card.threshold)
    bad_below = card.better == "higher"
    runs = list(_runs(placed))
    return Sparkline(
        line=" ".join(_line([(_centre(i, step), y(v)) for i, v in run]) for run in runs),
        area=" ".join(_area([(_centre(i, step), y(v)) for i, v in run]) for run in runs),
        threshold_y=threshold_y,
        bad_top=threshold_y if bad_below else 0.0,
        bad_height=round(HEIGHT - threshold_y if bad_below else threshold_y, 2),
        hovers=tuple(
            Hover(round(i * step, 2), round(step, 2), point) for i, point in enumerate(card.series)
        ),
    )


def _scale(values: Sequence[float], card: SloCard) -> tuple[float, float]:
    """From zero for what should be low; for a success ratio from just under its worst to 1."""
    if card.better == "lower":
        high = max(*values, card.threshold) * HEADROOM
        return 0.0, high if high > 0 else 1.0
    worst = min(*values, card.threshold)
    high = max(*values, card.threshold, 1.0)
    room = (high - worst) * (HEADROOM - 1)
    return (worst - room, high) if room > 0 else (worst - 0.01, high)


def _place(value: float | None) -> float | None:
    """The number to draw: none for what is no number."""
    if value is None or math.isnan(value):
        return None
    return max(-FARTHEST, min(value, FARTHEST))


def _runs(placed: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Unbroken stretches of steps that have a number."""
    for has_value, stretch in groupby(enumerate(placed), key=lambda item: item[1] is not None):
        if has_value:
            yield [(i, value) for i, value in stretch if value is not None]


def _centre(index: int, step: float) -> float:
    return round((index + 0.5) * step, 2)


def _line(places: Sequence[tuple[float, float]]) -> str:
    if len(places) == 1:
        # A stroke of no length with round caps is a dot.
        x, y = places[0]
        return f"M{x} {y}h0"
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _area(places: Sequence[tuple[float, float]]) -> str:
    first, last = places[0][0], places[-1][0]
    if math.isclose(first, last):
        return ""
    return f"{_line(places)}L{last} {HEIGHT}L{first} {HEIGHT}Z"
