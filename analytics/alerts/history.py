"""What fired, what fires, and whether the rules are being evaluated: for dashboards and the CLI."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from analytics.alerts.notification import Notification
from analytics.alerts.state import AlertState, Observation, Phase
from analytics.alerts.store import (
    BUSY_SECONDS,
    AlertStoreError,
    Delivery,
    read_undelivered,
    schema_version,
    statement,
)

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Incident:
    """One time an alert fired. ``resolved_at`` is None while it does."""

    fingerprint: str
    rule: str
    tenant_id: str | None
    """None: all tenants together."""
    condition: Literal["breach", "unknown"]
    severity: str
    started_at: datetime
    resolved_at: datetime | None
    summary: str
    """As at its beginning: ``TTFB p95 2.41 s over 1.5 s for tenant acme (…)``."""
    resolution: str | None
    """How it ended, in words."""
    description: str
    runbook: str | None

    @classmethod
    def of(cls, firing: Notification, resolved: Notification | None) -> Self:
        words = firing.annotations
        return cls(
            fingerprint=firing.fingerprint,
            rule=firing.rule,
            tenant_id=firing.tenant_id,
            condition="breach" if firing.labels["condition"] == "breach" else "unknown",
            severity=firing.labels["severity"],
            started_at=firing.starts_at,
            resolved_at=resolved.ends_at if resolved else None,
            summary=words["summary"],
            resolution=resolved.annotations["summary"] if resolved else None,
            description=words["description"],
            runbook=words.get("runbook_url") or words.get("runbook"),
        )


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """Where one scope of a rule stands, and what was last seen of it."""

    rule: str
    tenant_id: str | None
    phase: Phase
    since: datetime | None
    """Since when it is pending or firing."""
    observation: Observation
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class EvaluationStatus:
    """The last evaluation of a rule; ``error`` is None when it succeeded."""

    rule: str
    evaluated_at: datetime
    error: str | None
    failures: int
    """Evaluations that failed, ever."""


@dataclass(frozen=True)
class AlertHistory:
    """Reads a pager's store from any thread or process while the pager writes.

    A store that does not exist yet reads as empty. Every method opens its own connection and sees
    one consistent state. :raises AlertStoreError: when the file cannot be read.
    """

    store_path: Path

    def firing(self) -> tuple[Incident, ...]:
        """Incidents that are not over, newest first."""
        return self._incidents(only_open=True, limit=UNLIMITED)

    def history(self, limit: int = 50) -> tuple[Incident, ...]:
        """The latest incidents, open and over, newest first."""
        return self._incidents(only_open=False, limit=limit)

    def scopes(self) -> tuple[ScopeStatus, ...]:
        """Every scope of every rule: by rule, overall first, then tenants by name."""
        with self._connect() as connection:
            rows = connection.execute(statement("list_scopes")).fetchall() if connection else []
        scopes = []
        for rule, tenant_id, stored, observation, observed_at in rows:
            state = AlertState.from_json(json.loads(stored))
            scopes.append(
                ScopeStatus(
                    rule=rule,
                    tenant_id=tenant_id,
                    phase=state.phase,
                    since=state.fired_at or state.pending_since,
                    observation=Observation(**json.loads(observation)),
                    observed_at=datetime.fromisoformat(observed_at),
                )
            )
        return tuple(scopes)

    def evaluations(self) -> tuple[EvaluationStatus, ...]:
        """The last evaluation of each rule."""
        with self._connect() as connection:
            rows = (
                connection.execute(statement("list_evaluations")).fetchall() if connection else []
            )
        return tuple(
            EvaluationStatus(rule, datetime.fromisoformat(at), error, failures)
            for rule, at, error, failures in rows
        )

    def undelivered(self) -> tuple[Delivery, ...]:
        """Notifications that a channel has not accepted yet, oldest first."""
        with self._connect() as connection:
            return read_undelivered(connection) if connection else ()

    def _incidents(self, *, only_open: bool, limit: int) -> tuple[Incident, ...]:
        with self._connect() as connection:
            if connection is None:
                return ()
            rows = connection.execute(
                statement("list_incidents"), {"only_open": only_open, "limit": limit}
            ).fetchall()
        return tuple(
            Incident.of(
                Notification.from_json(firing),
                Notification.from_json(resolved) if resolved else None,
            )
            for firing, resolved in rows
        )

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection | None]:
        """A read-only connection; None when there is no store yet."""
        if not self.store_path.exists():
            yield None
            return
        try:
            connection = sqlite3.connect(
                f"{self.store_path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS
            )
            with closing(connection):
                yield connection if schema_version(connection, self.store_path) else None
        except sqlite3.Error as error:
            raise AlertStoreError(
                f"alert store {self.store_path}: {error}; check its permissions and that it is a "
                "Quietpager alert store"
            ) from error
