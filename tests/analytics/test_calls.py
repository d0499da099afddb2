"""The views `llm_calls`, `usage`, `tool_calls` and `nodes`: each call once, each token once."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]


def tokens(rows: Ask) -> int:
    (row,) = rows("SELECT CAST(SUM(input_tokens) AS BIGINT) AS tokens FROM usage")
    total: int = row["tokens"]
    return total


def test_a_wrapper_yields_to_the_call_inside(telemetry: Telemetry, rows: Ask) -> None:
    """A model span with a model span below that reports usage is not added to it."""
    outer = telemetry.llm(under=telemetry.agent(), input_tokens=1000)
    telemetry.llm(under=outer, input_tokens=900)
    assert rows("SELECT input_tokens FROM llm_calls") == [{"input_tokens": 900}]


def test_a_wrapper_yields_through_http_spans(telemetry: Telemetry, rows: Ask) -> None:
    """The gateway's span lies below the SDK's with HTTP client and server spans between."""
    sdk = telemetry.llm(under=telemetry.agent())
    server = telemetry.span(under=telemetry.span(under=sdk))
    gateway = telemetry.llm(under=server)
    assert rows("SELECT span_id FROM llm_calls") == [{"span_id": gateway["span_id"]}]


def test_a_wrapper_without_usage_inside_stands(telemetry: Telemetry, rows: Ask) -> None:
    """Where the inner spans report nothing, the outer usage is all there is."""
    outer = telemetry.llm(under=telemetry.agent(), input_tokens=1000)
    telemetry.llm(under=outer, input_tokens=None, output_tokens=None)
    assert tokens(rows) == 1000


def test_a_model_call_in_a_tool_is_no_wrapped_call(telemetry: Telemetry, rows: Ask) -> None:
    """A call made by a tool or agent that a model call started is work of its own."""
    outer = telemetry.llm(under=telemetry.agent(), input_tokens=1000)
    telemetry.llm(under=telemetry.tool(under=outer), input_tokens=10)
    assert tokens(rows) == 1010


def test_the_same_response_is_the_same_call(telemetry: Telemetry, rows: Ask) -> None:
    """SDK and gateway spans of one response count once, even in different traces."""
    telemetry.llm(response_id="resp-1", at=NOON + ms(5), tenant_id="gateway")
    telemetry.llm(response_id="resp-1", at=NOON, tenant_id="acme")
    assert rows("SELECT tenant_id FROM llm_calls") == [{"tenant_id": "acme"}]


def test_reused_response_ids_are_different_calls(telemetry: Telemetry, rows: Ask) -> None:
    """Some servers draw response ids from a small pool; other output is another call."""
    telemetry.llm(response_id="chatcmpl-123", output_tokens=5)
    telemetry.llm(response_id="chatcmpl-123", output_tokens=6)
    assert rows("SELECT COUNT(*) AS n FROM llm_calls") == [{"n": 2}]


def test_a_response_id_seen_again_later_is_another_call(telemetry: Telemetry, rows: Ask) -> None:
    """A small pool gives the same id again, with as many tokens, to somebody else."""
    for minutes in (0, 2, 4):
        at = NOON + timedelta(minutes=minutes)
        telemetry.llm(response_id="chatcmpl-123", at=at, tenant_id=f"t{minutes}")
    found = rows("SELECT tenant_id FROM llm_calls ORDER BY started_at")
    assert [row["tenant_id"] for row in found] == ["t0", "t2", "t4"]


def test_span_ids_are_unique_within_their_trace_only(telemetry: Telemetry, rows: Ask) -> None:
    """Two traces that number their spans alike keep their calls, tokens and costs apart."""
    for trace in ("1" * 32, "2" * 32):
        agent = telemetry.agent(trace=trace, span_id="a" * 16)
        telemetry.llm(under=agent, span_id="b" * 16)
    found = rows("SELECT llm_calls, input_tokens, cost_usd FROM runs")
    assert [(row["llm_calls"], row["input_tokens"]) for row in found] == [(1, 1000), (1, 1000)]
    assert all(row["cost_usd"] for row in found)


def test_failed_tries_without_usage_are_calls_each(telemetry: Telemetry, rows: Ask) -> None:
    """Every attempt is a row; the refused one cost nothing and is not unpriced."""
    agent = telemetry.agent()
    telemetry.llm(under=agent, attempt=1, input_tokens=None, output_tokens=None, outcome="error",
                  error_class="RateLimitError")  # fmt: skip
    telemetry.llm(under=agent, attempt=2)
    assert rows("SELECT llm_calls, unpriced_calls FROM runs") == [
        {"llm_calls": 2, "unpriced_calls": 0}
    ]


def test_a_broken_stream_without_usage_is_unpriced(telemetry: Telemetry, rows: Ask) -> None:
    """The vendor bills what it sent before the stream broke: the cost is unknown, not zero."""
    telemetry.llm(input_tokens=None, output_tokens=None, outcome="error", ttfb_ms=100.0)
    assert rows("SELECT cost_usd, unpriced_calls FROM runs") == [
        {"cost_usd": None, "unpriced_calls": 1}
    ]


def test_half_a_usage_has_no_cost(telemetry: Telemetry, rows: Ask) -> None:
    """Unknown is not zero: without its input or its output a call cannot be priced."""
    telemetry.llm(input_tokens=None)
    telemetry.llm(output_tokens=None)
    telemetry.llm(output_tokens=None, outcome="error")
    telemetry.llm(input_tokens=0, output_tokens=0)
    found = rows("SELECT input_tokens, cost_usd, unpriced FROM usage ORDER BY span_id")
    assert [(row["cost_usd"], row["unpriced"]) for row in found] == [
        (None, True), (None, True), (None, True), (0, False),
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["embeddings", "EMBEDDING", "ai.embed.doEmbed"])
def test_embeddings_have_no_output(operation: str, telemetry: Telemetry, rows: Ask) -> None:
    """A call for embeddings is priced by its input alone."""
    telemetry.llm(
        operation=operation, request_model="text-embedding-3-small",
        input_tokens=1_000_000, output_tokens=None,
    )  # fmt: skip
    (found,) = rows("SELECT cost_usd, unpriced FROM usage")
    assert (float(found["cost_usd"]), found["unpriced"]) == (0.02, False)


def test_half_a_usage_in_sum_has_no_cost(telemetry: Telemetry, rows: Ask) -> None:
    """A sum on an agent span or a summary line is priced only when both counts are known."""
    model = {"provider": "openai", "request_model": "gpt-4o"}
    telemetry.agent(output_tokens=5, **model)
    telemetry.log("agent.run", run_id="r", input_tokens=5, **model)
    found = rows("SELECT usage_source, cost_usd, unpriced FROM usage ORDER BY 1")
    assert [tuple(row.values()) for row in found] == [
        ("rollup", None, True), ("summary", None, True),
    ]  # fmt: skip


def test_usage_on_agent_spans_is_not_added(telemetry: Telemetry, rows: Ask) -> None:
    """Agent and node spans that repeat what their calls used add nothing."""
    agent = telemetry.agent(input_tokens=1500)
    node = telemetry.node(under=agent, input_tokens=1500)
    telemetry.llm(under=node, input_tokens=1000)
    telemetry.llm(under=telemetry.span(under=node), input_tokens=500)
    assert tokens(rows) == 1500
    assert rows("SELECT usage_source FROM runs") == [{"usage_source": "calls"}]


def test_calls_below_a_sum_are_not_unpriced(telemetry: Telemetry, opened: Opener) -> None:
    """What calls without usage cost is in the sum above them: priced, counted once, and judged."""
    model = {"provider": "openai", "request_model": "gpt-4o"}
    agent = telemetry.agent(run_id="r", input_tokens=1000, output_tokens=100, **model)
    for _ in range(2):
        telemetry.llm(under=telemetry.node(under=agent), input_tokens=None, output_tokens=None)
    analytics = opened()
    (run,) = analytics.query(
        "SELECT llm_calls, input_tokens, cost_usd, unpriced_calls, usage_source FROM runs"
    ).to_pylist()
    assert run == {
        "llm_calls": 2, "input_tokens": 1000, "cost_usd": Decimal("0.0035"), "unpriced_calls": 0,
        "usage_source": "rollup",
    }  # fmt: skip
    (spent,) = analytics.ask("cost/by", by="model").to_pylist()
    assert (spent["calls"], spent["cost_usd"], spent["unpriced_calls"]) == (
        1, Decimal("0.0035"), 0,
    )  # fmt: skip
    (judged,) = analytics.ask("slo/cost_per_request", limit_usd=1, target=0.95).to_pylist()
    assert (judged["good"], judged["missing"]) == (1, 0)


def test_a_sum_without_a_price_is_unpriced_once(telemetry: Telemetry, rows: Ask) -> None:
    """Where the sum itself cannot be priced its calls are unpriced as one; others as ever."""
    summed = telemetry.agent(input_tokens=1000, output_tokens=100)
    telemetry.llm(under=summed, input_tokens=None, output_tokens=None)
    telemetry.llm(under=telemetry.agent(), input_tokens=None, output_tokens=None)
    found = rows("SELECT usage_source, unpriced FROM usage ORDER BY 1")
    assert [tuple(row.values()) for row in found] == [("calls", True), ("rollup", True)]


def test_usage_on_agent_spans_alone_counts(telemetry: Telemetry, rows: Ask) -> None:
    """Where no call below reports any, the agent's usage is taken, of the deepest that has it."""
    outer = telemetry.agent(input_tokens=300, output_tokens=3, request_model="gpt-4o",
                            provider="openai")  # fmt: skip
    inner = telemetry.agent(under=telemetry.node(under=outer), input_tokens=200, output_tokens=2,
                            request_model="gpt-4o", provider="openai")  # fmt: skip
    telemetry.llm(under=inner, input_tokens=None, output_tokens=None)
    assert tokens(rows) == 200
    (run,) = rows("SELECT usage_source, llm_calls, input_tokens, cost_usd FROM runs")
    assert run["usage_source"] == "rollup"
    assert float(run["cost_usd"]) == pytest.approx(200 * 2.5e-6 + 2 * 10e-6, abs=1e-12)


