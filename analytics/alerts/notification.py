"""What a human reads at three in the morning, and what machines match it by."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, Self

from analytics.alerts.rule import AlertRule
from analytics.alerts.state import Observation, Transition
from analytics.alerts.units import duration, seconds


@dataclass(frozen=True, slots=True)
class Notification:
    """One end of one incident. ``fingerprint`` is the same at both ends and over every retry."""

    fingerprint: str
    status: Literal["firing", "resolved"]
    starts_at: datetime
    ends_at: datetime | None
    labels: dict[str, str]
    """Identity: alertname, condition (breach or unknown), severity, scope, tenant_id."""
    annotations: dict[str, str]
    """For people: summary, description, runbook or runbook_url, dashboard_url."""

    @property
    def rule(self) -> str:
        return self.labels["alertname"]

    @property
    def tenant_id(self) -> str | None:
        return self.labels.get("tenant_id")

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=datetime.isoformat)

    @classmethod
    def from_json(cls, text: str) -> Self:
        stored = json.loads(text)
        for key in ("starts_at", "ends_at"):
            if stored[key] is not None:
                stored[key] = datetime.fromisoformat(stored[key])
        return cls(**stored)

    def closed(self, at: datetime, why: str) -> Self:
        """The end of this incident for a reason outside its measurements."""
        summary = f"Closed without being measured again: {why} (was: {self.annotations['summary']})"
        return replace(
            self,
            status="resolved",
            ends_at=at,
            annotations={**self.annotations, "summary": summary},
        )


def announce(
    rule: AlertRule,
    tenant_id: str | None,
    observation: Observation,
    transition: Transition,
    dashboard_url: str | None = None,
) -> Notification:
    """Put a transition into words."""
    labels = {
        "alertname": rule.name,
        "condition": transition.condition,
        "severity": rule.severity if transition.condition == "breach" else "ticket",
        "scope": "overall" if tenant_id is None else "tenant",
    }
    if tenant_id is not None:
        labels["tenant_id"] = tenant_id
    annotations = {
        "summary": _summary(rule, tenant_id, observation, transition),
        "description": _description(rule, observation, transition),
    }
    if transition.condition == "breach":
        is_url = rule.runbook.startswith(("http://", "https://"))
        annotations["runbook_url" if is_url else "runbook"] = rule.runbook
    if dashboard_url:
        annotations["dashboard_url"] = dashboard_url
    return Notification(
        fingerprint=_fingerprint(rule.name, tenant_id, transition),
        status=transition.status,
        starts_at=transition.started_at,
        ends_at=transition.at if transition.status == "resolved" else None,
        labels=labels,
        annotations=annotations,
    )


def _fingerprint(rule: str, tenant_id: str | None, transition: Transition) -> str:
    identity = [rule, tenant_id, transition.condition, transition.started_at.isoformat()]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def _summary(
    rule: AlertRule, tenant_id: str | None, observation: Observation, transition: Transition
) -> str:
    who = "all tenants" if tenant_id is None else f"tenant {tenant_id}"
    limit = seconds(rule.threshold_ms)
    seen = f"window {duration(rule.window)}, {observation.samples} runs"
    lasted = duration(transition.at - transition.started_at)
    if transition.condition == "unknown":
        if transition.status == "firing":
            return f"TTFB p95 unknown for {who}: {observation.reason}"
        return f"TTFB p95 can be evaluated again for {who}, after {lasted}"
    if transition.stale:
        blind = duration(rule.stale_after)
        return f"TTFB p95 for {who} not measured for {blind}: given up, {lasted} after it fired"
    if observation.value_ms is None:
        raise ValueError(f"alert rule {rule.name}: a breach was told of without a measured value")
    if transition.status == "firing":
        return f"TTFB p95 {seconds(observation.value_ms)} over {limit} for {who} ({seen})"
    return (
        f"TTFB p95 {seconds(observation.value_ms)} under {limit} again for {who} ({seen}), "
        f"after {lasted}"
    )


def _description(rule: AlertRule, observation: Observation, transition: Transition) -> str:
    if transition.condition == "unknown":
        if transition.status == "resolved":
            return "The alert is evaluated as usual."
        return (
            "While it lasts, a breach cannot be noticed. Is the agent up, is its telemetry "
            "arriving, is the sidecar reading it?"
        )
    if transition.stale:
        return "Nothing says that it got better: there is no traffic left to tell by."
    if transition.status == "resolved":
        return f"Below the threshold for {duration(rule.keep_firing_for)}."
    return (
        f"One user in twenty waits longer than this for the first token; it has been so for "
        f"{duration(rule.for_)}. {observation.samples} of {observation.runs} runs carry a TTFB."
    )
