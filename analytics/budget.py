"""Error budgets: the formulas of the SRE workbook's chapter "Alerting on SLOs", as pure functions.

g good of n counted events, t the target ratio, B = 1 - t the error budget. Without events every
figure is None (unknown), never perfect. t is meant as it is written (0.95, not the nearest binary
fraction), so that a budget that is used up is 0 and not a rest of rounding.
https://sre.google/workbook/alerting-on-slos/
"""

from datetime import timedelta
from fractions import Fraction


def sli(good: int, total: int) -> float | None:
    """Share of good events, g / n, from 0 to 1."""
    _check(good, total)
    return good / total if total else None


def reaches(good: int, total: int, target: float) -> bool | None:
    """Whether the share of good events is the target or more, g / n >= t."""
    spent = _spent(good, total, target)
    return None if spent is None else spent <= 1


def budget_spent(good: int, total: int, target: float) -> float | None:
    """Share of the error budget that is used up, ((n - g) / n) / B; above 1 when overspent."""
    spent = _spent(good, total, target)
    return None if spent is None else float(spent)


def budget_left(good: int, total: int, target: float) -> float | None:
    """Share of the error budget that is left, 1 - spent; negative when overspent."""
    spent = _spent(good, total, target)
    return None if spent is None else float(1 - spent)


def burn_rate(good: int, total: int, target: float) -> float | None:
    """How fast the budget is spent by the events of some window: at 1 it lasts the SLO's window."""
    return budget_spent(good, total, target)


def burn_factor(budget: float, slo_window: timedelta, window: timedelta) -> float:
    """The burn rate at which `window` spends the share `budget` of the budget of `slo_window`.

    For 30 days: 2 % in 1 hour is 14.4, 5 % in 6 hours is 6, 10 % in 1 day is 3.
    """
    return budget * (slo_window / window)


def burns(long: float | None, short: float | None, factor: float) -> bool:
    """Whether the burn rate has been at `factor` over the long window and still is in the short."""
    return long is not None and short is not None and long >= factor and short >= factor


def _spent(good: int, total: int, target: float) -> Fraction | None:
    _check(good, total)
    if not 0 < target < 1:
        raise ValueError(f"target {target} must be a ratio between 0 and 1")
    return Fraction(total - good, total) / (1 - Fraction(str(target))) if total else None


def _check(good: int, total: int) -> None:
    if not 0 <= good <= total:
        raise ValueError(f"{good} good of {total} events is no count")