def test_identity_is_inherited(telemetry: Telemetry, rows: Ask) -> None:
    """A call takes what it does not say itself from its run, then from any span of its trace."""
    http = telemetry.span(user_id="u")
    agent = telemetry.agent(under=http, tenant_id="acme", agent_name="bot", run_id="r")
    node = telemetry.node(under=agent, thread_id="t")
    telemetry.llm(under=node, node="plan")
    telemetry.tool(under=node, tenant_id="own")
    columns = "run_id, tenant_id, user_id, thread_id, agent_name"
    inherited = {"run_id": "r", "tenant_id": "acme", "user_id": "u", "thread_id": "t",
                 "agent_name": "bot"}  # fmt: skip
    assert rows(f"SELECT {columns}, feature FROM llm_calls") == [inherited | {"feature": "bot"}]
    assert rows(f"SELECT {columns} FROM tool_calls") == [inherited | {"tenant_id": "own"}]
    assert rows(f"SELECT {columns} FROM nodes") == [inherited]


def test_feature_is_the_agent_unless_set(telemetry: Telemetry, rows: Ask) -> None:
    """Spend is attributed to the feature named anywhere in the trace, else to the agent."""
    telemetry.llm(under=telemetry.agent(agent_name="bot", feature="checkout"))
    telemetry.llm(under=telemetry.agent(agent_name="bot"))
    found = rows("SELECT feature FROM llm_calls ORDER BY 1")
    assert [row["feature"] for row in found] == ["bot", "checkout"]


