"""Runs and calls known from log lines: the same numbers as spans give, and never both added."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics import Analytics
from analytics.questions import questions
from lake import Lake
from tests.analytics.conftest import Opener
from tests.analytics.scenario import logged, recorded, requests
from tests.analytics.telemetry import NEXT_DAY, NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]
RUN: dict[str, Any] = {"run_id": "r", "tenant_id": "acme", "user_id": "u", "agent_name": "bot"}
CALL: dict[str, Any] = {"provider": "openai", "request_model": "gpt-4o", "outcome": "success"}
GIVEN: dict[str, dict[str, Any]] = {
    "slo/ttfb": {"threshold_ms": 900, "target": 0.9},
    "slo/stream_success": {"target": 0.9},
    "slo/tool_errors": {"target": 0.9},
    "slo/cost_per_request": {"limit_usd": 0.2, "target": 0.9},
    "cost/by": {"by": "tenant,user,agent,feature,provider,model,day"},
    "tools/error_rate": {"by": "tool,tenant,agent"},
    "alerts/ttfb_p95": {},
}


def answers(telemetry: Telemetry, path: Path) -> dict[str, Any]:
    """What every shipped question of a figure answers, and every run."""
    runs = "SELECT * EXCLUDE (trace_id, source, started_at, ended_at) FROM runs ORDER BY run_id"
    with Analytics(telemetry.lake(path), threads=1) as analytics:
        told: dict[str, Any] = {
            name: analytics.ask(name, **given).to_pylist() for name, given in GIVEN.items()
        }
        return told | {"runs": analytics.query(runs).to_pylist()}


def starts(path: Path) -> dict[str, datetime]:
    """When each run began."""
    with Analytics(Lake(path), threads=1) as analytics:
        rows = analytics.query("SELECT run_id, started_at FROM runs").to_pylist()
    return {row["run_id"]: row["started_at"] for row in rows}


def test_lines_alone_answer_as_spans_do(tmp_path: Path) -> None:
    """Every SLO, cost and run of a random day is equal from spans, from lines, and from both.

    A line has its end and duration: the start is worked out, exact to the microsecond.
    """
    assert set(GIVEN) <= set(questions())
    happened = requests(seed=7)
    spans, lines = recorded(happened), logged(happened)
    from_spans = answers(spans, tmp_path / "spans")
    from_lines = answers(lines, tmp_path / "lines")
    from_both = answers(Telemetry(spans=spans.spans, logs=lines.logs), tmp_path / "both")
    for name, told in from_spans.items():
        assert told, name
        assert from_lines[name] == told, name
        assert from_both[name] == told, name
    began = starts(tmp_path / "spans")
    assert starts(tmp_path / "both") == began
    for run, start in starts(tmp_path / "lines").items():
        assert abs(start - began[run]) <= timedelta(microseconds=2)


def test_the_lines_of_calls_stand_for_the_run(telemetry: Telemetry, rows: Ask) -> None:
    """Usage comes from the calls, by their own models; what the summary adds up is not added."""
    telemetry.log("agent.cost", at=NOON + ms(200), duration_ms=150.0, ttfb_ms=30.0,
                  response_model="gpt-4o", response_id="a", node="plan", input_tokens=1_000_000,
                  cache_read_tokens=400, output_tokens=0, reasoning_tokens=0, attempt=1,
                  **RUN | CALL)  # fmt: skip
    telemetry.log("agent.cost", at=NOON + ms(300), response_id="b", input_tokens=1_000_000,
                  output_tokens=0, **RUN | CALL | {"request_model": "gpt-4o-mini"})  # fmt: skip
    telemetry.log("agent.run", at=NOON + ms(400), duration_ms=400.0, outcome="success",
                  input_tokens=2_000_000, output_tokens=0, llm_calls=2, tool_calls=0,
                  request_model="gpt-4o-mini", provider="openai", **RUN)  # fmt: skip
    (run,) = rows("SELECT models, llm_calls, input_tokens, usage_source, source FROM runs")
    assert run == {
        "models": ["gpt-4o", "gpt-4o-mini"], "llm_calls": 2, "input_tokens": 2_000_000,
        "usage_source": "calls", "source": "logs",
    }  # fmt: skip
    assert rows("SELECT SUM(input_tokens) AS n, COUNT(*) AS calls FROM usage") == [
        {"n": 2_000_000, "calls": 2}
    ]
    (first, _) = rows("SELECT * FROM llm_calls ORDER BY started_at")
    expected = RUN | {
        "started_at": NOON + ms(50), "duration_ms": 150.0, "ttfb_ms": 30.0, "node": "plan",
        "cache_read_tokens": 400, "attempt": 1, "feature": "bot", "response_id": "a",
    }  # fmt: skip
    assert {key: first[key] for key in expected} == expected
    assert 2.49 < float(first["cost_usd"]) < 2.5


def test_a_line_of_a_call_with_a_span_is_that_call(telemetry: Telemetry, rows: Ask) -> None:
    """Known by trace and span, or by the response, whichever the line names."""
    agent = telemetry.agent(run_id="r")
    by_span = telemetry.llm(under=agent, input_tokens=10)
    telemetry.llm(under=agent, response_id="resp", input_tokens=20)
    tool = telemetry.tool(under=agent)
    telemetry.log("agent.cost", trace_id=by_span["trace_id"], span_id=by_span["span_id"],
                  input_tokens=10, output_tokens=100, **RUN | CALL)  # fmt: skip
    telemetry.log("gateway.call", span_class="llm", response_id="resp", input_tokens=20,
                  output_tokens=100, **CALL)  # fmt: skip
    telemetry.log("agent.tool", trace_id=tool["trace_id"], span_id=tool["span_id"],
                  tool_name="search", outcome="success", **RUN)  # fmt: skip
    assert rows("SELECT llm_calls, tool_calls, input_tokens, source FROM runs") == [
        {"llm_calls": 2, "tool_calls": 1, "input_tokens": 30, "source": "spans"}
    ]
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 30}]


def test_a_line_tells_of_a_call_whose_span_was_lost(telemetry: Telemetry, rows: Ask) -> None:
    """The line names a span of the run's trace that never came: the call belongs to that run."""
    agent = telemetry.agent(run_id="r", tenant_id="acme")
    telemetry.llm(under=agent, input_tokens=10)
    telemetry.tool(under=agent)
    for event in ("agent.cost", "agent.tool"):
        telemetry.log(event, trace_id=agent["trace_id"], span_id="f" * 16, input_tokens=5,
                      output_tokens=1, tool_name="other", **CALL)  # fmt: skip
    assert rows("SELECT llm_calls, tool_calls, input_tokens FROM runs") == [
        {"llm_calls": 2, "tool_calls": 2, "input_tokens": 15}
    ]
    assert rows("SELECT DISTINCT run_id, tenant_id FROM llm_calls") == [
        {"run_id": "r", "tenant_id": "acme"}
    ]


