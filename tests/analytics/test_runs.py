"""The view `runs`: what is a run, whose it was, how it ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NEXT_DAY, NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]
HOUR = timedelta(hours=1)
ELSEWHERE = {"trace_id": "f" * 32, "span_id": "e" * 16}
"""A parent that does not report here."""


def test_an_empty_lake_has_no_runs(rows: Ask) -> None:
    """No data yet is a normal state, not an error."""
    assert rows("SELECT * FROM runs") == []


def test_the_agent_span_is_the_run(telemetry: Telemetry, rows: Ask) -> None:
    """An agent span with calls below it is one run with their counts, tokens and models."""
    http = telemetry.span(took=900)
    agent = telemetry.agent(
        under=http, run_id="r1", thread_id="t", tenant_id="acme", user_id="u", agent_name="bot",
        at=NOON + ms(5), took=800, ttfb_ms=250.5,
    )  # fmt: skip
    telemetry.llm(under=agent, response_model="gpt-4o", reasoning_tokens=40, cache_read_tokens=500)
    telemetry.llm(under=agent, response_model="gpt-4.1-mini")
    telemetry.tool(under=agent)
    telemetry.tool(under=agent, outcome="error")
    (run,) = rows("SELECT * FROM runs")
    assert run | {"cost_usd": None} == {
        "run_id": "r1",
        "trace_id": agent["trace_id"],
        "thread_id": "t",
        "tenant_id": "acme",
        "user_id": "u",
        "agent_name": "bot",
        "feature": "bot",
        "started_at": NOON + ms(5),
        "ended_at": NOON + ms(805),
        "duration_ms": 800.0,
        "ttfb_ms": 250.5,
        "outcome": "success",
        "outcome_reason": None,
        "error_class": None,
        "error_message": None,
        "models": ["gpt-4.1-mini", "gpt-4o"],
        "llm_calls": 2,
        "tool_calls": 2,
        "tool_errors": 1,
        "input_tokens": 2000,
        "output_tokens": 200,
        "cache_read_tokens": 500,
        "cache_write_tokens": None,
        "reasoning_tokens": 40,
        "cost_usd": None,
        "unpriced_calls": 0,
        "usage_source": "calls",
        "source": "spans",
    }


def test_nested_agents_belong_to_the_outermost(telemetry: Telemetry, rows: Ask) -> None:
    """An agent span below another, even through other spans, is no run of its own."""
    outer = telemetry.agent(agent_name="outer", run_id="r")
    node = telemetry.node(under=outer)
    inner = telemetry.agent(under=node, at=NOON + ms(1), agent_name="inner", run_id="sub")
    telemetry.llm(under=inner)
    (run,) = rows("SELECT run_id, agent_name, llm_calls FROM runs")
    assert run == {"run_id": "r", "agent_name": "outer", "llm_calls": 1}


def test_a_graph_is_one_run_whatever_its_nodes_are_called(telemetry: Telemetry, rows: Ask) -> None:
    """OpenInference takes a LangGraph node named agent for an agent; the graph above is the run."""
    graph = telemetry.node(under=telemetry.span(), name="LangGraph", took=900, node=None)
    for _ in range(2):
        telemetry.llm(under=telemetry.agent(under=graph, name="agent", node="agent"))
        telemetry.tool(under=telemetry.node(under=graph, node="tools"))
    alone = telemetry.node(name="LangGraph", took=800)
    telemetry.agent(under=alone, name="agent")
    assert rows("SELECT duration_ms, llm_calls, tool_calls FROM runs ORDER BY 1") == [
        {"duration_ms": 800.0, "llm_calls": 0, "tool_calls": 0},
        {"duration_ms": 900.0, "llm_calls": 2, "tool_calls": 2},
    ]


def test_outermost_siblings_are_runs_of_their_own(telemetry: Telemetry, rows: Ask) -> None:
    """Two agent spans side by side are two runs, each with its calls and its identity."""
    root = telemetry.span()
    first = telemetry.agent(under=root, run_id="a", tenant_id="acme")
    second = telemetry.agent(under=root, run_id="b", tenant_id="globex")
    telemetry.llm(under=telemetry.node(under=first), input_tokens=7)
    telemetry.llm(under=second, input_tokens=9)
    telemetry.tool(under=second)
    telemetry.llm(under=root, input_tokens=1)
    assert rows("SELECT run_id, tenant_id, llm_calls, tool_calls, input_tokens FROM runs ORDER BY 1"
    ) == [
        {"run_id": "a", "tenant_id": "acme", "llm_calls": 1, "tool_calls": 0, "input_tokens": 7},
        {"run_id": "b", "tenant_id": "globex", "llm_calls": 1, "tool_calls": 1, "input_tokens": 9},
    ]  # fmt: skip
    calls = rows("SELECT run_id, tenant_id FROM llm_calls ORDER BY input_tokens")
    assert [call["run_id"] for call in calls] == [None, "a", "b"]
    assert [call["tenant_id"] for call in calls][1:] == ["acme", "globex"]


def test_sibling_runs_without_ids_are_told_apart(telemetry: Telemetry, rows: Ask) -> None:
    """Runs of one trace that their runtime did not name get ids that differ."""
    root = telemetry.span()
    telemetry.agent(under=root)
    telemetry.agent(under=root)
    assert len({run["run_id"] for run in rows("SELECT run_id FROM runs")}) == 2


def test_a_trace_without_agent_span_is_a_run_of_its_root(telemetry: Telemetry, rows: Ask) -> None:
    """The root stands for the run where a model or tool call says that there was one."""
    root = telemetry.span(took=700, user_id="u", status="error")
    telemetry.llm(under=root, tenant_id="acme")
    (run,) = rows("SELECT run_id, duration_ms, tenant_id, user_id, outcome, ttfb_ms FROM runs")
    assert run == {
        "run_id": root["trace_id"], "duration_ms": 700.0, "tenant_id": "acme", "user_id": "u",
        "outcome": "error", "ttfb_ms": None,
    }  # fmt: skip


def test_plain_http_is_no_run(telemetry: Telemetry, rows: Ask) -> None:
    """A trace without agent, model or tool spans is none of an agent's business."""
    telemetry.span(under=telemetry.span())
    assert rows("SELECT * FROM runs") == []


