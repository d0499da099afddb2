"""Asks ``analytics`` for everything the overview shows. No number is made here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from analytics import Analytics, Slo, evaluate_slo, questions
from analytics.alerts import AlertHistory, AlertStoreError, Incident
from dashboards.overview import (
    AlertIncident,
    Alerts,
    ModelCost,
    Overview,
    Point,
    RuleCheck,
    SloCard,
    ToolErrors,
    Totals,
)
from dashboards.pages import Selection
from dashboards.ranges import RANGES, RangeName, TimeRange

NEWEST_RUN_WITHIN = RANGES[RangeName.DAYS_30].length
RECENT_INCIDENTS = 8

log = structlog.get_logger(__name__)


class LakeUnreadableError(RuntimeError):
    """Nothing can be answered now; the message is one line and says why."""


def build_overview(
    analytics: Analytics,
    slos: Sequence[Slo],
    alerts: AlertHistory,
    selection: Selection,
    *,
    now: datetime,
) -> Overview:
    """The overview of the time up to ``now``. Blocks: call it from a worker thread.

    An alert store that cannot be read costs the alerts, not the numbers.
    :raises LakeUnreadableError: when a question cannot be answered.
    """
    try:
        # All numbers of a page from one moment, or they would not add up while data comes in.
        asking = _Asking(analytics.pinned(), RANGES[selection.range], selection.tenant, now)
        totals = asking.one("dashboard/totals")
        newest_run_at = totals.pop("newest_run_at") or asking.newest_run_at()
        return Overview(
            range=selection.range,
            since=asking.since,
            until=now,
            tenant=selection.tenant,
            tenants=asking.tenants(),
            newest_run_at=newest_run_at,
            totals=Totals(**totals),
            slos=tuple(asking.card(slo) for slo in slos),
            alerts=_alerts(alerts),
            tools=asking.tools(),
            costs=asking.costs(),
        )
    except Exception as error:
        log.exception("overview_unanswered", range=selection.range, tenant=selection.tenant)
        raise LakeUnreadableError(_one_line(error)) from error


def check_readable(analytics: Analytics, *, now: datetime) -> None:
    """Open the lake's files of the time around ``now``. Blocks.

    :raises LakeUnreadableError: when that fails.
    """
    # To the minute, so that probes in quick succession ask for the same snapshot.
    minute = now.replace(second=0, microsecond=0)
    try:
        analytics.ask("dashboard/readable", since=minute, until=minute)
    except Exception as error:
        log.exception("lake_unreadable")
        raise LakeUnreadableError(_one_line(error)) from error


class _Asking:
    """The questions of one overview, all of the same time and tenant."""

    def __init__(
        self, analytics: Analytics, time_range: TimeRange, tenant: str | None, now: datetime
    ) -> None:
        self._analytics = analytics
        self._range = time_range
        self._tenant = tenant
        self._now = now
        self.since = now - time_range.length

    def rows(self, question: str, **params: object) -> list[dict[str, Any]]:
        answer = self._analytics.ask(
            question, since=self.since, until=self._now, tenant=self._tenant, **params
        )
        rows: list[dict[str, Any]] = answer.to_pylist()
        return rows

    def one(self, question: str, **params: object) -> dict[str, Any]:
        (row,) = self.rows(question, **params)
        return row

    def tenants(self) -> tuple[str, ...]:
        answer = self._analytics.ask("dashboard/tenants", since=self.since, until=self._now)
        seen = {row["tenant_id"] for row in answer.to_pylist()}
        return tuple(sorted(seen | ({self._tenant} if self._tenant else set())))

    def newest_run_at(self) -> datetime | None:
        answer = self._analytics.ask(
            "dashboard/newest_run", since=self._now - NEWEST_RUN_WITHIN, until=self._now
        )
        newest: datetime | None = answer["newest_run_at"][0].as_py()
        return newest

    def tools(self) -> tuple[ToolErrors, ...]:
        return tuple(
            ToolErrors(
                tool=row["tool_name"],
                calls=row["calls"],
                errors=row["errors"],
                rate=row["error_rate"],
                surfaced=row["surfaced"],
            )
            for row in self.rows("tools/error_rate", by="tool")
        )

    def costs(self) -> tuple[ModelCost, ...]:
        return tuple(
            ModelCost(
                tenant=row["tenant_id"],
                model=row["model"],
                calls=row["calls"],
                input_tokens=row["input_tokens"],
                output_tokens=row["output_tokens"],
                cost_usd=row["cost_usd"],
                unpriced_calls=row["unpriced_calls"],
            )
            for row in self.rows("cost/by", by="tenant,model")
        )

    def card(self, slo: Slo) -> SloCard:
        report = evaluate_slo(
            self._analytics, slo, window=self._range.length, now=self._now, tenant=self._tenant
        )
        return SloCard(
            name=slo.name,
            title=slo.title,
            description=slo.description,
            state=report.state,
            value=report.value,
            unit=report.unit,
            better=report.better,
            threshold=report.threshold,
            target=report.target,
            good=report.good,
            total=report.total,
            excluded=report.excluded,
            missing=report.missing,
            coverage=report.coverage,
            budget_left=report.budget_left,
            burn_rate=report.burn_rate,
            series=self._series(slo) if report.total else (),
        )

    def _series(self, slo: Slo) -> tuple[Point, ...]:
        """Every step of the range, in order: those without events too."""
        question = f"{slo.question}_series"
        given = {"target": slo.target, **slo.params}
        rows = self.rows(
            question,
            bucket_seconds=self._range.bucket.total_seconds(),
            **{name: given[name] for name in _parameters(question) & given.keys()},
        )
        answered = {row["bucket_start"]: row for row in rows}
        return tuple(
            Point(at, answered[at]["value"], answered[at]["total"])
            if at in answered
            else Point(at, None, 0)
            for at in _steps(self.since, self._now, self._range.bucket)
        )


def _parameters(question: str) -> set[str]:
    """The parameters of a question, as its file writes them."""
    words = questions()[question].sql.replace("(", " ").replace(")", " ").split()
    return {word.strip(",;")[1:] for word in words if word.startswith("$")}


def _steps(since: datetime, until: datetime, width: timedelta) -> list[datetime]:
    """Starts of the steps from the one that holds ``since``: multiples of ``width`` since 1970."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = epoch + (since - epoch) // width * width
    starts = []
    while at < until:
        starts.append(at)
        at += width
    return starts


def _alerts(alerts: AlertHistory) -> Alerts:
    try:
        return Alerts(
            firing=tuple(_incident(incident) for incident in alerts.firing()),
            history=tuple(_incident(incident) for incident in alerts.history(RECENT_INCIDENTS)),
            checks=tuple(
                RuleCheck(check.rule, check.evaluated_at, check.error)
                for check in alerts.evaluations()
            ),
            undelivered=len(alerts.undelivered()),
            error=None,
        )
    except AlertStoreError as error:
        return Alerts(firing=(), history=(), checks=(), undelivered=0, error=str(error))


def _incident(incident: Incident) -> AlertIncident:
    return AlertIncident(
        rule=incident.rule,
        tenant=incident.tenant_id,
        condition=incident.condition,
        severity=incident.severity,
        summary=incident.summary,
        started_at=incident.started_at,
        resolved_at=incident.resolved_at,
        resolution=incident.resolution,
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
