"""Every shape of the corpus, however it is delivered, gives what is right."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from analytics import Analytics
from ingest.decode import Signal, decode
from ingest.segment_rows import ROWS_OF
from lake import Lake
from tests.analytics.corpus import SHAPES
from tests.analytics.corpus.shape import Expected, Happened, Sent, Used, in_order, request_of
from tests.ingest.batches import whole
from tests.ingest.values import RECEIVED

Row = dict[str, Any]
DAY = 86_400 * 10**9


def at_once(sent: list[Sent]) -> list[list[Sent]]:
    """Everything in one batch."""
    return [list(in_order(sent))]


def children_first(sent: list[Sent]) -> list[list[Sent]]:
    """Spans arrive in the order in which they end, in three commits."""
    ended = sorted(in_order(sent), key=lambda each: (each.late, each.span.end_time_unix_nano))
    return [ended[0::3], ended[1::3], ended[2::3]]


def twice(sent: list[Sent]) -> list[list[Sent]]:
    """Every export is retried a day later."""
    return [list(in_order(sent)), list(reversed(list(in_order(sent))))]


DELIVERIES: dict[str, Callable[[list[Sent]], list[list[Sent]]]] = {
    "at once": at_once,
    "children first": children_first,
    "twice": twice,
}


# The spans of this one count as too many to be held in memory: each step reads the files.
UNHELD = "twice"


@dataclass
class Answers:
    """The rows of the views over the whole corpus, by trace."""

    usage: dict[str, list[Row]]
    llm_calls: dict[str, list[Row]]
    tool_calls: dict[str, list[Row]]
    runs: dict[str, list[Row]]


def by_trace(analytics: Analytics, view: str) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in analytics.query(f"SELECT * FROM {view}").to_pylist():
        found[row["trace_id"]].append(row)
    return found


def append(lake: Lake, signal: Signal, requests: list[bytes], position: int) -> None:
    table = {"traces": "spans", "metrics": "metrics"}[signal]
    received = [RECEIVED + position * DAY] * len(requests)
    rows = whole(ROWS_OF[signal](decode(signal, requests, received)), table)
    lake.append(table, rows, position)


@pytest.fixture(scope="module", params=DELIVERIES)
def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    """All shapes in one lake: none may disturb another."""
    lake = Lake(tmp_path_factory.mktemp("corpus") / "lake")
    told = [each.happened()[0] for each in SHAPES.values()]
    batches = DELIVERIES[request.param]([sent for happened in told for sent in happened.sent])
    for position, batch in enumerate(batches, start=1):
        spans = [request_of(sent).SerializeToString() for sent in batch]
        append(lake, "traces", spans, position)
    metrics = [each.SerializeToString() for happened in told for each in happened.metrics]
    append(lake, "metrics", metrics, 1)
    with ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        if request.param == UNHELD:
            patched.setattr("analytics.engine.HELD_ROWS", 0)
        analytics = stack.enter_context(Analytics(lake, threads=1))
        yield Answers(
            **{
                view: by_trace(analytics, view)
                for view in ("usage", "llm_calls", "tool_calls", "runs")
            }
        )


def rows_of(happened: Happened, found: dict[str, list[Row]]) -> list[Row]:
    traces = {sent.span.trace_id.hex() for sent in happened.sent}
    return [row for trace in sorted(traces) for row in found.get(trace, [])]


def used_by_tenant(usage: list[Row]) -> dict[str | None, Used]:
    total: dict[str | None, Counter[str]] = defaultdict(Counter)
    for row in usage:
        if row["input_tokens"] is not None or row["output_tokens"] is not None:
            total[row["tenant_id"]].update(
                input=row["input_tokens"] or 0,
                output=row["output_tokens"] or 0,
                cached=row["cache_read_tokens"] or 0,
            )
    return {tenant: Used(**counts) for tenant, counts in total.items()}


@pytest.mark.parametrize("name", SHAPES)
def test_shape(name: str, answers: Answers) -> None:
    """Tokens, cost, calls and runs are those that the shape says are right."""
    happened, expected = SHAPES[name].happened()
    usage = rows_of(happened, answers.usage)
    calls = rows_of(happened, answers.llm_calls)
    runs = rows_of(happened, answers.runs)
    assert used_by_tenant(usage) == expected.used
    costs = {tenant: sum(r["cost_usd"] or 0 for r in usage if r["tenant_id"] == tenant)
             for tenant in expected.used}  # fmt: skip
    assert costs == {tenant: used.usd for tenant, used in expected.used.items()}
    assert len(calls) == expected.llm_calls
    tools = sorted(rows_of(happened, answers.tool_calls), key=lambda row: row["started_at"])
    assert len(tools) == expected.tool_calls
    assert sum(row["unpriced"] for row in usage) == expected.unpriced
    ended = [(run["tenant_id"], run["outcome"]) for run in runs]
    assert sorted(ended, key=str) == sorted(expected.runs, key=str)
    assert all((row["cache_read_tokens"] or 0) <= (row["input_tokens"] or 0) for row in usage)
    if expected.run:
        assert [{key: run[key] for key in expected.run} for run in runs] == [
            expected.run for _ in runs
        ]
    if expected.call:
        assert [{key: call[key] for key in expected.call} for call in calls] == [expected.call]
    for tool, wanted in zip(tools, expected.tools, strict=bool(expected.tools)):
        assert {key: tool[key] for key in wanted} == wanted
    assert_runs_hold_the_usage(expected, usage, runs)


def assert_runs_hold_the_usage(expected: Expected, usage: list[Row], runs: list[Row]) -> None:
    in_runs = sum(run["input_tokens"] or 0 for run in runs)
    in_all = sum(row["input_tokens"] or 0 for row in usage)
    assert in_all - in_runs == expected.outside_runs
    calls_in_runs = sum(run["llm_calls"] for run in runs)
    assert calls_in_runs == (0 if expected.outside_runs else expected.llm_calls)