@pytest.mark.parametrize("traced", [True, False])
def test_a_line_written_within_a_node(traced: bool, telemetry: Telemetry, rows: Ask) -> None:
    """An application's own cost line names the node's span or none: it counts where nothing else
    reports model calls of the run."""
    for number, calls in enumerate((0, 1)):
        node = telemetry.node(under=telemetry.agent(run_id=f"r{number}"))
        for _ in range(calls):
            telemetry.llm(under=node, input_tokens=10)
        where = {key: node[key] for key in ("trace_id", "span_id")} if traced else {}
        telemetry.log("agent.cost", run_id=f"r{number}", input_tokens=7, output_tokens=1,
                      **where, **CALL)  # fmt: skip
    assert rows("SELECT run_id, llm_calls, input_tokens FROM runs ORDER BY run_id") == [
        {"run_id": "r0", "llm_calls": 1, "input_tokens": 7},
        {"run_id": "r1", "llm_calls": 1, "input_tokens": 10},
    ]


def test_nothing_is_added_to_a_sum_that_counts(telemetry: Telemetry, rows: Ask) -> None:
    """Where the usage on an agent's span is all that spans report, lines of calls add nothing."""
    agent = telemetry.agent(run_id="r", input_tokens=30, output_tokens=3, request_model="gpt-4o")
    telemetry.log("agent.cost", trace_id=agent["trace_id"], span_id="f" * 16, input_tokens=30,
                  output_tokens=3, **CALL)  # fmt: skip
    assert rows("SELECT usage_source, SUM(input_tokens) AS n FROM usage GROUP BY 1") == [
        {"usage_source": "rollup", "n": 30}
    ]


def test_a_summary_counts_where_calls_tell_no_usage(telemetry: Telemetry, rows: Ask) -> None:
    """A line that only names a failed call leaves the tokens to the summary."""
    telemetry.log("agent.cost", **RUN | CALL | {"outcome": "error"})
    telemetry.log("agent.run", input_tokens=9, output_tokens=1, llm_calls=2, **RUN)
    assert rows("SELECT input_tokens, usage_source FROM runs") == [
        {"input_tokens": 9, "usage_source": "summary"}
    ]


