"""The smallest answers a pager can be given, and a clock that passes by sleeping only."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from tests.analytics.alerts.receiver import until as wait_until

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def answer(
    overall: float | None, runs: int = 200, **tenants: float | tuple[float, int]
) -> pa.Table:
    """A table as ``alerts/ttfb_p95`` returns it: p95 in ms, or (p95, runs), by tenant."""
    rows = [("overall", None, overall, runs)]
    for tenant, measured in tenants.items():
        p95, count = measured if isinstance(measured, tuple) else (measured, runs)
        rows.append(("tenant", tenant, p95, count))
    scope, tenant_id, p95_ms, samples = zip(*rows, strict=True)
    return pa.table(
        {
            "scope": pa.array(scope, pa.string()),
            "tenant_id": pa.array(tenant_id, pa.string()),
            "p95_ms": pa.array(p95_ms, pa.float64()),
            "samples": pa.array(samples, pa.int64()),
            "runs": pa.array(samples, pa.int64()),
        }
    )


@dataclass
class Script:
    """Stands for Analytics: answers by the minute of the window's end since START."""

    reply: Callable[[float], pa.Table]
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)

    def ask(
        self,
        question: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **_: object,
    ) -> pa.Table:
        assert since is not None
        assert until is not None
        self.asked.append((question, since, until))
        return self.reply((until - START) / timedelta(minutes=1))


@dataclass
class FakeClock:
    """Time that passes only by sleeping; ``stop`` is set once ``end`` is reached and ``ready``."""

    end: datetime
    ready: Callable[[], object] = lambda: True
    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        if self.at + length <= self.end:
            self.at += length
        else:
            wait_until(self.ready)
            stop.set()
