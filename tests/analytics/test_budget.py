"""Error budget formulas: the workbook's numbers, and what must hold for any counts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.budget import budget_left, budget_spent, burn_factor, burn_rate, burns, reaches, sli

COUNTS = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TARGETS = st.floats(0.01, 0.9999)


@pytest.mark.parametrize(
    ("total", "good", "target", "ratio", "spent", "left"),
    [(100_000, 99_600, 0.995, 0.996, 0.8, 0.2), (1000, 980, 0.995, 0.98, 4.0, -3.0),
     (200, 200, 0.95, 1.0, 0.0, 1.0)],
)  # fmt: skip
def test_published_numbers(
    total: int, good: int, target: float, ratio: float, spent: float, left: float
) -> None:
    """The examples of the SLO research come out."""
    assert sli(good, total) == pytest.approx(ratio)
    assert budget_spent(good, total, target) == pytest.approx(spent)
    assert budget_left(good, total, target) == pytest.approx(left)
    assert burn_rate(good, total, target) == pytest.approx(spent)


@pytest.mark.parametrize("target", [0.95, 0.98, 0.99, 0.995, 0.999, 0.9])
def test_a_budget_used_up_is_exactly_zero(target: float) -> None:
    """At the target nothing is left, not a rest of rounding; one bad event more overspends."""
    good, total = round(target * 1000), 1000
    assert (budget_spent(good, total, target), budget_left(good, total, target)) == (1.0, 0.0)
    assert reaches(good, total, target)
    assert not reaches(good - 1, total, target)


def test_nothing_is_unknown() -> None:
    """Without events nothing is known; it is not a perfect score."""
    assert sli(0, 0) is None
    assert budget_spent(0, 0, 0.995) is None
    assert budget_left(0, 0, 0.995) is None
    assert burn_rate(0, 0, 0.995) is None
    assert reaches(0, 0, 0.995) is None


@given(COUNTS, TARGETS)
def test_spent_and_left_are_the_whole_budget(counts: tuple[int, int], target: float) -> None:
    """They add up to one, and exactly all is spent when the SLI is at its target."""
    spent, left = budget_spent(*counts, target), budget_left(*counts, target)
    ratio = sli(*counts)
    assert spent is not None
    assert left is not None
    assert ratio is not None
    assert spent + left == pytest.approx(1)
    assert spent == pytest.approx((1 - ratio) / (1 - target), rel=1e-6, abs=1e-9)
    assert (ratio > target) <= (spent < 1 + 1e-9)


@given(COUNTS, TARGETS)
def test_a_bad_event_more_never_helps(counts: tuple[int, int], target: float) -> None:
    """Another bad event spends more budget."""
    good, total = counts
    before, after = budget_spent(good, total, target), budget_spent(good, total + 1, target)
    assert before is not None
    assert after is not None
    assert after >= before


@pytest.mark.parametrize(
    ("budget", "window", "factor"),
    [(0.02, timedelta(hours=1), 14.4), (0.05, timedelta(hours=6), 6),
     (0.1, timedelta(days=1), 3), (0.1, timedelta(days=3), 1)],
)  # fmt: skip
def test_the_workbooks_factors(budget: float, window: timedelta, factor: float) -> None:
    """The recommended budget shares over 30 days give the published burn rates."""
    assert burn_factor(budget, timedelta(days=30), window) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("hour", "five_minutes", "six_hours", "half_hour", "page"),
    [(15, 15, 3, 15, True), (15, 1, 3, 4, False), (10, 10, 6.5, 6.1, True),
     (14.39, 20, 5.9, 6, False), (None, 20, None, 20, False)],
)  # fmt: skip
def test_both_windows_must_burn(
    hour: float | None, five_minutes: float, six_hours: float | None, half_hour: float, page: bool
) -> None:
    """A page needs the long and the short window of a pair; what is over stops it fast."""
    assert (burns(hour, five_minutes, 14.4) or burns(six_hours, half_hour, 6)) is page


@pytest.mark.parametrize(("good", "total"), [(2, 1), (-1, 1), (0, -1)])
def test_impossible_counts_are_refused(good: int, total: int) -> None:
    """More good events than events is a mistake of the caller."""
    with pytest.raises(ValueError, match="is no count"):
        sli(good, total)


@pytest.mark.parametrize("target", [0.0, 1.0, 99.5])
def test_a_target_is_a_ratio(target: float) -> None:
    """A target without a budget, or in per cent, is a mistake of the caller."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        budget_spent(1, 1, target)
