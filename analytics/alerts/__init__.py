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

from analytics.alerts.channels import Channel, ChannelError, LogChannel, WebhookChannel
from analytics.alerts.delivery import Backoff
from analytics.alerts.history import AlertHistory, EvaluationStatus, Incident, ScopeStatus
from analytics.alerts.notification import Notification
from analytics.alerts.pager import Clock, SystemClock, run_pager
from analytics.alerts.rule import AlertRule, AlertRuleError
from analytics.alerts.state import AlertState, Observation, Transition, step
from analytics.alerts.store import AlertStore, AlertStoreError, Delivery

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
