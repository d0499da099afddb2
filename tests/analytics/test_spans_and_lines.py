"""Runs that spans and lines tell of: lines fill in what spans leave out, nothing counts twice."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]
CALL: dict[str, Any] = {"provider": "openai", "request_model": "gpt-4o"}
USED = CALL | {"input_tokens": 10, "output_tokens": 5}
UNTOLD: dict[str, Any] = {"input_tokens": None, "output_tokens": None}
WHOSE: dict[str, Any] = {"tenant_id": "acme", "user_id": "u", "thread_id": "t"}
SPENT = "SELECT SUM(input_tokens) AS n, COUNT(*) FILTER (WHERE unpriced) AS unpriced FROM usage"


@pytest.mark.parametrize("calls", [0, 2])
@pytest.mark.parametrize("named_by", ["run", "trace", "line alone"])
def test_a_summary_counts_where_no_span_tells_usage(
    calls: int, named_by: str, telemetry: Telemetry, rows: Ask
) -> None:
    """Its sum is that of the calls: they are priced in it, and not unknown beside it."""
    agent = telemetry.agent(run_id="r" if named_by == "run" else None)
    for _ in range(calls):
        telemetry.llm(under=agent, **UNTOLD)
    name = {
        "run": {"run_id": "r"},
        "trace": {"trace_id": agent["trace_id"]},
        "line alone": {"run_id": "r", "trace_id": agent["trace_id"]},
    }[named_by]
    telemetry.log("agent.run", llm_calls=2, **name, **USED)
    (run,) = rows("SELECT * EXCLUDE (cost_usd), cost_usd > 0 AS priced FROM runs")
    expected = {"source": "spans", "input_tokens": 10, "output_tokens": 5, "llm_calls": 2,
                "usage_source": "summary", "priced": True, "unpriced_calls": 0}  # fmt: skip
    assert {key: run[key] for key in expected} == expected
    assert rows(SPENT) == [{"n": 10, "unpriced": 0}]


@pytest.mark.parametrize("where", ["call", "agent", "line of a call"])
def test_a_summary_is_not_added_to_usage_that_is_told(
    where: str, telemetry: Telemetry, rows: Ask
) -> None:
    """By one of the calls, by the agent's span, or by the line of a call without a span."""
    agent = telemetry.agent(run_id="r", **(USED if where == "agent" else {}))
    if where == "call":
        telemetry.llm(under=agent, **USED)
        telemetry.llm(under=agent, **UNTOLD)
    if where == "line of a call":
        telemetry.log("agent.cost", run_id="r", **USED)
    telemetry.log("agent.run", run_id="r", llm_calls=2, **USED | {"input_tokens": 1000})
    assert [row["n"] for row in rows(SPENT)] == [10]
    assert rows("SELECT input_tokens FROM runs") == [{"input_tokens": 10}]


@pytest.mark.parametrize("told", [True, False])
def test_one_summary_of_a_run_in_two_traces(told: bool, telemetry: Telemetry, rows: Ask) -> None:
    """Counts once, and not at all where one of them tells usage."""
    telemetry.agent(run_id="r")
    telemetry.agent(run_id="r", at=NOON + ms(50), **(USED if told else {}))
    telemetry.log("agent.run", run_id="r", llm_calls=2, **USED)
    assert [row["n"] for row in rows(SPENT)] == [10]


def test_calls_of_unknown_usage_are_unpriced_each(telemetry: Telemetry, rows: Ask) -> None:
    """A summary that does not know either adds no call; one that alone knows of calls is one."""
    telemetry.llm(under=telemetry.agent(run_id="r"), **UNTOLD)
    telemetry.agent(run_id="alone")
    for run in ("r", "alone"):
        telemetry.log("agent.run", run_id=run, llm_calls=1, outcome="success", **CALL)
    assert rows("SELECT run_id, llm_calls, unpriced_calls FROM runs ORDER BY 1") == [
        {"run_id": "alone", "llm_calls": 1, "unpriced_calls": 1},
        {"run_id": "r", "llm_calls": 1, "unpriced_calls": 1},
    ]


def test_a_line_tells_what_its_silent_span_used(telemetry: Telemetry, rows: Ask) -> None:
    """Once, however often it came; a span that says it itself is believed."""
    agent = telemetry.agent(run_id="r")
    for usage in (UNTOLD, {"input_tokens": 7, "output_tokens": 1}):
        call = telemetry.llm(under=agent, **usage)
        for _ in range(2):
            telemetry.log("agent.cost", trace_id=call["trace_id"], span_id=call["span_id"], **USED)
    telemetry.log("agent.run", run_id="r", llm_calls=2, input_tokens=1000, output_tokens=9)
    assert rows("SELECT llm_calls, input_tokens, output_tokens, usage_source FROM runs") == [
        {"llm_calls": 2, "input_tokens": 17, "output_tokens": 6, "usage_source": "calls"}
    ]
    assert rows(SPENT) == [{"n": 17, "unpriced": 0}]


