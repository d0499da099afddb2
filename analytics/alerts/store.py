"""Alert states, incidents and the outbox in one SQLite file; one transaction per evaluation.

The state change, the incident and one outbox row per channel are committed together, so after a
crash at any point either all of them happened or the evaluation is simply done again.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path

from analytics.alerts.notification import Notification
from analytics.alerts.state import AlertState, Observation

SCHEMA_VERSION = 1
BUSY_SECONDS = 15.0
KEEP_DELIVERED = timedelta(days=30)


class AlertStoreError(RuntimeError):
    """The store cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """One scope (``tenant_id`` None: overall) after an evaluation, and what is to be told."""

    tenant_id: str | None
    state: AlertState
    observation: Observation
    notifications: tuple[Notification, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything one evaluation of a rule changes."""

    rule: str
    at: datetime
    scopes: tuple[ScopeResult, ...]
    forgotten: tuple[str | None, ...] = ()
    """Scopes about which there is nothing to remember."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that a channel has not accepted yet."""

    id: int
    channel: str
    notification: Notification
    created_at: datetime
    attempts: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ErasedAlerts:
    """What of a tenant was taken out: all rows, and how many of its incidents were not over."""

    rows: int
    firing: int


class AlertStore:
    """The writing side. Any number of instances, threads and processes may share the file."""

    def __init__(self, path: Path) -> None:
        """Create the file if need be. :raises AlertStoreError: when it is not usable."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect() as connection:
                if schema_version(connection, path) == 0:
                    connection.executescript(statement("schema"))
        except (OSError, sqlite3.Error) as error:
            raise AlertStoreError(
                f"alert store {path}: {error}; check that the directory is writable and the file "
                "is a Quietpager alert store"
            ) from error

    def states(self, rule: str) -> dict[str | None, AlertState]:
        """Stored state by tenant; None is overall."""
        with self._connect() as connection:
            rows = connection.execute(statement("load_states"), {"rule": rule})
            return {tenant: AlertState.from_json(json.loads(state)) for tenant, state in rows}

    def record(self, evaluation: Evaluation, channels: Sequence[str]) -> None:
        """Commit an evaluation, with one outbox row per notification and channel."""
        rule, at = evaluation.rule, timestamp(evaluation.at)
        with self._transaction() as connection:
            connection.execute(
                statement("save_evaluation"), {"rule": rule, "at": at, "error": evaluation.error}
            )
            for scope in evaluation.scopes:
                connection.execute(
                    statement("save_state"),
                    {
                        "rule": rule,
                        "scope": _scope_key(scope.tenant_id),
                        "tenant_id": scope.tenant_id,
                        "state": json.dumps(scope.state.to_json()),
                        "observation": json.dumps(asdict(scope.observation)),
                        "at": at,
                    },
                )
                for notification in scope.notifications:
                    _enqueue(connection, notification, at, channels)
            connection.execute(
                statement("prune_outbox"), {"before": timestamp(evaluation.at - KEEP_DELIVERED)}
            )
            for tenant in evaluation.forgotten:
                _forget(connection, rule, tenant)

    def close_unwatched(
        self, watched: Mapping[str, bool], channels: Sequence[str], at: datetime
    ) -> None:
        """Forget what is no longer watched, and tell that its incidents are closed.

        :param watched: for each rule by name, whether it watches tenants one by one.
        """

        def is_watched(rule: str, tenant_id: str | None) -> bool:
            return rule in watched and (tenant_id is None or watched[rule])

        with self._transaction() as connection:
            for (rule,) in connection.execute(statement("list_rules")).fetchall():
                if rule not in watched:
                    connection.execute(statement("forget_evaluation"), {"rule": rule})
            for rule, tenant_id in connection.execute(statement("list_watched")).fetchall():
                if not is_watched(rule, tenant_id):
                    _forget(connection, rule, tenant_id)
            for (text,) in connection.execute(statement("open_incidents")).fetchall():
                incident = Notification.from_json(text)
                if not is_watched(incident.rule, incident.tenant_id):
                    closed = incident.closed(at, "the alert rule no longer watches this")
                    _enqueue(connection, closed, timestamp(at), channels)

    def erase(self, tenant_id: str) -> ErasedAlerts:
        """Take out every row of a tenant, also from the file's free pages and its log.

        Nobody is told that its incidents are over.
        """
        told = {"tenant_id": tenant_id}
        with self._connect() as connection:
            connection.execute(statement("erase_for_good"))
            connection.execute(statement("begin"))
            with connection:
                (firing,) = connection.execute(statement("count_firing"), told).fetchone()
                rows = sum(
                    connection.execute(statement(each), told).rowcount
                    for each in ("erase_outbox", "erase_incidents", "erase_states")
                )
            connection.execute(statement("empty_log")).fetchall()
        return ErasedAlerts(rows, firing)

    def undelivered(self) -> tuple[Delivery, ...]:
        """The outbox in order of events."""
        with self._connect() as connection:
            return read_undelivered(connection)

    def delivered(self, delivery: Delivery, at: datetime) -> None:
        with self._connect() as connection:
            connection.execute(statement("delivered"), {"id": delivery.id, "at": timestamp(at)})

    def delivery_failed(self, delivery: Delivery, error: str) -> None:
        with self._connect() as connection:
            connection.execute(statement("delivery_failed"), {"id": delivery.id, "error": error})

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, so that any thread may call; statements commit at once."""
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        with closing(connection):
            connection.executescript(statement("open"))
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connect() as connection:
            connection.execute(statement("begin"))
            with connection:  # commits, or rolls back on an exception
                yield connection


def _forget(connection: sqlite3.Connection, rule: str, tenant_id: str | None) -> None:
    connection.execute(statement("forget_state"), {"rule": rule, "scope": _scope_key(tenant_id)})


def _enqueue(
    connection: sqlite3.Connection, notification: Notification, at: str, channels: Sequence[str]
) -> None:
    text = notification.to_json()
    fields = {"fingerprint": notification.fingerprint, "notification": text, "at": at}
    if notification.ends_at is None:
        connection.execute(
            statement("open_incident"),
            fields
            | {
                "rule": notification.rule,
                "tenant_id": notification.tenant_id,
                "started_at": timestamp(notification.starts_at),
            },
        )
    else:
        connection.execute(
            statement("resolve_incident"), fields | {"resolved_at": timestamp(notification.ends_at)}
        )
    for channel in channels:
        connection.execute(
            statement("enqueue"), fields | {"channel": channel, "status": notification.status}
        )


def read_undelivered(connection: sqlite3.Connection) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(
            id=row_id,
            channel=channel,
            notification=Notification.from_json(notification),
            created_at=datetime.fromisoformat(created_at),
            attempts=attempts,
            last_error=last_error,
        )
        for row_id, channel, notification, created_at, attempts, last_error in connection.execute(
            statement("undelivered")
        )
    )


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """0 for an empty file. :raises AlertStoreError: when a newer Quietpager wrote it."""
    version: int = connection.execute(statement("version")).fetchone()[0]
    if version > SCHEMA_VERSION:
        raise AlertStoreError(
            f"alert store {path}: schema version {version} is newer than this Quietpager's "
            f"{SCHEMA_VERSION}; upgrade Quietpager or choose another data directory"
        )
    return version


def timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _scope_key(tenant_id: str | None) -> str:
    return "overall" if tenant_id is None else f"tenant:{tenant_id}"


@cache
def statement(name: str) -> str:
    return (resources.files("analytics.alerts") / "statements" / f"{name}.sql").read_text("utf-8")
