"""The JSON lines that a run leaves: one per node and call, and its summary."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import END, Context, Graph, Model, Runtime, State, pseudonym, serve
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import graph_of, model_at, support
from .conftest import Telemetry, ask, listening

WEATHER = ToolCall(name="get_weather", arguments={"city": "Oslo"})


def test_a_line_per_node_and_call_and_one_per_run(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Lines are JSON, name node and span, and end with the summary."""
    vendor.follow(Rule(tool_calls=(WEATHER,)))
    with listening(serve(support(vendor))) as url:
        run_id = ask(url, "How is it in Oslo?").end["run_id"]
    lines = telemetry.lines()
    assert [(line["event"], line.get("node")) for line in lines] == [
        ("agent.cost", "agent"),
        ("agent.node", "agent"),
        ("agent.tool", "tools"),
        ("agent.node", "tools"),
        ("agent.cost", "agent"),
        ("agent.node", "agent"),
        ("agent.run", "agent"),
    ]
    spans = {f"{span.context.span_id:016x}": span for span in telemetry.spans()}
    for line in lines:
        span = spans[line["span_id"]]
        assert line["trace_id"] == f"{span.context.trace_id:032x}"
        assert line["level"] == "info"
        assert line["outcome"] == "success"
        assert (line["thread_id"], line["tenant_id"], line["user_id"], line["run_id"]) == (
            "t1", "acme", "ada", run_id,
        )  # fmt: skip
        assert (line["agent_name"], line["feature"]) == ("support", "help")
        measured = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
        assert line["duration_ms"] == pytest.approx(measured, abs=20)


