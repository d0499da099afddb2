"""The shipped questions, against plain Python loops over what really happened."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from analytics import Analytics, questions
from analytics.statements import read_only
from tests.analytics.conftest import Opener
from tests.analytics.scenario import Request, recorded, requests
from tests.analytics.telemetry import NOON, Telemetry, ms

SINCE, UNTIL = NOON, NOON + timedelta(hours=3)
LIMIT = Decimal("0.2")


@pytest.fixture(scope="module", params=[1, 2])
def day(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[Request], Analytics]]:
    happened = requests(request.param)
    lake = recorded(happened).lake(tmp_path_factory.mktemp("lake"))
    with Analytics(lake, threads=1) as analytics:
        yield happened, analytics


Day = tuple[list[Request], Analytics]
TENANTS = [None, "acme", "nobody"]


def in_window(happened: list[Request], tenant: str | None) -> list[Request]:
    return [r for r in happened if SINCE <= r.at < UNTIL and tenant in (None, r.tenant)]


def one(analytics: Analytics, question: str, **params: object) -> dict[str, Any]:
    (row,) = analytics.ask(question, since=SINCE, until=UNTIL, **params).to_pylist()
    found: dict[str, Any] = row
    return found


@pytest.mark.parametrize("tenant", TENANTS)
def test_ttfb(day: Day, tenant: str | None) -> None:
    """Good runs are below the threshold, runs without TTFB are missing, the p95 is exact."""
    happened, analytics = day
    runs = in_window(happened, tenant)
    measured = [r.ttfb_ms for r in runs if r.ttfb_ms is not None]
    answer = one(analytics, "slo/ttfb", tenant=tenant, threshold_ms=1500, target=0.95)
    assert answer["good"] == sum(value < 1500 for value in measured)
    assert (answer["total"], answer["missing"]) == (len(measured), len(runs) - len(measured))
    p95 = pytest.approx(np.percentile(measured, 95), rel=1e-12) if measured else None
    assert answer["value"] == p95


def test_the_percentile_interpolates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of 100, 200, ..., 2000 ms the p95 is 1905 ms."""
    telemetry = Telemetry()
    for value in range(100, 2001, 100):
        telemetry.agent(ttfb_ms=float(value))
    with Analytics(telemetry.lake(tmp_path_factory.mktemp("lake"))) as analytics:
        answer = one(analytics, "slo/ttfb", threshold_ms=1500, target=0.95)
    assert answer["value"] == pytest.approx(1905)
    assert (answer["good"], answer["total"]) == (14, 20)


def verdict_on(run: Request, happened: list[Request]) -> str:
    if run.outcome == "success":
        return "good"
    if run.reason in ("client_disconnect", "human"):
        return "excluded"
    if run.outcome == "interrupt" and run.reason is None:
        return "excluded"
    ended = run.at + ms(run.took)
    later = [
        other.at
        for other in happened
        if (other.tenant, other.thread) == (run.tenant, run.thread) and other.at > run.at
    ]
    if run.reason == "shutdown" and later and min(later) <= ended + timedelta(minutes=10):
        return "excluded"
    return "bad"


@pytest.mark.parametrize("tenant", TENANTS)
def test_stream_success(day: Day, tenant: str | None) -> None:
    """Client and human ends leave the count; a shutdown does if its thread went on in time."""
    happened, analytics = day
    verdicts = [verdict_on(run, happened) for run in in_window(happened, tenant)]
    answer = one(analytics, "slo/stream_success", tenant=tenant, target=0.995)
    good, bad = verdicts.count("good"), verdicts.count("bad")
    assert (answer["good"], answer["total"]) == (good, good + bad)
    assert answer["excluded"] == verdicts.count("excluded")
    assert answer["value"] == (good / (good + bad) if good + bad else None)


@pytest.mark.parametrize(
    ("resumed_after", "counted"),
    [(timedelta(minutes=10), "excluded"), (timedelta(minutes=10, milliseconds=1), "bad"),
     (None, "bad")],
)  # fmt: skip
def test_a_shutdown_is_bad_unless_the_thread_goes_on(
    telemetry: Telemetry, opened: Opener, resumed_after: timedelta | None, counted: str
) -> None:
    """A run cut off by a shutdown leaves the count if its thread has a run within 10 minutes."""
    telemetry.agent(outcome="interrupt", outcome_reason="shutdown", thread_id="t", took=1000)
    if resumed_after is not None:
        telemetry.agent(thread_id="t", at=NOON + ms(1000) + resumed_after)
    telemetry.agent(thread_id="other", at=NOON + ms(2000))
    answer = one(opened(), "slo/stream_success", target=0.995)
    assert answer["excluded"] == (counted == "excluded")
    assert answer["total"] - answer["good"] == (counted == "bad")