def test_a_run_without_an_answer_used_nothing(telemetry: Telemetry, rows: Ask) -> None:
    """Its summary adds up to zero: that is no usage, and no cost of 0, as with spans."""
    telemetry.log("agent.cost", **RUN | CALL | {"outcome": "error"})
    telemetry.log("agent.run", llm_calls=1, input_tokens=0, output_tokens=0, **RUN)
    assert rows("SELECT llm_calls, input_tokens, cost_usd, unpriced_calls FROM runs") == [
        {"llm_calls": 1, "input_tokens": None, "cost_usd": None, "unpriced_calls": 0}
    ]


def test_calls_of_unknown_usage_are_unpriced_once(telemetry: Telemetry, rows: Ask) -> None:
    """The summary, which does not know either, adds no call."""
    telemetry.log("agent.cost", **RUN | CALL)
    telemetry.log("agent.run", llm_calls=1, **RUN)
    assert rows("SELECT llm_calls, unpriced_calls FROM runs") == [
        {"llm_calls": 1, "unpriced_calls": 1}
    ]


def test_a_line_that_came_twice_is_one_call(telemetry: Telemetry, rows: Ask) -> None:
    """Over OTLP and from a file, or delivered again; two calls alike at another time are two."""
    line = telemetry.log("agent.cost", input_tokens=5, output_tokens=1, **RUN | CALL)
    telemetry.logs.append(dict(line))
    telemetry.logs.append(dict(line, log_id="from the file", received_at=NEXT_DAY))
    telemetry.log("agent.cost", at=NOON + ms(1), input_tokens=5, output_tokens=1, **RUN | CALL)
    for again in (0, 2000):
        telemetry.log("agent.cost", at=NOON + ms(again), response_id="same", input_tokens=5,
                      output_tokens=1, **RUN | CALL)  # fmt: skip
    assert rows("SELECT COUNT(*) AS n FROM llm_calls") == [{"n": 3}]


def test_lines_of_untraced_calls_without_ids_are_calls_each(
    telemetry: Telemetry, rows: Ask
) -> None:
    """Nothing says that two lines of the same moment are one call."""
    for _ in range(2):
        telemetry.log("agent.cost", thread_id="t", input_tokens=5, output_tokens=1, **CALL)
    assert rows("SELECT COUNT(*) AS n FROM llm_calls") == [{"n": 2}]


THREAD: dict[str, Any] = {"thread_id": "t", "tenant_id": "acme", "agent_name": "bot"}


def turn(telemetry: Telemetry, at: float, *calls: float, **summary: Any) -> None:
    """A run of which the thread alone is named: calls, and a summary at its end (ms)."""
    for when in calls:
        telemetry.log("agent.cost", at=NOON + ms(when), input_tokens=10, output_tokens=1,
                      **CALL | THREAD | summary | {"duration_ms": None})  # fmt: skip
    telemetry.log("agent.run", at=NOON + ms(at), llm_calls=len(calls),
                  input_tokens=10 * len(calls), output_tokens=len(calls),
                  **CALL | THREAD | summary)  # fmt: skip


def test_lines_that_name_only_their_thread(telemetry: Telemetry, rows: Ask) -> None:
    """What a thread said between two summaries is of the run that the later one ends: its calls
    are counted, its sum is not added to them; what came after the last is of no run yet."""
    turn(telemetry, 100, 10, 20)
    turn(telemetry, 300, 210, 300)
    telemetry.log("agent.tool", at=NOON + ms(250), tool_name="search", outcome="error", **THREAD)
    telemetry.log("agent.cost", at=NOON + ms(400), input_tokens=5, output_tokens=1, **CALL | THREAD)
    assert rows(
        "SELECT thread_id, llm_calls, tool_calls, tool_errors, input_tokens, usage_source"
        " FROM runs ORDER BY started_at"
    ) == [
        {"thread_id": "t", "llm_calls": 2, "tool_calls": 0, "tool_errors": 0,
         "input_tokens": 20, "usage_source": "calls"},
        {"thread_id": "t", "llm_calls": 2, "tool_calls": 1, "tool_errors": 1,
         "input_tokens": 20, "usage_source": "calls"},
    ]  # fmt: skip
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 45}]


def test_a_thread_whose_run_was_killed(telemetry: Telemetry, rows: Ask) -> None:
    """Calls before the run began that the next summary ends are not that run's."""
    telemetry.log("agent.cost", at=NOON + ms(5), input_tokens=7, output_tokens=1, **CALL | THREAD)
    turn(telemetry, 1000, 950, duration_ms=100.0)
    assert rows("SELECT llm_calls, input_tokens FROM runs") == [
        {"llm_calls": 1, "input_tokens": 10}
    ]
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 17}]