def test_the_summary_adds_up_to_the_vendors_book(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Tokens of all summaries equal what the vendor billed, by tenant and altogether."""
    vendor.follow(Rule(tool_calls=(WEATHER,), cached_share=0.3, reasoning_tokens=5))
    with listening(serve(support(vendor))) as url:
        for number in range(6):
            tenant = ("acme", "globex")[number % 2]
            ask(url, "weather? " * number + "now", thread=f"t{number}", **{"X-Tenant-Id": tenant})
    lines, calls = telemetry.lines("agent.run"), vendor.calls()
    kinds = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    tenants = {pseudonym(tenant, "ada"): tenant for tenant in ("acme", "globex")}
    for kind in kinds:
        ours: Counter[str] = Counter()
        book: Counter[str] = Counter()
        for line in lines:
            ours[line["tenant_id"]] += line[kind]
        for call in calls:
            book[tenants[call.user]] += getattr(call, kind)
        assert ours == book
        assert ours.total() > 0
    assert sum(line["llm_calls"] for line in lines) == len(calls) == 12
    assert sum(line["tool_calls"] for line in lines) == 6
    assert {(line["model"], line["provider"], line["usage_source"]) for line in lines} == {
        ("gpt-4o-mini", "openai", "provider")
    }


def test_the_line_of_a_model_call_says_what_it_cost(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """What its span says of model, usage and first token its line says too, under short names."""
    vendor.follow(Rule(cached_share=0.5, reasoning_tokens=3))
    with listening(serve(support(vendor))) as url:
        ask(url, "How is it in Oslo?")
    [line] = telemetry.lines("agent.cost")
    span = telemetry.span("chat ").attributes or {}
    first_chunk_s = span["gen_ai.response.time_to_first_chunk"]
    assert isinstance(first_chunk_s, float)
    assert line["ttfb_ms"] == first_chunk_s * 1000
    assert {key: line[key] for key in line.keys() - {"timestamp", "duration_ms", "ttfb_ms"}} == {
        "event": "agent.cost", "level": "info", "schema_version": 1,
        "trace_id": f"{telemetry.span('chat ').context.trace_id:032x}",
        "span_id": f"{telemetry.span('chat ').context.span_id:016x}",
        "run_id": span["agent.run.id"], "thread_id": "t1", "tenant_id": "acme", "user_id": "ada",
        "agent_name": "support", "feature": "help", "node": "agent",
        "outcome": "success", "outcome_reason": None, "error_class": None, "error_cause": None,
        "error_message": None,
        "provider": span["gen_ai.provider.name"], "model": span["gen_ai.request.model"],
        "response_model": span["gen_ai.response.model"],
        "response_id": span["gen_ai.response.id"], "finish_reason": "stop", "attempt": 1,
        "prompt_tokens": span["gen_ai.usage.input_tokens"],
        "completion_tokens": span["gen_ai.usage.output_tokens"],
        "cached_tokens": span["gen_ai.usage.cache_read.input_tokens"], "reasoning_tokens": 3,
        "cache_write_tokens": None, "usage_source": "provider", "fallback_from": None,
    }  # fmt: skip


def test_every_try_of_a_model_call_has_a_line(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A refused try is a warning without usage, what the fallback answered has its own model."""
    vendor.follow(Rule(), Rule(model="gpt-4o-mini", status=500))
    with listening(serve(support(vendor, max_attempts=1, fallback=["openai:gpt-4o"]))) as url:
        ask(url, "hello")
    refused, answered = telemetry.lines("agent.cost")
    assert (refused["level"], refused["outcome"], refused["outcome_reason"]) == (
        "warning", "error", "provider",
    )  # fmt: skip
    assert refused["error_class"] == "agent_runtime.errors.ProviderRefused"
    assert (refused["attempt"], refused["model"], refused["prompt_tokens"]) == (
        1, "gpt-4o-mini", None,
    )  # fmt: skip
    assert (answered["attempt"], answered["model"], answered["outcome"]) == (2, "gpt-4o", "success")
    assert (refused["fallback_from"], answered["fallback_from"]) == (None, "gpt-4o-mini")
    assert (refused["usage_source"], answered["usage_source"]) == (None, "provider")
    summary = telemetry.summary()
    assert (summary["llm_calls"], summary["fallback_from"]) == (2, "gpt-4o-mini")
    assert summary["prompt_tokens"] == answered["prompt_tokens"] > 0


def test_each_node_says_what_its_model_stands_in_for(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """The one that fell back and those that ask the fallback since; none that asks another model
    or no model at all."""
    vendor.follow(Rule(), Rule(model="gpt-4o-mini", status=500))
    falls_back = model_at(vendor, max_attempts=1, fallback=["openai:gpt-4o"])
    other = model_at(vendor, "openai:gpt-4.1")

    graph = Graph()

    def add(name: str, model: Model | None, following: str) -> None:
        @graph.node(entry=name == "a", name=name)
        async def node(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            said = [await ctx.chat(model, state.messages)] if model else []
            return {"messages": said}, following

    add("a", falls_back, "b")
    add("b", other, "c")
    add("c", None, "d")
    add("d", falls_back, END)

    async def run() -> None:
        async with Runtime(graph, agent_name="a") as runtime:
            await runtime.run("hello", thread_id="t", tenant_id="acme", user_id="ada")

    asyncio.run(run())
    said = [(line["node"], line["model"], line["fallback_from"])
            for line in telemetry.lines("agent.node")]  # fmt: skip
    assert said == [
        ("a", "gpt-4o", "gpt-4o-mini"), ("b", "gpt-4.1", None), ("c", None, None),
        ("d", "gpt-4o", "gpt-4o-mini"),
    ]  # fmt: skip
    assert telemetry.summary()["fallback_from"] == "gpt-4o-mini"


def test_every_tool_call_has_a_line(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Also one that fails, with its error as its span has it; never arguments or result."""
    broken = ToolCall(name="divide", arguments={"by": 0})
    vendor.follow(Rule(tool_calls=(WEATHER, broken)))
    with listening(serve(support(vendor))) as url:
        ask(url, "How is it in Oslo?")
    lines = {line["tool_name"]: line for line in telemetry.lines("agent.tool")}
    assert {name: (line["outcome"], line["level"]) for name, line in lines.items()} == {
        "get_weather": ("success", "info"),
        "divide": ("error", "warning"),
    }
    for name, line in lines.items():
        span = telemetry.span(f"execute_tool {name}")
        assert line["span_id"] == f"{span.context.span_id:016x}"
        assert line["tool_call_id"] == (span.attributes or {})["gen_ai.tool.call.id"]
        assert line["error_class"] == (span.attributes or {}).get("error.type")
        assert "Oslo" not in str(line)
    assert telemetry.summary()["tool_errors"] == 1


def test_unknown_usage_is_not_zero(vendor: ModelServer, telemetry: Telemetry) -> None:
    """When the provider reports no usage, tokens are null and the source says so."""
    vendor.follow(Rule(usage=False))
    with listening(serve(support(vendor))) as url:
        ask(url, "hello")
    line = telemetry.summary()
    assert line["usage_source"] == "missing"
    assert line["prompt_tokens"] is line["completion_tokens"] is None
    assert "gen_ai.usage.input_tokens" not in (telemetry.span("chat ").attributes or {})


def test_runs_side_by_side_keep_their_identities(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Of 50 interleaved runs, each line, also one a node writes, is of the right thread."""

    async def talk(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        for _ in range(3):
            await asyncio.sleep(0.002)
            ctx.log.info("node.says", expected=state.last_user)
        return {"messages": [await ctx.chat(model_at(vendor), state.messages)]}, END

    async def run() -> None:
        async with Runtime(graph_of(talk), agent_name="talker") as runtime:
            await asyncio.gather(
                *(
                    runtime.run(f"t{n}", thread_id=f"t{n}", tenant_id=f"c{n % 3}", user_id="u")
                    for n in range(50)
                )
            )

    asyncio.run(run())
    said = telemetry.lines("node.says")
    assert len(said) == 150
    assert all(line["thread_id"] == line["expected"] for line in said)
    assert Counter(line["thread_id"] for line in telemetry.lines()) == {
        f"t{n}": 3 for n in range(50)
    }
    assert len({span.context.trace_id for span in telemetry.spans()}) == 50
    for call in vendor.calls():
        assert call.user == pseudonym(f"c{int(call.metadata['thread_id'][1:]) % 3}", "u")


COMMON = {"thread_id", "user_id", "tenant_id", "run_id", "agent_name", "feature", "trace_id",
          "span_id", "schema_version", "duration_ms", "outcome", "outcome_reason", "error_class",
          "error_cause", "error_message"}  # fmt: skip
USED = {"provider", "model", "fallback_from", "prompt_tokens", "completion_tokens", "cached_tokens",
        "cache_write_tokens", "reasoning_tokens", "usage_source"}  # fmt: skip
COUNTED = {"llm_calls", "tool_calls", "tool_errors"}
FIELDS = {
    "agent.cost": {"node", "attempt", "ttfb_ms", "finish_reason"} | USED,
    "agent.tool": {"node", "tool_name", "tool_call_id"},
    "agent.node": {"node", "step"} | USED | COUNTED,
    "agent.run": {"turn_id", "node", "ttfb_ms", "trimmed_messages", "degraded", "left_behind",
                  "send_blocked_ms", "llm_retries"} | USED | COUNTED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (Rule(tool_calls=(WEATHER,)), "success"),
        (Rule(tool_calls=(WEATHER,), usage=False), "success"),
        (Rule(status=401), "error"),
        (Rule(text="one two", cut_after_tokens=1), "error"),
        (Rule(text="one two", stall_after_tokens=1), "interrupt"),
    ],
)
def test_every_line_has_every_field(
    vendor: ModelServer, telemetry: Telemetry, rule: Rule, outcome: str
) -> None:
    """Whatever happens; what is not known is null, and what was used adds up line by line."""
    vendor.follow(rule)
    with listening(serve(support(vendor))) as url:
        ask(url, "hello", leave_after="token" if outcome == "interrupt" else None)
        summary = telemetry.summary()
    lines = telemetry.lines()
    assert summary["outcome"] == outcome
    for line in lines:
        assert line.keys() >= COMMON | FIELDS[line["event"]]
        assert isinstance(line["duration_ms"], float)
        assert (line["error_class"] is None) == (line["outcome"] != "error")
        assert len(line["error_message"] or "") <= 500
    nodes = telemetry.lines("agent.node")
    for name in ("prompt_tokens", "completion_tokens", *COUNTED):
        counts = [node[name] for node in nodes]
        assert summary[name] == (None if None in counts else sum(counts))
    assert {node["model"] for node in nodes if node["llm_calls"]} == {"gpt-4o-mini"}
