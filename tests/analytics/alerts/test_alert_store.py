"""What is on disk after which event, and who may read it meanwhile."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics.alerts import (
    AlertHistory,
    AlertRule,
    AlertState,
    AlertStore,
    AlertStoreError,
    Observation,
    Transition,
)
from analytics.alerts.notification import announce
from analytics.alerts.store import Evaluation, ScopeResult

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
RULE = AlertRule()
SLOW = Observation("measured", 2410.0, 132, 132)
FIRING = AlertState(phase="firing", fired_at=AT, pending_since=AT - RULE.for_, measured_at=AT)


def fired(tenant: str | None = "acme", at: datetime = AT) -> Evaluation:
    told = announce(RULE, tenant, SLOW, Transition("breach", "firing", at, at))
    state = replace(FIRING, fired_at=at)
    return Evaluation(RULE.name, at, (ScopeResult(tenant, state, SLOW, (told,)),))


def resolved(tenant: str | None = "acme", at: datetime = AT + timedelta(minutes=7)) -> Evaluation:
    fast = Observation("measured", 600.0, 140, 140)
    told = announce(RULE, tenant, fast, Transition("breach", "resolved", AT, at))
    return Evaluation(
        RULE.name, at, (ScopeResult(tenant, AlertState(phase="resolved"), fast, (told,)),)
    )


def test_state_incident_and_outbox_are_committed_together(store: AlertStore) -> None:
    """After an evaluation that fired: the state, the incident and one delivery per channel."""
    store.record(fired(), ["webhook", "log"])
    assert store.states(RULE.name) == {"acme": FIRING}
    (incident,) = AlertHistory(store.path).firing()
    assert (incident.tenant_id, incident.started_at, incident.resolved_at) == ("acme", AT, None)
    assert [d.channel for d in store.undelivered()] == ["webhook", "log"]
    assert {d.notification.fingerprint for d in store.undelivered()} == {incident.fingerprint}


def test_a_tenant_is_erased_from_every_table_and_from_the_bytes(store: AlertStore) -> None:
    """State, incidents, open or over, and deliveries; those of others and of all together stay."""
    for tenant in ("acme-secret", "globex", None):
        store.record(fired(tenant), ["webhook"])
    store.record(resolved("globex"), ["webhook"])
    store.record(fired("acme-secret", AT + timedelta(hours=1)), ["webhook"])

    erased = store.erase("acme-secret")

    assert (erased.rows, erased.firing) == (5, 2)
    assert {each.tenant_id for each in AlertHistory(store.path).history()} == {"globex", None}
    assert store.states(RULE.name).keys() == {"globex", None}
    assert {each.notification.tenant_id for each in store.undelivered()} == {"globex", None}
    files = sorted(store.path.parent.glob("alerts.sqlite*"))
    assert [file.name for file in files if b"acme-secret" in file.read_bytes()] == []
    assert store.erase("acme-secret").rows == 0


def test_nothing_of_a_failed_evaluation_remains(store: AlertStore) -> None:
    """When the commit fails half-way, neither state nor incident nor delivery is there."""
    with pytest.raises(sqlite3.IntegrityError):
        store.record(fired(), ["webhook", "webhook"])
    history = AlertHistory(store.path)
    assert store.states(RULE.name) == {}
    assert (history.firing(), history.evaluations(), store.undelivered()) == ((), (), ())


def test_incident_is_over_once_resolved(store: AlertStore) -> None:
    """A resolved incident leaves firing() and stays in history() with how it ended."""
    store.record(fired(), ["log"])
    store.record(resolved(), ["log"])
    history = AlertHistory(store.path)
    assert history.firing() == ()
    (incident,) = history.history()
    assert incident.resolved_at == AT + timedelta(minutes=7)
    assert incident.summary.startswith("TTFB p95 2.41 s over 1.5 s for tenant acme")
    assert incident.resolution is not None
    assert incident.resolution.startswith("TTFB p95 0.6 s under 1.5 s again for tenant acme")
    assert [d.notification.status for d in store.undelivered()] == ["firing", "resolved"]


def test_history_is_newest_first_and_limited(store: AlertStore) -> None:
    """history(2) gives the two latest incidents."""
    for minute in (3, 1, 2):
        store.record(fired(f"t{minute}", AT + timedelta(minutes=minute)), [])
    latest = AlertHistory(store.path).history(limit=2)
    assert [incident.tenant_id for incident in latest] == ["t3", "t2"]


def test_outbox_does_not_grow_for_ever(store: AlertStore) -> None:
    """A month after its delivery a row goes; what is not delivered and the incident stay."""
    store.record(fired(), ["log", "webhook"])
    store.delivered(store.undelivered()[0], AT)
    for days, rows in ((30, 2), (31, 1), (400, 1)):
        store.record(Evaluation(RULE.name, AT + timedelta(days=days), ()), [])
        with store._connect() as connection:
            assert connection.execute("SELECT COUNT(*) FROM outbox").fetchone() == (rows,)
    assert [delivery.channel for delivery in store.undelivered()] == ["webhook"]
    assert len(AlertHistory(store.path).history()) == 1


def test_scopes_show_what_was_seen(store: AlertStore) -> None:
    """Every scope with its phase, since when, and the last observation, overall first."""
    few = Observation("too_few", 900.0, 3, 4)
    scopes = (
        ScopeResult("acme", FIRING, SLOW),
        ScopeResult(None, AlertState(), few),
        ScopeResult("overall", AlertState(), few),
    )
    store.record(Evaluation(RULE.name, AT, scopes), [])
    seen = AlertHistory(store.path).scopes()
    assert [(s.tenant_id, s.phase, s.since) for s in seen] == [
        (None, "inactive", None),
        ("acme", "firing", AT),
        ("overall", "inactive", None),
    ]
    assert (seen[0].observation, seen[0].observed_at) == (few, AT)


def test_failures_are_counted_and_the_last_error_is_shown(store: AlertStore) -> None:
    """The error goes away with the next success, the count stays."""
    history = AlertHistory(store.path)
    for error in ("QueryError: no", "QueryError: still no", None):
        store.record(Evaluation(RULE.name, AT, (), error=error), [])
        (status,) = history.evaluations()
        assert status.error == error
    assert status.failures == 2


def test_store_that_does_not_exist_reads_as_empty(tmp_path: Path) -> None:
    """A dashboard may start before the pager, and creates nothing by looking."""
    history = AlertHistory(tmp_path / "none" / "alerts.sqlite")
    assert (history.firing(), history.history(), history.scopes()) == ((), (), ())
    assert (history.evaluations(), history.undelivered()) == ((), ())
    assert list(tmp_path.iterdir()) == []


def test_store_without_tables_yet_reads_as_empty(tmp_path: Path) -> None:
    """The moment between the file's creation and its tables is no error."""
    (tmp_path / "alerts.sqlite").touch()
    assert AlertHistory(tmp_path / "alerts.sqlite").firing() == ()