def test_absurd_counts_have_no_cost(telemetry: Telemetry, rows: Ask) -> None:
    """Counts that cannot be true are shown but cost nothing known, and spoil no other row."""
    telemetry.llm(input_tokens=2**53 - 1, response_id="a")
    telemetry.llm(input_tokens=-5, response_id="b")
    telemetry.llm(input_tokens=1, cache_read_tokens=2, response_id="c")
    telemetry.llm(input_tokens=1_000_000, output_tokens=0, response_id="d")
    found = rows("SELECT cost_usd FROM llm_calls ORDER BY response_id")
    assert [row["cost_usd"] for row in found][:3] == [None, None, None]
    assert float(found[3]["cost_usd"]) == 2.5
    (total,) = rows("SELECT SUM(unpriced_calls) AS unpriced FROM runs")
    assert total["unpriced"] == 3


def test_outcome_follows_the_status_where_none_was_given(telemetry: Telemetry, rows: Ask) -> None:
    """An error status is an error; anything else went well."""
    telemetry.tool(outcome=None, status="error", tool_name="a")
    telemetry.tool(outcome=None, tool_name="b")
    found = rows("SELECT outcome FROM tool_calls ORDER BY tool_name")
    assert [row["outcome"] for row in found] == ["error", "success"]


def test_node_lines_stand_in_for_node_spans(telemetry: Telemetry, rows: Ask) -> None:
    """A log line at a node boundary is a node unless its trace has node spans."""
    node = telemetry.node(under=telemetry.agent(), node="plan")
    telemetry.log("agent.node", trace_id=node["trace_id"], node="plan", duration_ms=5.0)
    telemetry.log("agent.node", trace_id="f" * 32, node="act", duration_ms=5.0, at=NOON + ms(5))
    assert rows("SELECT node, source, started_at FROM nodes ORDER BY node") == [
        {"node": "act", "source": "logs", "started_at": NOON},
        {"node": "plan", "source": "spans", "started_at": NOON},
    ]
