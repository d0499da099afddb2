"""From spans in a real lake through the shipped SQL to a webhook, minute by minute."""

import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics import Analytics
from analytics.alerts import AlertHistory, AlertRule, AlertStore, WebhookChannel, run_pager
from analytics.alerts.units import seconds
from lake import TABLES, Lake
from tests.analytics.alerts.receiver import Receiver
from tests.analytics.alerts.scripted import START, FakeClock

RULE = AlertRule()
SLOW_FROM, SLOW_UNTIL = 5, 10
RUNS_PER_MINUTE = {"acme": 30, "beta": 120}

Run = tuple[str, datetime, float]


def runs_of(minute: int) -> Iterator[Run]:
    """Tenant, start and TTFB in ms; acme's first token is slow from minute 5 to 10."""
    for tenant, count in RUNS_PER_MINUTE.items():
        for number in range(count):
            slow = tenant == "acme" and SLOW_FROM <= minute < SLOW_UNTIL
            ttfb_ms = (2400.0 if slow else 600.0) + number % 30
            yield tenant, START + timedelta(minutes=minute, seconds=60 * number / count), ttfb_ms


def span(run: Run, number: int) -> dict[str, Any]:
    tenant, start, ttfb_ms = run
    return {
        "day": start.date(),
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "name": "invoke_agent support",
        "kind": "server",
        "start_time": start,
        "end_time": start + timedelta(seconds=3),
        "duration_ms": 3000.0,
        "status": "unset",
        "span_class": "agent",
        "operation": "invoke_agent",
        "agent_name": "support",
        "tenant_id": tenant,
        "thread_id": f"thread-{number}",
        "run_id": f"run-{number}",
        "ttfb_ms": ttfb_ms,
        "outcome": "success",
        "received_at": start + timedelta(seconds=4),
    }


@dataclass
class Traffic(FakeClock):
    """A clock during which a minute's runs arrive in the lake as the minute passes."""

    lake: Lake = field(kw_only=True)
    runs: list[Run] = field(default_factory=list)
    minutes: int = 0

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        super().sleep(length, stop)
        while START + timedelta(minutes=self.minutes) < self.at:
            arrived = list(runs_of(self.minutes))
            spans = [span(run, len(self.runs) + i) for i, run in enumerate(arrived)]
            self.runs += arrived
            self.minutes += 1
            table = pa.Table.from_pylist(spans, schema=TABLES["spans"].arrow)
            assert self.lake.append("spans", table, self.minutes)


def p95(runs: list[Run], tenant: str | None, until: datetime) -> float:
    """Computed on its own, from what the traffic sent."""
    values = [
        ttfb_ms
        for who, start, ttfb_ms in runs
        if tenant in (None, who) and until - RULE.window <= start < until
    ]
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def test_slow_first_token_of_one_tenant_pages_and_resolves(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Acme slow from minute 5 to 10: fires once held for 2 min, resolves once it has left the
    window for 1 min; the numbers in the webhook equal an independent computation."""
    lake = Lake(tmp_path / "lake")
    store = AlertStore(tmp_path / "state" / "alerts.sqlite")
    traffic = Traffic(START + timedelta(minutes=17), lambda: not store.undelivered(), lake=lake)
    webhook = WebhookChannel(url=receiver.url)
    with Analytics(lake) as analytics:
        run_pager(analytics, [RULE], [webhook], store, threading.Event(), clock=traffic)

    at = {"firing": START + timedelta(minutes=7.5), "resolved": START + timedelta(minutes=16)}
    acme = [request for request in receiver.accepted if request.seen[0] == "acme"]
    assert [request.payload["status"] for request in acme] == ["firing", "resolved"]
    fired, resolved = acme
    assert datetime.fromisoformat(fired.alert["startsAt"]) == at["firing"]
    assert datetime.fromisoformat(resolved.alert["endsAt"]) == at["resolved"]
    slow = seconds(p95(traffic.runs, "acme", at["firing"]))
    fast = seconds(p95(traffic.runs, "acme", at["resolved"]))
    assert fired.alert["annotations"]["summary"] == (
        f"TTFB p95 {slow} over 1.5 s for tenant acme (window 5 min, 150 runs)"
    )
    assert resolved.alert["annotations"]["summary"] == (
        f"TTFB p95 {fast} under 1.5 s again for tenant acme (window 5 min, 150 runs), "
        "after 8 min 30 s"
    )
    assert "beta" not in {request.seen[0] for request in receiver.accepted}

    history = AlertHistory(store.path)
    assert history.firing() == ()
    assert "acme" in {incident.tenant_id for incident in history.history()}
    end = START + timedelta(minutes=17)
    assert {s.tenant_id: s.observation.value_ms for s in history.scopes()} == {
        tenant: p95(traffic.runs, tenant, end) for tenant in (None, "acme", "beta")
    }


def test_empty_lake_is_unknown_not_fine(tmp_path: Path, receiver: Receiver) -> None:
    """Before any telemetry has arrived the alert says that it cannot be evaluated."""
    store = AlertStore(tmp_path / "state" / "alerts.sqlite")
    clock = FakeClock(START + timedelta(minutes=16), lambda: not store.undelivered())
    webhook = WebhookChannel(url=receiver.url)
    with Analytics(Lake(tmp_path / "lake")) as analytics:
        run_pager(analytics, [RULE], [webhook], store, threading.Event(), clock=clock)
    (request,) = receiver.accepted
    assert request.alert["annotations"]["summary"] == (
        "TTFB p95 unknown for all tenants: no runs in the last 5 min"
    )
    (status,) = AlertHistory(store.path).evaluations()
    assert status.error is None
