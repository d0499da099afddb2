"""One evaluation of one rule: ask, step every scope, commit with what there is to tell."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
import structlog

from analytics.alerts.notification import announce
from analytics.alerts.rule import AlertRule
from analytics.alerts.state import AlertState, Observation, step
from analytics.alerts.store import AlertStore, Evaluation, ScopeResult
from analytics.alerts.units import duration

log = structlog.get_logger(__name__)

QUESTION = "alerts/ttfb_p95"

Observations = dict[str | None, Observation]
"""By tenant; None is overall, and always present."""


class Asks(Protocol):
    """The part of ``analytics.Analytics`` that the pager needs."""

    def ask(
        self,
        question: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **params: Any,
    ) -> pa.Table: ...


def evaluate(
    analytics: Asks,
    rule: AlertRule,
    store: AlertStore,
    channels: Sequence[str],
    now: datetime,
    dashboard_url: str | None = None,
) -> None:
    """Evaluate and commit. A failure is logged, counted and, lasting, notified; never raised."""
    try:
        states = store.states(rule.name)
        error, observations = None, Observations()
        try:
            observations = observe(analytics, rule, now)
        except Exception as failure:
            log.exception("alert_evaluation_failed", rule=rule.name, question=QUESTION)
            error = f"{type(failure).__name__}: {failure}"
        evaluation = _judge(rule, states, observations, error, now, dashboard_url)
        store.record(evaluation, channels)
    except Exception:
        # Nothing was committed, so the next evaluation starts from the same state.
        log.exception("alert_evaluation_not_recorded", rule=rule.name)


def observe(analytics: Asks, rule: AlertRule, now: datetime) -> Observations:
    """Measure the window that ends at ``now``: overall, and each tenant that has runs in it."""
    table = analytics.ask(QUESTION, since=now - rule.window, until=now, tenant=None)
    observations = Observations()
    for row in table.to_pylist():
        if row["scope"] == "overall":
            observations[None] = _overall(row, rule)
        elif rule.per_tenant:
            observations[row["tenant_id"]] = _observation(row, rule)
    if None not in observations:
        raise ValueError(f"{QUESTION} must return a row whose scope is 'overall'")
    return observations


def _observation(row: Mapping[str, Any], rule: AlertRule) -> Observation:
    value, samples, runs = row["p95_ms"], row["samples"], row["runs"]
    if samples < rule.min_samples:
        return Observation("too_few", value, samples, runs)
    if value is None or not math.isfinite(value):
        return Observation("unknown", None, samples, runs, reason=f"the p95 came out as {value}")
    return Observation("measured", value, samples, runs)


def _overall(row: Mapping[str, Any], rule: AlertRule) -> Observation:
    """Some tenants may have no traffic or never stream; that nobody has is a failure to see."""
    if row["runs"] == 0:
        return _no_runs(rule)
    if row["samples"] == 0:
        reason = f"none of {row['runs']} runs in the last {duration(rule.window)} carries a TTFB"
        return Observation("unknown", runs=row["runs"], reason=reason)
    return _observation(row, rule)


def _no_runs(rule: AlertRule) -> Observation:
    return Observation("unknown", reason=f"no runs in the last {duration(rule.window)}")


def _judge(
    rule: AlertRule,
    states: Mapping[str | None, AlertState],
    observations: Observations,
    error: str | None,
    now: datetime,
    dashboard_url: str | None,
) -> Evaluation:
    if error is not None:
        # Told of once, for all; the tenants keep their states until they can be looked at again.
        observations = {None: Observation("unknown", reason=f"evaluation failed ({error})")}
        forgotten: list[str | None] = []
    else:
        absent = [tenant for tenant in states if tenant not in observations]
        firing = [tenant for tenant in absent if states[tenant].phase == "firing"]
        observations = observations | dict.fromkeys(firing, _no_runs(rule))
        forgotten = [tenant for tenant in absent if tenant not in observations]
    scopes = []
    for tenant, observation in observations.items():
        state, transitions = step(states.get(tenant, AlertState()), observation, now, rule)
        told = (announce(rule, tenant, observation, t, dashboard_url) for t in transitions)
        scopes.append(ScopeResult(tenant, state, observation, tuple(told)))
    return Evaluation(rule.name, now, tuple(scopes), tuple(forgotten), error)