def test_a_run_without_agent_span_waits_for_its_root(telemetry: Telemetry, rows: Ask) -> None:
    """Children are exported first; until the root arrives there is no run, but the call counts."""
    now = datetime.now(UTC)
    telemetry.llm(under=ELSEWHERE, received_at=now - 2 * HOUR)
    telemetry.llm(under=ELSEWHERE, received_at=now - HOUR / 2)
    assert rows("SELECT * FROM runs") == []
    assert rows("SELECT COUNT(*) AS n FROM llm_calls") == [{"n": 2}]


def test_a_run_whose_root_never_comes_is_its_last_model_call(
    telemetry: Telemetry, rows: Ask
) -> None:
    """Only the spans of the SDK are sent here, say. It ended as that did, after what failed."""
    telemetry.llm(under=ELSEWHERE, tenant_id="acme", outcome="error", output_tokens=None)
    last = telemetry.llm(under=ELSEWHERE, at=NOON + ms(500))
    telemetry.tool(under=ELSEWHERE, at=NOON + ms(900), outcome="error")
    (run,) = rows("SELECT trace_id, tenant_id, llm_calls, started_at, outcome FROM runs")
    assert run == {"trace_id": "f" * 32, "tenant_id": "acme", "llm_calls": 2,
                   "started_at": last["start_time"], "outcome": "success"}  # fmt: skip


def test_a_run_whose_root_never_comes_and_that_calls_no_model_is_its_first_span(
    telemetry: Telemetry, rows: Ask
) -> None:
    """A worker that only executes tools."""
    telemetry.tool(under=ELSEWHERE, at=NOON + ms(900))
    telemetry.tool(under=ELSEWHERE, outcome="error")
    found = rows("SELECT started_at, outcome, tool_errors FROM runs")
    assert found == [{"started_at": NOON, "outcome": "error", "tool_errors": 1}]


def test_a_run_whose_root_never_comes_is_that_of_its_lines(telemetry: Telemetry, rows: Ask) -> None:
    """They tell more of it than a call does."""
    telemetry.llm(under=ELSEWHERE)
    telemetry.log("agent.run", trace_id="f" * 32, run_id="r", outcome="interrupt", duration_ms=10)
    assert rows("SELECT source, run_id, outcome FROM runs") == [
        {"source": "logs", "run_id": "r", "outcome": "interrupt"}
    ]


def test_an_agent_under_a_parent_that_never_came_is_a_run(telemetry: Telemetry, rows: Ask) -> None:
    """The caller's span may live in another system."""
    telemetry.agent(under=ELSEWHERE, run_id="r")
    assert rows("SELECT run_id FROM runs") == [{"run_id": "r"}]


def test_parents_that_go_in_a_circle_do_no_harm(telemetry: Telemetry, rows: Ask) -> None:
    """Broken parent links end the search for the outermost agent; other traces are untouched."""
    first = telemetry.span()
    second = telemetry.span(under=first)
    first["parent_span_id"] = second["span_id"]
    telemetry.agent(under=second, run_id="r1")
    telemetry.agent(under=first, run_id="r2")
    own_parent = telemetry.agent(run_id="r3")
    own_parent["parent_span_id"] = own_parent["span_id"]
    assert [run["run_id"] for run in rows("SELECT run_id FROM runs ORDER BY 1")] == [
        "r1",
        "r2",
        "r3",
    ]