def surfaced(run: Request) -> set[str]:
    last = {use.tool: use.failed for use in run.tools}
    return {tool for tool, failed in last.items() if failed}


@pytest.mark.parametrize("tenant", TENANTS)
def test_tool_errors(day: Day, tenant: str | None) -> None:
    """A run is bad when the last call of a tool failed; an error made good is not counted."""
    happened, analytics = day
    runs = [r for r in in_window(happened, tenant) if r.tools]
    bad = sum(bool(surfaced(run)) for run in runs)
    answer = one(analytics, "slo/tool_errors", tenant=tenant, target=0.98)
    assert (answer["good"], answer["total"]) == (len(runs) - bad, len(runs))
    assert answer["value"] == (bad / len(runs) if runs else None)
    assert answer["threshold"] == 0.02


@pytest.mark.parametrize("by", ["tool", "tool,tenant", "tenant,agent"])
def test_tool_error_rate(day: Day, by: str) -> None:
    """Calls, errors and surfaced errors by any choice of dimensions."""
    happened, analytics = day
    counts: dict[tuple[str | None, ...], list[Any]] = defaultdict(lambda: [0, 0, set(), set()])
    for run in in_window(happened, None):
        for use in run.tools:
            key = (
                use.tool if "tool" in by else None,
                run.tenant if "tenant" in by else None,
                run.agent if "agent" in by else None,
            )
            counts[key][0] += 1
            counts[key][1] += use.failed
            counts[key][2].add(run.number)
            if use.tool in surfaced(run):
                counts[key][3].add(run.number)
    answer = analytics.ask("tools/error_rate", since=SINCE, until=UNTIL, by=by).to_pylist()
    assert {
        (row["tool_name"], row["tenant_id"], row["agent_name"]): (
            row["calls"], row["errors"], row["runs"], row["surfaced"], row["error_rate"]
        )
        for row in answer
    } == {
        key: (calls, errors, len(runs), len(bad), errors / calls)
        for key, (calls, errors, runs, bad) in counts.items()
    }  # fmt: skip


@pytest.mark.parametrize("tenant", TENANTS)
def test_cost_per_request(day: Day, tenant: str | None) -> None:
    """A run counts when all of it is priced, or when the priced part alone breaks the limit."""
    happened, analytics = day
    good = bad = missing = unused = 0
    counted = []
    for run in in_window(happened, tenant):
        costs = [call.usd for call in run.calls]
        known = sum((cost for cost in costs if cost is not None), Decimal(0))
        if not costs:
            unused += 1
        elif known >= LIMIT:
            bad += 1
            counted.append(known)
        elif None in costs:
            missing += 1
        else:
            good += 1
            counted.append(known)
    answer = one(analytics, "slo/cost_per_request", tenant=tenant, limit_usd=0.2, target=0.95)
    assert (answer["good"], answer["total"]) == (good, good + bad)
    assert (answer["missing"], answer["excluded"]) == (missing, unused)
    if counted:
        p95 = np.percentile([float(cost) for cost in counted], 95)
        assert answer["value"] == pytest.approx(p95, abs=1e-9)
    else:
        assert answer["value"] is None


DIMENSIONS = {
    "tenant": ("tenant_id", lambda run, call: run.tenant),
    "user": ("user_id", lambda run, call: run.user),
    "agent": ("agent_name", lambda run, call: run.agent),
    "feature": ("feature", lambda run, call: run.agent),
    "provider": ("provider", lambda run, call: "openai"),
    "model": ("model", lambda run, call: call.model),
    "day": ("day", lambda run, call: call.at.date()),
}


