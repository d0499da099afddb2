"""The question alerts/ttfb_p95 on its own, in a plain DuckDB with a table of runs."""

import random
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

UNTIL = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(minutes=5)
Run = tuple[str | None, float | None, datetime]


def ask(
    runs: Sequence[Run], repository: Path, tenant: str | None = None
) -> dict[str | None, dict[str, Any]]:
    """Rows by tenant; None is overall."""
    tenants, ttfb, started = zip(*runs, strict=True) if runs else ((), (), ())
    table = pa.table(
        {
            "tenant_id": pa.array(tenants, pa.string()),
            "ttfb_ms": pa.array(ttfb, pa.float64()),
            "started_at": pa.array(started, pa.timestamp("us", tz="UTC")),
        }
    )
    sql = (repository / "analytics" / "sql" / "alerts" / "ttfb_p95.sql").read_text()
    with duckdb.connect() as connection:
        connection.register("run_starts", table)
        parameters = {"since": SINCE, "until": UNTIL, "tenant": tenant}
        rows = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
    assert [row["scope"] for row in rows] == ["overall"] + ["tenant"] * (len(rows) - 1)
    return {row["tenant_id"]: row for row in rows}


def test_p95_interpolates_between_ranks(repository: Path) -> None:
    """100, 200, … 2000 ms: 1905 ms, as numpy's default method has it."""
    rows = ask([("acme", 100.0 * n, SINCE) for n in range(1, 21)], repository)
    for tenant in (None, "acme"):
        assert rows[tenant]["p95_ms"] == pytest.approx(1905.0, abs=1e-9)


def test_p95_equals_an_independent_computation(repository: Path) -> None:
    """Overall and per tenant, random runs give what the statistics module gives."""
    numbers = random.Random(11)
    runs: list[Run] = [
        (numbers.choice(["acme", "beta", None]), numbers.lognormvariate(6, 1), SINCE)
        for _ in range(500)
    ]
    rows = ask(runs, repository)
    assert set(rows) == {None, "acme", "beta"}
    for tenant, row in rows.items():
        values = [ttfb for t, ttfb, _ in runs if tenant in (None, t) and ttfb is not None]
        expected = statistics.quantiles(values, n=20, method="inclusive")[-1]
        assert row["p95_ms"] == pytest.approx(expected, rel=1e-12)
        assert row["samples"] == row["runs"] == len(values)


def test_runs_without_ttfb_lower_coverage_only(repository: Path) -> None:
    """They are counted, and do not change the percentile."""
    rows = ask([("acme", 500.0, SINCE)] * 3 + [("acme", None, SINCE)], repository)
    assert rows["acme"] == {
        "scope": "tenant",
        "tenant_id": "acme",
        "p95_ms": 500.0,
        "samples": 3,
        "runs": 4,
        "coverage": 0.75,
    }


def test_window_is_half_open(repository: Path) -> None:
    """A run that starts at since counts, one that starts at until does not."""
    tick = timedelta(microseconds=1)
    times = [SINCE - tick, SINCE, UNTIL - tick, UNTIL]
    assert ask([("acme", 1.0, at) for at in times], repository)[None]["runs"] == 2


def test_without_runs_there_is_an_overall_row_without_a_number(repository: Path) -> None:
    """No data is an answer: zero runs, NULL p95, NULL coverage."""
    (row,) = ask([], repository).values()
    assert (row["p95_ms"], row["samples"], row["runs"], row["coverage"]) == (None, 0, 0, None)


def test_one_tenant_can_be_asked_for(repository: Path) -> None:
    """With $tenant, overall is that tenant."""
    rows = ask([("acme", 1.0, SINCE), ("beta", 2.0, SINCE)], repository, tenant="beta")
    assert set(rows) == {None, "beta"}
    assert rows[None]["p95_ms"] == 2.0