def test_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    """Writer and reader name the file and what to check."""
    path = tmp_path / "alerts.sqlite"
    path.write_bytes(b"not a database" * 100)
    for use in (lambda: AlertStore(path), lambda: AlertHistory(path).firing()):
        with pytest.raises(AlertStoreError, match=r"alerts\.sqlite: file is not a database; check"):
            use()


def test_store_of_a_newer_version_is_refused(store: AlertStore) -> None:
    """A downgrade must not scribble over what it does not understand."""
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    for use in (lambda: AlertStore(store.path), lambda: AlertHistory(store.path).firing()):
        with pytest.raises(AlertStoreError, match="version 2 is newer than this Quietpager's 1"):
            use()


def test_commits_are_on_disk_when_they_return(store: AlertStore) -> None:
    """WAL with synchronous = FULL (2): a power cut takes back nothing that was recorded."""
    with store._connect() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_two_pagers_may_open_the_same_new_store(tmp_path: Path) -> None:
    """Creating it at the same moment from several threads leaves one good store."""
    path = tmp_path / "alerts.sqlite"

    def create(number: int) -> None:
        AlertStore(path).record(Evaluation(f"rule {number}", AT, ()), [])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert len(AlertHistory(path).evaluations()) == 8


def test_readers_see_whole_evaluations_while_the_pager_writes(store: AlertStore) -> None:
    """Reading all the while from another thread, every answer is one committed state."""
    done = threading.Event()
    torn: list[object] = []

    def read() -> None:
        history = AlertHistory(store.path)
        while not done.is_set():
            firing = history.firing()
            if len(firing) not in (0, 3):
                torn.append(firing)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for minute in range(30):
            at = AT + timedelta(minutes=minute)
            tenants = (None, "acme", "beta")
            begins = [Transition("breach", "firing", at, at)] * 3
            ends = [Transition("breach", "resolved", at, at)] * 3
            for transitions in (begins, ends):
                scopes = tuple(
                    ScopeResult(t, FIRING, SLOW, (announce(RULE, t, SLOW, told),))
                    for t, told in zip(tenants, transitions, strict=True)
                )
                store.record(Evaluation(RULE.name, at, scopes), ["log"])
    finally:
        done.set()
        reader.join()
    assert torn == []
    assert len(AlertHistory(store.path).history(limit=1000)) == 90


def test_what_is_no_longer_watched_is_closed(store: AlertStore) -> None:
    """A removed rule, or tenants no longer watched: states go, incidents end, channels are told."""
    for tenant in (None, "acme"):
        store.record(fired(tenant), ["log"])
    store.record(replace(fired("x", AT + timedelta(minutes=1)), rule="old"), [])
    at = AT + timedelta(hours=1)
    store.close_unwatched({RULE.name: False}, ["log"], at)

    history = AlertHistory(store.path)
    assert [(i.rule, i.tenant_id) for i in history.firing()] == [(RULE.name, None)]
    assert [s.tenant_id for s in history.scopes()] == [None]
    assert [e.rule for e in history.evaluations()] == [RULE.name]
    closed = [d.notification for d in store.undelivered() if d.notification.ends_at == at]
    assert {n.tenant_id for n in closed} == {"acme", "x"}
    assert closed[0].annotations["summary"].startswith("Closed without being measured again")
    store.close_unwatched({RULE.name: False}, ["log"], at)
    assert len(history.undelivered()) == 4
