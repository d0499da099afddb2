"""The loop that evaluates alert rules, while the outbox is delivered beside it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from analytics.alerts.channels import Channel
from analytics.alerts.delivery import Backoff, delivering
from analytics.alerts.evaluation import Asks, evaluate
from analytics.alerts.rule import AlertRule
from analytics.alerts.store import AlertStore

log = structlog.get_logger(__name__)


class Clock(Protocol):
    """Time as the pager sees it."""

    def now(self) -> datetime:
        """The present, in UTC."""

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        """Return after ``length``, or as soon as ``stop`` is set."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        stop.wait(length.total_seconds())


def run_pager(
    analytics: Asks,
    rules: Sequence[AlertRule],
    channels: Sequence[Channel],
    store: AlertStore,
    stop: threading.Event,
    *,
    clock: Clock | None = None,
    dashboard_url: str | None = None,
    backoff: Backoff | None = None,
) -> None:
    """Evaluate each rule at its interval and deliver what there is to tell, until ``stop`` is set.

    Blocks. Whatever goes wrong with an evaluation is logged, kept for
    ``AlertHistory.evaluations`` and ends neither the loop nor another rule's evaluation.
    Incidents of rules and tenants that are no longer watched are closed at the start.

    :param dashboard_url: linked from every notification.
    :raises ValueError: when two rules or two channels have the same name, or there is no rule.
    """
    if not rules:
        raise ValueError("no alert rule: there is nothing to evaluate; do not start the pager")
    _require_unique("alert rules", [rule.name for rule in rules])
    _require_unique("alert channels", [channel.name for channel in channels])
    clock = clock or SystemClock()
    told = [channel.name for channel in channels]
    _close_unwatched(store, rules, told, clock.now())
    with delivering(store, channels, backoff or Backoff()) as announce_news:
        due = dict.fromkeys(rules, clock.now())
        while not stop.is_set():
            for rule in rules:
                if (now := clock.now()) >= due[rule]:
                    evaluate(analytics, rule, store, told, now, dashboard_url)
                    announce_news()
                    due[rule] = now + rule.interval
            # A clock that was set back must not leave a rule unwatched until it has caught up.
            now = clock.now()
            due = {rule: min(at, now + rule.interval) for rule, at in due.items()}
            clock.sleep(max(min(due.values()) - now, timedelta(0)), stop)


def _close_unwatched(
    store: AlertStore, rules: Sequence[AlertRule], channels: Sequence[str], now: datetime
) -> None:
    try:
        store.close_unwatched({rule.name: rule.per_tenant for rule in rules}, channels, now)
    except Exception:
        log.exception("unwatched_alerts_not_closed")


def _require_unique(what: str, names: Sequence[str]) -> None:
    for name in {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two {what} are named {name!r}; give each its own name")
