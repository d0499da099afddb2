"""The loop, from answers to notifications, with a clock that passes by sleeping only."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.alerts import AlertHistory, AlertRule, AlertStore, Channel, Notification, run_pager
from tests.analytics.alerts.receiver import until
from tests.analytics.alerts.scripted import START, FakeClock, Script, answer

RULE = AlertRule()


@dataclass
class Memory:
    """A channel that remembers what it was told: minute since START, tenant, status."""

    name: str = "memory"
    notifications: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.notifications.append(notification)

    @property
    def told(self) -> list[tuple[float, str | None, str]]:
        return [
            (((n.ends_at or n.starts_at) - START) / timedelta(minutes=1), n.tenant_id, n.status)
            for n in self.notifications
        ]


def page(
    store: AlertStore,
    reply: Callable[[float], pa.Table],
    minutes: float,
    *,
    rules: Sequence[AlertRule] = (RULE,),
    begin: float = 0,
    channel: Memory | None = None,
) -> tuple[Memory, Script]:
    """Run a pager from minute ``begin`` to ``minutes``; returns once everything is delivered."""
    memory, script = channel or Memory(), Script(reply)
    clock = FakeClock(
        end=START + timedelta(minutes=minutes),
        ready=lambda: not store.undelivered(),
        at=START + timedelta(minutes=begin),
    )
    run_pager(script, rules, [memory], store, threading.Event(), clock=clock)
    return memory, script


def slow_between(begin: float, end: float, **tenants: float) -> Callable[[float], pa.Table]:
    """Tenant acme is slow from minute ``begin`` until ``end``; overall stays fast."""
    return lambda minute: answer(600.0, acme=2410.0 if begin <= minute < end else 600.0, **tenants)


def test_slow_tenant_pages_and_resolves(store: AlertStore) -> None:
    """Slow from minute 5 to 10: fires at 7, resolves at 11; nobody else is mentioned."""
    memory, _ = page(store, slow_between(5, 10, beta=700.0), 20)
    assert memory.told == [(7, "acme", "firing"), (11, "acme", "resolved")]


def test_asks_for_the_rules_window_at_the_rules_interval(store: AlertStore) -> None:
    """Windows of 5 minutes, every 30 s, each ending at its evaluation."""
    _, script = page(store, slow_between(99, 99), 2)
    assert [until for _, _, until in script.asked] == [
        START + timedelta(seconds=30 * number) for number in range(5)
    ]
    assert {(question, until - since) for question, since, until in script.asked} == {
        ("alerts/ttfb_p95", timedelta(minutes=5))
    }


def test_overall_and_tenant_are_alerts_of_their_own(store: AlertStore) -> None:
    """When all are slow because one is, both scopes fire, each with its own incident."""
    memory, _ = page(store, lambda minute: answer(1800.0, acme=2410.0, beta=700.0), 3)
    assert sorted(memory.told, key=str) == [(2, "acme", "firing"), (2, None, "firing")]
    assert len({n.fingerprint for n in memory.notifications}) == 2


def test_tenants_are_left_alone_when_the_rule_says_so(store: AlertStore) -> None:
    """per_tenant False: only all together can fire."""
    rule = AlertRule(per_tenant=False)
    memory, _ = page(store, lambda minute: answer(600.0, acme=2410.0), 5, rules=[rule])
    assert memory.told == []
    assert [scope.tenant_id for scope in AlertHistory(store.path).scopes()] == [None]


def test_tenant_with_few_runs_is_shown_as_such(store: AlertStore) -> None:
    """Three very slow runs wake nobody, and are visible as too few."""
    memory, _ = page(store, lambda minute: answer(600.0, acme=(9000.0, 3)), 5)
    assert memory.told == []
    _, acme = AlertHistory(store.path).scopes()
    assert (acme.phase, acme.observation.kind, acme.observation.samples) == (
        "inactive",
        "too_few",
        3,
    )


def test_alert_goes_on_over_a_restart(store: AlertStore) -> None:
    """Pending when the pager stops, it fires on time after the restart; fired, it resolves."""
    reply = slow_between(5, 10)
    memory, _ = page(store, reply, 6)
    assert memory.told == []
    memory, _ = page(store, reply, 8, begin=6.5)
    assert memory.told == [(7, "acme", "firing")]
    memory, _ = page(store, reply, 20, begin=8.5)
    assert memory.told == [(11, "acme", "resolved")]
    (incident,) = AlertHistory(store.path).history()
    assert incident.started_at == START + timedelta(minutes=7)


def test_tenant_that_falls_silent_while_firing_keeps_firing(store: AlertStore) -> None:
    """No runs at all of a firing tenant: the incident stays open, and blindness is told."""

    def reply(minute: float) -> pa.Table:
        return answer(600.0, acme=2410.0) if minute < 5 else answer(600.0)

    memory, _ = page(store, reply, 25)
    assert memory.told == [(2, "acme", "firing"), (20, "acme", "firing")]
    assert memory.notifications[1].annotations["summary"] == (
        "TTFB p95 unknown for tenant acme: no runs in the last 5 min"
    )
    assert {i.condition for i in AlertHistory(store.path).firing()} == {"breach", "unknown"}


def test_tenant_without_runs_and_without_alert_is_forgotten(store: AlertStore) -> None:
    """Tenants that come and go leave no state behind."""
    page(store, lambda minute: answer(600.0, **{f"t{int(minute)}": 700.0}), 20)
    assert [s.tenant_id for s in AlertHistory(store.path).scopes()] == [None, "t20"]


@pytest.mark.parametrize(
    ("dark", "reason"),
    [
        (answer(None, runs=0), "no runs in the last 5 min"),
        (
            answer(None, runs=0).set_column(4, "runs", pa.array([40])),
            "none of 40 runs in the last 5 min carries a TTFB",
        ),
        (answer(float("nan")), "the p95 came out as nan"),
        (None, "evaluation failed (QueryError: no such column: runs.ttfb_ms)"),
        (answer(600.0).slice(1), "alerts/ttfb_p95 must return a row whose scope is 'overall'"),
    ],
)
def test_rule_that_cannot_be_evaluated_says_so(
    store: AlertStore, dark: pa.Table | None, reason: str
) -> None:
    """No runs, no TTFB, no number or no answer: told after 15 minutes, and when it is over."""

    class QueryError(Exception):
        pass

    def reply(minute: float) -> pa.Table:
        if minute >= 25:
            return answer(600.0)
        if dark is None:
            raise QueryError("no such column: runs.ttfb_ms")
        return dark

    memory, _ = page(store, reply, 30)
    assert memory.told == [(15, None, "firing"), (25, None, "resolved")]
    begin, end = memory.notifications
    assert reason in begin.annotations["summary"]
    assert begin.labels["condition"] == "unknown"
    assert end.annotations["summary"] == (
        "TTFB p95 can be evaluated again for all tenants, after 10 min"
    )


def test_failing_evaluation_keeps_states_and_is_shown(store: AlertStore) -> None:
    """While the query fails a firing tenant stays firing; error and count are readable."""

    def reply(minute: float) -> pa.Table:
        if 4 <= minute < 10.5:
            raise RuntimeError("the lake is on fire")
        return answer(600.0, acme=2410.0 if minute < 12 else 600.0)

    page(store, reply, 10)
    history = AlertHistory(store.path)
    (status,) = history.evaluations()
    assert (status.error, status.failures) == ("RuntimeError: the lake is on fire", 13)
    assert status.evaluated_at == START + timedelta(minutes=10)
    assert [i.tenant_id for i in history.firing()] == ["acme"]

    memory, _ = page(store, reply, 14, begin=10.5)
    assert memory.told == [(13, "acme", "resolved")]


def test_evaluation_that_takes_longer_than_its_interval_is_followed_by_one_not_many(
    store: AlertStore,
) -> None:
    """Missed evaluations are not made up for: what counts is the present."""
    clock = FakeClock(START + timedelta(minutes=5))

    def reply(minute: float) -> pa.Table:
        if minute == 1:
            clock.at += timedelta(minutes=2)
        return answer(600.0)

    script = Script(reply)
    run_pager(script, [RULE], [Memory()], store, threading.Event(), clock=clock)
    assert [(until - START) / RULE.interval for _, _, until in script.asked] == [
        *(0, 1, 2),
        *(6, 7, 8, 9, 10),
    ]


def test_rule_that_fails_does_not_stop_another(store: AlertStore) -> None:
    """Each rule is evaluated on its own, at its own interval."""
    broken = replace(RULE, name="broken", window=timedelta(minutes=7))
    memory = Memory()

    class OneBroken(Script):
        def ask(self, question: str, **when: Any) -> pa.Table:
            if when["until"] - when["since"] == broken.window:
                raise LookupError("no answer")
            return super().ask(question, **when)

    script = OneBroken(slow_between(0, 99))
    clock = FakeClock(START + timedelta(minutes=3), lambda: not store.undelivered())
    run_pager(script, [broken, RULE], [memory], store, threading.Event(), clock=clock)
    assert memory.told == [(2, "acme", "firing")]
    failing, fine = AlertHistory(store.path).evaluations()
    assert (failing.error, fine.error) == ("LookupError: no answer", None)


def test_store_that_fails_once_loses_no_page(store: AlertStore) -> None:
    """When the evaluation that fires cannot be committed, the next one fires."""

    class FullDisk(AlertStore):
        left = 1

        def record(self, evaluation: object, channels: Sequence[str]) -> None:
            if evaluation.at == START + timedelta(minutes=2):  # type: ignore[attr-defined]
                raise OSError(28, "No space left on device")
            super().record(evaluation, channels)  # type: ignore[arg-type]

    memory, _ = page(FullDisk(store.path), slow_between(0, 99), 5)
    assert memory.told == [(2.5, "acme", "firing")]


def test_clock_set_back_does_not_stop_the_watch(store: AlertStore) -> None:
    """After the clock is set back by an hour, the next evaluation is one interval away."""
    script = Script(slow_between(99, 99))

    class SetBack(FakeClock):
        def sleep(self, length: timedelta, stop: threading.Event) -> None:
            super().sleep(length, stop)
            if self.at == START + timedelta(minutes=2):
                self.at -= timedelta(hours=1)
                self.end = self.at + timedelta(minutes=2)

    clock = SetBack(START + timedelta(minutes=5))
    run_pager(script, [RULE], [Memory()], store, threading.Event(), clock=clock)
    times = [until for _, _, until in script.asked]
    back = START + timedelta(minutes=2) - timedelta(hours=1)
    assert times[4:6] == [back + RULE.interval, back + 2 * RULE.interval]


def test_removed_rule_closes_its_incidents(store: AlertStore) -> None:
    """A rule that is renamed while firing does not leave a page open for ever."""
    page(store, slow_between(0, 99), 3)
    renamed = replace(RULE, name="first-token")
    memory, _ = page(store, slow_between(0, 99), 4, rules=[renamed], begin=3.5)
    assert memory.told == [(3.5, "acme", "resolved")]
    assert "the alert rule no longer watches this" in memory.notifications[0].annotations["summary"]


def test_stops_at_once(store: AlertStore) -> None:
    """With minutes to go until the next evaluation, the pager returns when told to."""
    stop = threading.Event()
    script = Script(slow_between(0, 0))
    thread = threading.Thread(
        target=run_pager,
        args=(script, [replace(RULE, interval=timedelta(minutes=5))], [Memory()], store, stop),
    )
    thread.start()
    until(lambda: AlertHistory(store.path).evaluations())
    began = time.monotonic()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("rules", "channels", "message"),
    [
        ([], [], "no alert rule: there is nothing to evaluate"),
        ([RULE, RULE], [], "two alert rules are named 'ttfb-p95'; give each its own name"),
        ([RULE], [Memory(), Memory()], "two alert channels are named 'memory'"),
    ],
)
def test_pager_that_makes_no_sense_is_refused(
    store: AlertStore, rules: list[AlertRule], channels: list[Channel], message: str
) -> None:
    """No rule, or names that cannot be told apart, are an error at the start."""
    with pytest.raises(ValueError, match=message):
        run_pager(Script(slow_between(0, 0)), rules, channels, store, threading.Event())