@pytest.mark.parametrize(
    "by", [",".join(names) for size in (0, 1, 2, 7) for names in combinations(DIMENSIONS, size)]
)
def test_cost_by_any_dimensions(day: Day, by: str) -> None:
    """Calls, tokens and USD by every pair of dimensions add up to the last token and 1e-9 USD."""
    happened, analytics = day
    chosen = by.split(",")
    spent: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), 0])
    for run in happened:
        for call in run.calls:
            if SINCE <= call.at < UNTIL:
                key = tuple(
                    of(run, call) if name in chosen else None
                    for name, (_, of) in DIMENSIONS.items()
                )
                spent[key][0] += 1
                spent[key][1] += call.input_tokens
                spent[key][2] += call.output_tokens
                if call.usd is None:
                    spent[key][4] += 1
                else:
                    spent[key][3] += call.usd
    answer = analytics.ask("cost/by", since=SINCE, until=UNTIL, by=by).to_pylist()
    found = {tuple(row[column] for column, _ in DIMENSIONS.values()): row for row in answer}
    assert found.keys() == spent.keys()
    for key, (calls, inputs, outputs, usd, unpriced) in spent.items():
        row = found[key]
        assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (calls, inputs, outputs)
        assert row["unpriced_calls"] == unpriced
        assert abs((row["cost_usd"] or 0) - usd) < Decimal("1e-9")
        assert (row["cost_usd"] is None) == (unpriced == calls)


@pytest.mark.parametrize(
    ("question", "params"),
    [("slo/ttfb", {"threshold_ms": 900, "target": 0.9}), ("slo/stream_success", {"target": 0.9}),
     ("slo/tool_errors", {"target": 0.9}), ("slo/cost_per_request", {"limit_usd": 0.2,
                                                                     "target": 0.9})],
)  # fmt: skip
def test_a_series_is_the_question_bucket_by_bucket(
    day: Day, question: str, params: dict[str, float]
) -> None:
    """Each bucket of a series has the numbers of the question asked of that bucket alone."""
    _, analytics = day
    series = f"{question}_series"
    given = {name: value for name, value in params.items() if f"${name}" in questions()[series].sql}
    buckets = analytics.ask(
        series, since=SINCE, until=UNTIL, bucket_seconds=1800, **given
    ).to_pylist()
    assert [row["bucket_start"] for row in buckets] == sorted(
        row["bucket_start"] for row in buckets
    )
    seen = {row["bucket_start"]: row for row in buckets}
    for start in (SINCE + timedelta(minutes=30) * step for step in range(6)):
        alone = analytics.ask(
            question, since=start, until=start + timedelta(minutes=30), **params
        ).to_pylist()[0]
        bucket = seen.get(start, {"good": 0, "total": 0, "value": None})
        assert {key: bucket[key] for key in ("good", "total", "value")} == {
            key: alone[key] for key in ("good", "total", "value")
        }


def test_the_timeline_of_a_thread(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every span and line of the thread's traces in order of time, and none of another thread."""
    telemetry = Telemetry()
    agent = telemetry.agent(thread_id="t", took=50)
    telemetry.llm(under=agent, at=NOON + ms(2), took=10, input_tokens=1_000_000, output_tokens=0)
    telemetry.log("agent.node", trace_id=agent["trace_id"], at=NOON + ms(20), body="done")
    telemetry.log("agent.run", thread_id="t", at=NOON + ms(60))
    telemetry.agent(thread_id="other")
    telemetry.log("noise")
    with Analytics(telemetry.lake(tmp_path_factory.mktemp("lake"))) as analytics:
        lines = analytics.ask("thread/timeline", thread_id="t").to_pylist()
    assert [(line["source"], line["name"]) for line in lines] == [
        ("span", "agent"),
        ("span", "llm"),
        ("log", "agent.node"),
        ("log", "agent.run"),
    ]
    assert lines[1]["cost_usd"] == Decimal("2.5")
    assert lines[2]["message"] == "done"


@pytest.mark.parametrize("name", [name for name in questions() if not name.startswith("alerts/")])
def test_every_question_is_documented(name: str) -> None:
    """A header says what it answers, and documents each parameter and column."""
    sql = questions()[name].sql
    header = "\n".join(line for line in sql.splitlines() if line.startswith("--"))
    assert "Columns" in header
    for parameter in read_only(sql).named_parameters:
        assert f"${parameter}" in header, f"{name} does not document ${parameter}"
    assert not {"quantile_cont", "time_bucket", "arg_max", "GROUP BY ALL", "->>"} & set(sql.split())


@pytest.mark.parametrize("question", ["alerts/ttfb_p95", "dashboard/totals", "doctor/coverage"])
def test_a_question_asked_in_passing_has_the_same_answer(day: Day, question: str) -> None:
    """What is left a view and not worked out in between changes memory, never the answer."""
    _, analytics = day
    with analytics.in_passing() as passing:
        alone = passing.ask(question, since=SINCE, until=UNTIL).to_pylist()
    assert alone == analytics.ask(question, since=SINCE, until=UNTIL).to_pylist()
    assert alone
