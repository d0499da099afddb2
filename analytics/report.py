"""Evaluates an SLO over a window: one answer of its question, and what the budget makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import pyarrow as pa

from analytics import budget
from analytics.slo import Slo

BURN_WINDOW = timedelta(hours=1)
"""The burn rate is that of the last hour: the window on which the workbook's fast alert looks."""

State = Literal["met", "breached", "too_few", "unknown"]


class Asks(Protocol):
    """The part of `Analytics` that an evaluation needs."""

    def ask(
        self, question: str, *, since: datetime | None, until: datetime | None, **params: object
    ) -> pa.Table: ...


@dataclass(frozen=True)
class SloReport:
    """How an SLO stood over a window. What is unknown is None."""

    slo: Slo
    window: timedelta
    tenant: str | None
    """None: all tenants."""
    state: State
    """met: enough events were good, and `value` is on the better side of `threshold` (below it, or
    for a rate of successes at or above it). breached: one of the two is not so. too_few: fewer
    events than the SLO's min_events. unknown: nothing to judge by."""
    good: int
    total: int
    """Events that could be judged, good and bad."""
    excluded: int
    """Events that by the SLO's rule are neither good nor bad."""
    missing: int
    """Events that should be judged, but what it takes is not known of them."""
    sli: float | None
    """good / total."""
    value: float | None
    """The headline number, in `unit`: a percentile or a rate."""
    threshold: float
    """What `value` has to stay on the better side of, in `unit`."""
    unit: Literal["ms", "ratio", "USD"]
    better: Literal["lower", "higher"]
    target: float
    budget_spent: float | None
    budget_left: float | None
    """Share of the window's error budget; negative when overspent."""
    burn_rate: float | None
    """Of the last hour of the window; 1 spends the budget in exactly the SLO's window."""
    coverage: float | None
    """total / (total + missing)."""


def evaluate_slo(
    analytics: Asks, slo: Slo, *, window: timedelta, now: datetime, tenant: str | None = None
) -> SloReport:
    """How `slo` stood over the `window` that ends at `now`."""
    row = _measure(analytics, slo, now - window, now, tenant)
    recent = row
    if window > BURN_WINDOW:
        recent = _measure(analytics, slo, now - BURN_WINDOW, now, tenant)
    good, total, missing = row["good"], row["total"], row["missing"]
    return SloReport(
        slo=slo,
        window=window,
        tenant=tenant,
        state=_state(slo, row),
        good=good,
        total=total,
        excluded=row["excluded"],
        missing=missing,
        sli=budget.sli(good, total),
        value=row["value"],
        threshold=row["threshold"],
        unit=row["unit"],
        better=row["better"],
        target=slo.target,
        budget_spent=budget.budget_spent(good, total, slo.target),
        budget_left=budget.budget_left(good, total, slo.target),
        burn_rate=budget.burn_rate(recent["good"], recent["total"], slo.target),
        coverage=total / (total + missing) if total + missing else None,
    )


def _measure(
    analytics: Asks, slo: Slo, since: datetime, until: datetime, tenant: str | None
) -> dict[str, Any]:
    answer = analytics.ask(
        slo.question, since=since, until=until, tenant=tenant, target=slo.target, **slo.params
    )
    row: dict[str, Any] = answer.to_pylist()[0]
    return row


def _state(slo: Slo, row: Mapping[str, Any]) -> State:
    """A percentile lies between two events, so it can be over its threshold though enough events
    are good; the headline number and the state must not say opposite things."""
    good, total = row["good"], row["total"]
    if total == 0:
        return "unknown"
    if total < slo.min_events:
        return "too_few"
    met = budget.reaches(good, total, slo.target) and _is_better(row)
    return "met" if met else "breached"


def _is_better(row: Mapping[str, Any]) -> bool:
    value, threshold = row["value"], row["threshold"]
    return bool(value < threshold if row["better"] == "lower" else value >= threshold)