def test_a_span_sent_twice_counts_once(telemetry: Telemetry, rows: Ask) -> None:
    """A retried export stores copies, which collapse in every view."""
    agent = telemetry.agent(run_id="r")
    llm = telemetry.llm(under=agent)
    tool = telemetry.tool(under=agent)
    node = telemetry.node(under=agent)
    telemetry.spans += [dict(row, received_at=NEXT_DAY) for row in (agent, llm, tool, node)]
    assert rows("SELECT llm_calls, tool_calls, input_tokens FROM runs") == [
        {"llm_calls": 1, "tool_calls": 1, "input_tokens": 1000}
    ]
    for view, expected in {"spans": 4, "llm_calls": 1, "tool_calls": 1, "nodes": 1}.items():
        assert rows(f"SELECT COUNT(*) AS n FROM {view}") == [{"n": expected}], view
    (received,) = rows("SELECT MAX(received_at) AS latest FROM spans")
    assert received["latest"] < NEXT_DAY


def test_the_first_token_of_a_run_is_not_that_of_a_model(telemetry: Telemetry, rows: Ask) -> None:
    """A run without its own TTFB has none, whatever its model calls measured."""
    telemetry.llm(under=telemetry.agent(), ttfb_ms=80.0)
    telemetry.llm(ttfb_ms=90.0)
    assert rows("SELECT ttfb_ms FROM runs") == [{"ttfb_ms": None}, {"ttfb_ms": None}]


def test_a_run_known_from_its_summary_line(telemetry: Telemetry, rows: Ask) -> None:
    """An agent that only logs has the same runs, with usage and cost of the line."""
    telemetry.log(
        "agent.run", run_id="r", thread_id="t", tenant_id="acme", agent_name="bot",
        at=NOON + ms(500), duration_ms=500.0, ttfb_ms=120.0, outcome="interrupt",
        outcome_reason="shutdown", provider="openai", request_model="gpt-4o",
        input_tokens=1_000_000, output_tokens=0, llm_calls=3, tool_calls=2, tool_errors=1,
    )  # fmt: skip
    (run,) = rows("SELECT * FROM runs")
    expected = {
        "run_id": "r", "started_at": NOON, "ended_at": NOON + ms(500), "ttfb_ms": 120.0,
        "outcome": "interrupt", "outcome_reason": "shutdown", "llm_calls": 3, "tool_calls": 2,
        "tool_errors": 1, "input_tokens": 1_000_000, "models": ["gpt-4o"], "feature": "bot",
        "usage_source": "summary", "source": "logs",
    }  # fmt: skip
    assert {key: run[key] for key in expected} == expected
    assert float(run["cost_usd"]) == 2.5
    assert rows("SELECT * FROM llm_calls") == []


def test_a_run_with_spans_and_a_summary_line_is_one(telemetry: Telemetry, rows: Ask) -> None:
    """The line of a run that left spans adds no run, and nothing to calls that spans tell of; it
    may know the TTFB, and what was used where no span says."""
    by_id = telemetry.agent(run_id="r1")
    telemetry.llm(under=by_id)
    by_trace = telemetry.agent()
    for line in ({"run_id": "r1"}, {"trace_id": by_trace["trace_id"]}):
        telemetry.log("agent.run", **line, ttfb_ms=77.0, input_tokens=5000, llm_calls=9)
    assert rows("SELECT ttfb_ms, llm_calls, input_tokens, source FROM runs ORDER BY llm_calls") == [
        {"ttfb_ms": 77.0, "llm_calls": 1, "input_tokens": 1000, "source": "spans"},
        {"ttfb_ms": 77.0, "llm_calls": 9, "input_tokens": 5000, "source": "spans"},
    ]
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 6000}]


def test_a_summary_line_that_came_twice_is_one_run(telemetry: Telemetry, rows: Ask) -> None:
    """The same line over OTLP and from a file, and a record delivered twice, are one run."""
    line = telemetry.log("agent.run", run_id="r", input_tokens=10)
    telemetry.logs.append(dict(line))
    telemetry.logs.append(dict(line, log_id="from the file"))
    assert rows("SELECT run_id, input_tokens FROM runs") == [{"run_id": "r", "input_tokens": 10}]
    assert rows("SELECT COUNT(*) AS n FROM logs") == [{"n": 2}]


def test_calls_of_a_run_whose_own_span_was_lost(telemetry: Telemetry, rows: Ask) -> None:
    """A summary line and the call spans of its trace are one run, counted by the calls."""
    call = telemetry.llm(under={"trace_id": "f" * 32, "span_id": "e" * 16})
    telemetry.log("agent.run", run_id="r", trace_id=call["trace_id"], input_tokens=1000)
    assert rows("SELECT run_id, llm_calls, input_tokens, source FROM runs") == [
        {"run_id": "r", "llm_calls": 1, "input_tokens": 1000, "source": "logs"}
    ]
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 1000}]


def test_a_window_shows_runs_whole(telemetry: Telemetry, opened: Opener) -> None:
    """Calls after the window's end still belong to the run that began in it."""
    agent = telemetry.agent(at=NOON, took=60_000)
    telemetry.llm(under=agent, at=NOON + ms(30_000))
    answer = opened().query(
        "SELECT llm_calls FROM runs WHERE started_at >= $since AND started_at < $until",
        since=NOON,
        until=NOON + ms(10_000),
    )
    assert answer.to_pylist() == [{"llm_calls": 1}]
