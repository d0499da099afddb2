"""What an alert watches and when it may wake somebody."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from analytics.alerts.units import duration

DEFAULT_RUNBOOK = (
    "1. One tenant or all? One: compare its agents and models in the runs view. "
    "2. Model or us? If llm_calls.ttfb_ms rose with it, the provider is slow: check its status "
    "page, fail over. If not, look at what runs before the first model call (nodes, retries, "
    "queueing). 3. Nothing stands out: open the slowest runs of the window, thread by thread."
)


class AlertRuleError(ValueError):
    """A rule that cannot work; the message names the field, its value and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """Alert when the p95 of TTFB over ``window`` reaches ``threshold_ms``.

    The words are Prometheus' own: the breach must hold over ``for_`` before the alert fires, and
    must be over for ``keep_firing_for`` before it resolves.
    """

    name: str = "ttfb-p95"
    threshold_ms: float = 1500.0
    """Breached when the p95 is this many milliseconds or more: the SLO says "under"."""
    window: timedelta = timedelta(minutes=5)
    """Runs that started in it are measured. A run is seen once it has ended, so this must be
    longer than runs usually take."""
    for_: timedelta = timedelta(minutes=2)
    keep_firing_for: timedelta = timedelta(minutes=1)
    interval: timedelta = timedelta(seconds=30)
    """How often it is evaluated; at most ``window``, else runs in between are never looked at."""
    min_samples: int = 20
    """With fewer runs in the window a p95 is not an observation, and the state is kept."""
    per_tenant: bool = True
    """Also watch each tenant on its own, not only all together."""
    unknown_after: timedelta | None = timedelta(minutes=15)
    """Notify when the rule could not be evaluated for this long; ``None``: only show it."""
    stale_after: timedelta = timedelta(hours=24)
    """A firing alert that nothing has measured for this long resolves, and says why."""
    severity: Literal["page", "ticket"] = "page"
    runbook: str = DEFAULT_RUNBOOK
    """What to do about it: a few words, or a URL."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise AlertRuleError("alert rule: name is empty; write a short one such as ttfb-p95")
        if not self.threshold_ms > 0:
            self._refuse("threshold_ms", f"{self.threshold_ms:g}", "be above 0; write e.g. 1500")
        if self.threshold_ms == math.inf:
            self._refuse("threshold_ms", "inf", "be finite; write e.g. 1500")
        if self.min_samples < 1:
            self._refuse("min_samples", str(self.min_samples), "be at least 1; write e.g. 20")
        if self.severity not in ("page", "ticket"):
            self._refuse("severity", repr(self.severity), "be page or ticket")
        self._require_at_least("window", self.window, timedelta(seconds=1))
        self._require_at_least("interval", self.interval, timedelta(seconds=1))
        self._require_at_least("for_", self.for_, timedelta(0))
        self._require_at_least("keep_firing_for", self.keep_firing_for, timedelta(0))
        if self.interval > self.window:
            self._refuse(
                "interval",
                duration(self.interval),
                f"be at most the window ({duration(self.window)})",
            )
        self._require_at_least("stale_after", self.stale_after, self.window)
        if self.unknown_after is not None:
            self._require_at_least("unknown_after", self.unknown_after, timedelta(0))

    def _require_at_least(self, field: str, value: timedelta, least: timedelta) -> None:
        if value < least:
            self._refuse(field, duration(value), f"be at least {duration(least)}")

    def _refuse(self, field: str, value: str, remedy: str) -> None:
        raise AlertRuleError(f"alert rule {self.name}: {field} {value} must {remedy}")