@pytest.mark.parametrize("named", ["nothing", "the provider"])
def test_a_line_names_the_model_that_its_silent_span_does_not(
    named: str, telemetry: Telemetry, rows: Ask
) -> None:
    """What it used can be priced, whichever of provider and model only one of them names."""
    provider = "openai" if named == "the provider" else None
    call = telemetry.llm(under=telemetry.agent(), **UNTOLD, request_model=None, provider=provider)
    line = USED | ({"provider": None} if provider else {})
    telemetry.log("agent.cost", trace_id=call["trace_id"], span_id=call["span_id"], **line)
    found = rows("SELECT provider, request_model, cost_usd > 0 AS priced FROM llm_calls")
    assert found == [{"provider": "openai", "request_model": "gpt-4o", "priced": True}]
    assert rows("SELECT models FROM runs") == [{"models": ["gpt-4o"]}]


@pytest.mark.parametrize("elsewhere", ["in a sum", "by another span"])
def test_a_line_of_a_silent_span_whose_usage_is_told(
    elsewhere: str, telemetry: Telemetry, rows: Ask
) -> None:
    """On the agent's span, or by the gateway that has the same response: the line adds nothing."""
    agent = telemetry.agent(run_id="r", **(USED if elsewhere == "in a sum" else {}))
    call = telemetry.llm(under=agent, **UNTOLD)
    if elsewhere == "by another span":
        telemetry.llm(under=telemetry.span(), response_id="response-of-the-call", **USED)
    telemetry.log("agent.cost", trace_id=call["trace_id"], span_id=call["span_id"],
                  response_id="response-of-the-call", **USED)  # fmt: skip
    assert [row["n"] for row in rows(SPENT)] == [10]


def test_whose_a_run_is_by_its_summary(telemetry: Telemetry, opened: Opener) -> None:
    """Its calls, tools and nodes are theirs as well; a name that a span gives stands."""
    for run, said in (("by line", {}), ("by span", {"tenant_id": "globex"})):
        agent = telemetry.agent(run_id=run, **said)
        telemetry.llm(under=agent)
        telemetry.tool(under=agent)
        telemetry.node(under=agent)
        telemetry.log("agent.run", run_id=run, agent_name="bot", **WHOSE)
    analytics = opened()
    for view in ("runs", "usage", "tool_calls", "nodes"):
        asked = f"SELECT run_id, tenant_id, user_id, thread_id, agent_name FROM {view} ORDER BY 1"
        assert analytics.query(asked).to_pylist() == [
            {"run_id": "by line", "agent_name": "bot", **WHOSE},
            {"run_id": "by span", "agent_name": "bot", **WHOSE | {"tenant_id": "globex"}},
        ], view


@pytest.mark.parametrize(
    ("span", "ended"),
    [
        ({}, ("interrupt", "client_disconnect")),
        ({"status": "ok"}, ("success", None)),
        ({"outcome": "success"}, ("interrupt", "client_disconnect")),
        ({"outcome": "success", "status": "ok"}, ("success", None)),
        ({"outcome": "interrupt"}, ("interrupt", "client_disconnect")),
        ({"outcome": "interrupt", "outcome_reason": "human"}, ("interrupt", "human")),
        ({"status": "error"}, ("error", None)),
    ],
)
def test_outcome_and_reason_come_from_one_side(
    span: dict[str, Any], ended: tuple[str, str | None], telemetry: Telemetry, opened: Opener
) -> None:
    """The line's where no span tells the end; its reason alone only beside its outcome."""
    root = telemetry.span(run_id="r", **span)
    telemetry.llm(under=root)
    telemetry.log("agent.run", run_id="r", outcome="interrupt", outcome_reason="client_disconnect")
    analytics = opened()
    (run,) = analytics.query("SELECT outcome, outcome_reason FROM runs").to_pylist()
    assert (run["outcome"], run["outcome_reason"]) == ended
    window = {"since": NOON - ms(1), "until": NOON + ms(3_600_000)}
    drift = analytics.ask("drift/disagreeing", tolerance_ms=1000, **window).to_pylist()
    disagree = span.get("outcome") != "interrupt"
    assert any("outcome" in row["reason"] for row in drift) == disagree


def test_an_agent_below_that_names_another_run(telemetry: Telemetry, rows: Ask) -> None:
    """What it used is in the trace's run, whose summary is not added."""
    agent = telemetry.agent(run_id="r", at=NOON + ms(1))
    below = telemetry.agent(under=agent, run_id="below")
    telemetry.llm(under=below, **USED)
    telemetry.log("agent.run", run_id="r", llm_calls=1, **USED)
    assert [row["n"] for row in rows(SPENT)] == [10]
