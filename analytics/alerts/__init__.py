"""The pager: turns answers of ``analytics`` into alert states, incidents and notifications.

In: alert rules, and the answers of a question such as ``alerts/ttfb_p95`` over a sliding window.
Out: notifications to channels (at least once, in order within an incident), and a store from which
dashboards and the CLI read what fires, what fired and whether the rules are being evaluated.
Never: fires for a time that was not measured, forgets an incident over a restart, or lets a
receiver that is down delay an evaluation.

    store = AlertStore(data / "state" / "alerts.sqlite")
    run_pager(analytics, [AlertRule()], [LogChannel(), WebhookChannel(url=url)], store, stop)

    AlertHistory(data / "state" / "alerts.sqlite").firing()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analytics.alerts.history import AlertHistory, EvaluationStatus, Incident, ScopeStatus
from analytics.alerts.notification import Notification
from analytics.alerts.rule import AlertRule, AlertRuleError
from analytics.alerts.state import AlertState, Observation, Transition, step
from analytics.alerts.store import AlertStore, AlertStoreError, Delivery

if TYPE_CHECKING:
    from analytics.alerts.channels import Channel, ChannelError, LogChannel
    from analytics.alerts.delivery import Backoff
    from analytics.alerts.pager import Clock, SystemClock, run_pager
    from analytics.alerts.webhook import WebhookChannel

__all__ = [
    "AlertHistory",
    "AlertRule",
    "AlertRuleError",
    "AlertState",
    "AlertStore",
    "AlertStoreError",
    "Backoff",
    "Channel",
    "ChannelError",
    "Clock",
    "Delivery",
    "EvaluationStatus",
    "Incident",
    "LogChannel",
    "Notification",
    "Observation",
    "ScopeStatus",
    "SystemClock",
    "Transition",
    "WebhookChannel",
    "run_pager",
    "step",
]

_HOME = {
    "Backoff": "analytics.alerts.delivery",
    "Channel": "analytics.alerts.channels",
    "ChannelError": "analytics.alerts.channels",
    "Clock": "analytics.alerts.pager",
    "LogChannel": "analytics.alerts.channels",
    "SystemClock": "analytics.alerts.pager",
    "WebhookChannel": "analytics.alerts.webhook",
    "run_pager": "analytics.alerts.pager",
}


def __getattr__(name: str) -> Any:
    """Load what notifies only when it is asked for: most read the history alone."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