def test_threads_of_the_same_name_of_two_tenants(telemetry: Telemetry, rows: Ask) -> None:
    """Are two threads. A line that names no tenant is the thread's if that has one only."""
    turn(telemetry, 100, 10, tenant_id="globex")
    turn(telemetry, 200, 50)
    other = {"thread_id": "u", "agent_name": "bot"}
    telemetry.log("agent.cost", at=NOON, input_tokens=3, output_tokens=1, **CALL | other)
    telemetry.log("agent.run", at=NOON + ms(9), tenant_id="acme", input_tokens=3, output_tokens=1,
                  llm_calls=1, **CALL | other)  # fmt: skip
    assert rows("SELECT tenant_id, thread_id, input_tokens FROM runs ORDER BY 1, 2") == [
        {"tenant_id": "acme", "thread_id": "t", "input_tokens": 10},
        {"tenant_id": "acme", "thread_id": "u", "input_tokens": 3},
        {"tenant_id": "globex", "thread_id": "t", "input_tokens": 10},
    ]


def test_a_summary_of_a_thread_that_came_twice(telemetry: Telemetry, rows: Ask) -> None:
    """Over OTLP and from a file it is one run still."""
    turn(telemetry, 100, 10)
    telemetry.logs.append(dict(telemetry.logs[-1], log_id="from the file"))
    assert rows("SELECT llm_calls, input_tokens FROM runs") == [
        {"llm_calls": 1, "input_tokens": 10}
    ]


def test_lines_of_a_thread_and_spans_of_its_runs(telemetry: Telemetry, rows: Ask) -> None:
    """The run of the thread that was on when the line was written is meant: it is one run."""
    for at in (0, 5000):
        agent = telemetry.agent(at=NOON + ms(at), took=100, **THREAD)
        telemetry.llm(under=agent, at=NOON + ms(at + 10), input_tokens=10, output_tokens=1)
        turn(telemetry, at + 101, at + 20)
    assert (
        rows("SELECT source, llm_calls, input_tokens FROM runs")
        == [{"source": "spans", "llm_calls": 1, "input_tokens": 10}] * 2
    )
    assert rows("SELECT SUM(input_tokens) AS n FROM usage") == [{"n": 20}]


@pytest.mark.parametrize("event", ["agent.run", "agent.cost"])
def test_a_named_root_is_the_run_of_its_lines(event: str, telemetry: Telemetry, rows: Ask) -> None:
    """An application's own span that names the run, without being called an agent, is that run."""
    root = telemetry.span(run_id="r")
    telemetry.llm(under=root, input_tokens=10, output_tokens=1)
    telemetry.log(event, input_tokens=10, output_tokens=1, **RUN | CALL)
    assert rows("SELECT run_id, source, input_tokens FROM runs") == [
        {"run_id": "r", "source": "spans", "input_tokens": 10}
    ]


def test_a_run_without_its_summary_is_not_over(telemetry: Telemetry, rows: Ask) -> None:
    """Where an agent writes summaries, calls of a run that has none count, but make no run."""
    telemetry.log("agent.run", **RUN | {"run_id": "done"})
    telemetry.log("agent.cost", input_tokens=5, output_tokens=1, **RUN | CALL)
    assert rows("SELECT run_id FROM runs") == [{"run_id": "done"}]
    assert rows("SELECT run_id, tenant_id, input_tokens FROM usage") == [
        {"run_id": "r", "tenant_id": "acme", "input_tokens": 5}
    ]


def test_a_trace_waits_for_its_root(telemetry: Telemetry, rows: Ask) -> None:
    """Spans of the trace have come, so its run will: its lines do not make one before."""
    node = telemetry.node(under={"trace_id": "f" * 32, "span_id": "e" * 16})
    telemetry.log("agent.cost", trace_id=node["trace_id"], input_tokens=5, output_tokens=1, **CALL)
    assert rows("SELECT * FROM runs") == []
    assert rows("SELECT input_tokens FROM usage") == [{"input_tokens": 5}]


