"""What the overview page shows, as plain values: the contract between questions and templates.

These dataclasses are also the JSON of ``/api/overview``; the text under each field is its
documentation in ``/api/openapi.json``.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import ConfigDict

from dashboards.ranges import RangeName

DOCUMENTED = ConfigDict(use_attribute_docstrings=True)

Unit = Literal["ms", "ratio", "USD"]
SloState = Literal["met", "breached", "too_few", "unknown"]


@dataclass(frozen=True)
class Point:
    """One step of a sparkline."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    at: datetime
    """Start of the step, UTC."""
    value: float | None
    """The SLO's number over this step alone, in the SLO's unit; null where nothing was counted."""
    total: int
    """Runs judged in this step."""


@dataclass(frozen=True)
class SloCard:
    """One service level objective, evaluated over the range."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    name: str
    """Name in the SLO file."""
    title: str
    """Name for people."""
    description: str
    """What it promises; may be empty."""
    state: SloState
    """met (enough runs were good and the value is on the better side of the threshold), breached,
    too_few (fewer runs than the SLO asks for) or unknown (nothing to count)."""
    value: float | None
    """The headline number, in ``unit``: a p95, a success ratio or an error ratio."""
    unit: Unit
    """ms, ratio (between 0 and 1) or USD."""
    better: Literal["lower", "higher"]
    """On which side of ``threshold`` the value has to stay."""
    threshold: float
    """The limit of ``value``, in ``unit``."""
    target: float
    """Share of runs that must be good, between 0 and 1."""
    good: int
    """Good runs."""
    total: int
    """Judged runs, good and bad."""
    excluded: int
    """Runs that by the SLO's rule are neither good nor bad."""
    missing: int
    """Runs that should be judged, but what it takes is not known of them."""
    coverage: float | None
    """total / (total + missing); null when there was nothing."""
    budget_left: float | None
    """Share of the error budget of the range that is left; negative when overspent."""
    burn_rate: float | None
    """Of the last hour: 1 spends the budget in exactly the SLO's own window."""
    series: tuple[Point, ...]
    """The headline number step by step."""


@dataclass(frozen=True)
class AlertIncident:
    """One time an alert fired."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    rule: str
    """Name of the alert rule."""
    tenant: str | None
    """The tenant it fired for; null for all tenants together."""
    condition: Literal["breach", "unknown"]
    """breach, or unknown when there was nothing to judge by."""
    severity: str
    """Severity of the rule."""
    summary: str
    """What was seen when it began."""
    started_at: datetime
    """When it began to fire, UTC."""
    resolved_at: datetime | None
    """When it ended, UTC; null while it fires."""
    resolution: str | None
    """How it ended; null while it fires."""


@dataclass(frozen=True)
class RuleCheck:
    """The last evaluation of an alert rule: whether somebody is watching at all."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    rule: str
    """Name of the alert rule."""
    evaluated_at: datetime
    """When it was evaluated last, UTC."""
    error: str | None
    """Why that failed; null when it succeeded."""


@dataclass(frozen=True)
class Alerts:
    """What fires, what fired, and whether anybody looks and is told."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    firing: tuple[AlertIncident, ...]
    """Incidents that are not over, newest first; of every tenant, whatever tenant is picked."""
    history: tuple[AlertIncident, ...]
    """The latest incidents, open and over, newest first."""
    checks: tuple[RuleCheck, ...]
    """The last evaluation of each rule; empty when no pager has run yet."""
    undelivered: int
    """Notifications that a channel has not accepted yet."""
    error: str | None
    """Why the alert store could not be read; null when it could."""


@dataclass(frozen=True)
class ToolErrors:
    """How one tool did."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    tool: str | None
    """Tool name; null when the source did not name it."""
    calls: int
    """Calls made."""
    errors: int
    """Calls that failed."""
    rate: float | None
    """errors / calls."""
    surfaced: int
    """Runs whose last call of the tool failed: the failures a user met."""


@dataclass(frozen=True)
class ModelCost:
    """What one tenant spent on one model."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    tenant: str | None
    """Tenant; null when the source did not say."""
    model: str | None
    """Model that answered; null when the source did not say."""
    calls: int
    """Model calls."""
    input_tokens: int
    """Prompt tokens, cached ones included."""
    output_tokens: int
    """Completion tokens, reasoning included."""
    cost_usd: Decimal | None
    """USD of the priced calls, exact, as text; null when no call could be priced."""
    unpriced_calls: int
    """Calls without a known price or usage: not in cost_usd."""


@dataclass(frozen=True)
class Totals:
    """How much there was in the range."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    runs: int
    """Agent requests."""
    tenants: int
    """Tenants with at least one run."""
    users: int
    """Users with at least one run."""
    model_calls: int
    """Model calls."""
    tool_calls: int
    """Tool calls."""
    input_tokens: int
    """Prompt tokens, cached ones included."""
    output_tokens: int
    """Completion tokens, reasoning included."""
    cost_usd: Decimal | None
    """USD of the priced calls, exact, as text; null when no call could be priced."""
    unpriced_calls: int
    """Model calls without a known price or usage: not in cost_usd."""


@dataclass(frozen=True)
class Overview:
    """Everything the overview page shows."""

    __pydantic_config__: ClassVar[ConfigDict] = DOCUMENTED

    range: RangeName
    """The picked range."""
    since: datetime
    """Start of the range, UTC, included."""
    until: datetime
    """End of the range, UTC, excluded; the moment the lake was read."""
    tenant: str | None
    """The picked tenant; null for all."""
    tenants: tuple[str, ...]
    """Tenants to pick from: all seen in the range, and the picked one."""
    newest_run_at: datetime | None
    """Start of the newest run up to 30 days back; null when there was none."""
    totals: Totals
    """How much there was."""
    slos: tuple[SloCard, ...]
    """The service level objectives, in the order of their files."""
    alerts: Alerts
    """What fires and what fired, of every tenant."""
    tools: tuple[ToolErrors, ...]
    """Tools by errors, most first."""
    costs: tuple[ModelCost, ...]
    """Tenants and models by cost, most first."""