def test_a_tool_error_that_was_made_good(telemetry: Telemetry, rows: Ask) -> None:
    """With a line per tool call it is known which came last. A summary alone does not say whether
    an error was made good: it surfaced; one that counts no errors is not judged."""
    for run_id, outcomes in {"good": ("error", "success"), "bad": ("success", "error")}.items():
        for index, outcome in enumerate(outcomes):
            telemetry.log("agent.tool", at=NOON + ms(index), tool_name="search", outcome=outcome,
                          run_id=run_id)  # fmt: skip
        telemetry.log("agent.run", run_id=run_id, tool_calls=2, tool_errors=1)
    telemetry.log("agent.run", run_id="in sum", tool_calls=3, tool_errors=1)
    telemetry.log("agent.run", run_id="in sum, clean", tool_calls=2, tool_errors=0)
    telemetry.log("agent.run", run_id="who knows", tool_calls=2)
    telemetry.log("agent.run", run_id="none", tool_calls=0, tool_errors=0)
    assert rows("SELECT run_id, verdict FROM run_tools ORDER BY run_id") == [
        {"run_id": "bad", "verdict": "bad"},
        {"run_id": "good", "verdict": "good"},
        {"run_id": "in sum", "verdict": "bad"},
        {"run_id": "in sum, clean", "verdict": "good"},
        {"run_id": "who knows", "verdict": "missing"},
    ]
    assert rows("SELECT SUM(tool_calls) AS n, SUM(tool_errors) AS bad FROM runs") == [
        {"n": 11, "bad": 3}
    ]


def test_tools_that_only_summaries_count(telemetry: Telemetry, opened: Opener) -> None:
    """They are in SLO, tools and totals; where a line tells of a call, the sum is not added."""
    for number in range(10):
        told = {"run_id": f"r{number}", "tenant_id": "acme", "agent_name": "bot"}
        if number < 4:
            telemetry.log("agent.tool", tool_name="search", outcome="success", **told)
        telemetry.log("agent.run", tool_calls=1, tool_errors=int(number in {3, 9}), **told)
    analytics = opened()
    (slo,) = analytics.ask("slo/tool_errors", target=0.98).to_pylist()
    assert (slo["good"], slo["total"], slo["missing"], slo["value"]) == (9, 10, 0, 0.1)
    tools = analytics.ask("tools/error_rate", by="tool,tenant,agent").to_pylist()
    told = {"tenant_id": "acme", "agent_name": "bot", "error_class": None}
    assert tools == [
        {"tool_name": None, "calls": 6, "errors": 1, "error_rate": 1 / 6, "runs": 6,
         "surfaced": 1, "surfaced_rate": 1 / 6, **told},
        {"tool_name": "search", "calls": 4, "errors": 0, "error_rate": 0.0, "runs": 4,
         "surfaced": 0, "surfaced_rate": 0.0, **told},
    ]  # fmt: skip
    (both,) = analytics.ask("tools/error_rate", by="agent").to_pylist()
    assert (both["calls"], both["errors"], both["runs"], both["surfaced"]) == (10, 1, 10, 1)
    (totals,) = analytics.ask("dashboard/totals").to_pylist()
    assert totals["tool_calls"] == 10


def test_lines_that_name_a_run_otherwise_than_its_spans(telemetry: Telemetry, rows: Ask) -> None:
    """Claude Code's events name the prompt, its spans only the session: it is one run, not two."""
    for prompt, start in (("p1", 0), ("p2", 10_000)):
        agent = telemetry.agent(at=NOON + ms(start), took=5000, **THREAD)
        telemetry.llm(under=agent, at=NOON + ms(start + 10), input_tokens=10, response_id=prompt)
        said = {"run_id": f"prompt-{prompt}", **THREAD}
        telemetry.log("agent.cost", at=NOON + ms(start + 900), input_tokens=10, response_id=prompt,
                      **CALL | said)  # fmt: skip
        for after, outcome in ((1200, "error"), (7000, "success")):  # the second when all was over
            telemetry.log("agent.tool", at=NOON + ms(start + after), tool_name="Bash",
                          **said | {"outcome": outcome})  # fmt: skip
    telemetry.log(
        "agent.tool", at=NOON + ms(30_000), run_id="prompt-p3", outcome="success", **THREAD
    )
    asked = "SELECT llm_calls, tool_calls, tool_errors, input_tokens, source FROM runs"
    assert [tuple(row.values()) for row in rows(f"{asked} ORDER BY started_at")] == [
        (1, 2, 1, 10, "spans"), (1, 2, 1, 10, "spans"), (0, 1, 0, None, "logs"),
    ]  # fmt: skip


def test_lines_of_a_run_that_other_spans_name(telemetry: Telemetry, rows: Ask) -> None:
    """Are of that run, whatever else the thread was doing."""
    telemetry.agent(took=5000, **THREAD)
    named = telemetry.agent(at=NOON + ms(10_000), run_id="r", **THREAD)
    telemetry.log("agent.tool", at=NOON + ms(100), run_id="r", outcome="success", **THREAD)
    assert named["run_id"] == "r"
    assert rows("SELECT run_id, tool_calls FROM runs WHERE tool_calls > 0") == [
        {"run_id": "r", "tool_calls": 1}
    ]
