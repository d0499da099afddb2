"""The spans and lines that a run leaves."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from agent_runtime import END, Context, Graph, Runtime, State, serve
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at, support
from .conftest import Telemetry, ask, listening

WEATHER = ToolCall(name="get_weather", arguments={"city": "Oslo"})
IDENTITY = {
    "tenant.id": "acme",
    "user.id": "ada",
    "gen_ai.conversation.id": "t1",
    "gen_ai.agent.name": "support",
    "agent.feature": "help",
}


def one_node(run: Any) -> Graph:
    graph = Graph()
    graph.node(entry=True, name="only")(run)
    return graph


def test_a_run_is_one_trace(vendor: ModelServer, telemetry: Telemetry) -> None:
    """invoke_agent > node > chat or execute_tool, each with the identity of the run."""
    vendor.follow(Rule(tool_calls=(WEATHER,)))
    with listening(serve(support(vendor))) as url:
        answer = ask(url, "How is it in Oslo?")
    spans = telemetry.spans()
    names = {span.context.span_id: span.name for span in spans}
    parents = [(span.name, span.parent and names[span.parent.span_id]) for span in spans]
    assert parents == [
        ("invoke_agent support", None),
        ("node agent", "invoke_agent support"),
        ("chat gpt-4o-mini", "node agent"),
        ("node tools", "invoke_agent support"),
        ("execute_tool get_weather", "node tools"),
        ("node agent", "invoke_agent support"),
        ("chat gpt-4o-mini", "node agent"),
    ]
    assert len({span.context.trace_id for span in spans}) == 1
    for span in spans:
        assert (span.attributes or {}).items() >= IDENTITY.items()
        assert (span.attributes or {})["agent.run.id"] == answer.end["run_id"]


def test_calls_name_their_node(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Model and tool calls carry the node they were made in; the run itself is in none."""
    vendor.follow(Rule(tool_calls=(WEATHER,)))
    with listening(serve(support(vendor))) as url:
        ask(url, "How is it in Oslo?")
    nodes = [(span.name, (span.attributes or {}).get("agent.node")) for span in telemetry.spans()]
    assert nodes == [
        ("invoke_agent support", None),
        ("node agent", "agent"),
        ("chat gpt-4o-mini", "agent"),
        ("node tools", "tools"),
        ("execute_tool get_weather", "tools"),
        ("node agent", "agent"),
        ("chat gpt-4o-mini", "agent"),
    ]


def test_a_call_stays_in_the_node_that_began_it(vendor: ModelServer, telemetry: Telemetry) -> None:
    """What a node leaves running and a run within a node keep their own nodes, side by side."""
    later: list[asyncio.Task[Any]] = []
    inner = Runtime(chatting(model_at(vendor)), agent_name="inner")

    async def first(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        async def chat_after(moment: float) -> None:
            await asyncio.sleep(moment)
            await ctx.chat(model_at(vendor), state.messages)

        later.append(asyncio.create_task(chat_after(0.05)))
        return {}, "second"

    async def second(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        await inner.run("nested", thread_id="t2", tenant_id="acme", user_id="ada")
        await asyncio.gather(*later, ctx.chat(model_at(vendor), state.messages))
        return {}, END

    graph = Graph()
    graph.node(entry=True)(first)
    graph.node()(second)

    async def run() -> None:
        async with inner, Runtime(graph, agent_name="outer") as runtime:
            await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")

    asyncio.run(run())
    chats = Counter(
        ((span.attributes or {})["gen_ai.agent.name"], (span.attributes or {})["agent.node"])
        for span in telemetry.spans("chat ")
    )
    assert chats == {("outer", "first"): 1, ("outer", "second"): 1, ("inner", "agent"): 1}


def test_spans_carry_the_genai_attributes(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Model, usage, finish reason and tool are on the spans under their OpenTelemetry names."""
    vendor.follow(Rule(tool_calls=(WEATHER,), cached_share=0.5, reasoning_tokens=3))
    with listening(serve(support(vendor))) as url:
        ask(url, "How is it in Oslo?")
    billed, _ = vendor.calls()
    chat = telemetry.spans("chat ")[0]
    assert chat.kind is SpanKind.CLIENT
    attributes = dict(chat.attributes or {})
    assert 0 < attributes.pop("gen_ai.response.time_to_first_chunk") < 5  # type: ignore[operator]
    assert (
        attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "gpt-4o-mini",
            "gen_ai.response.id": billed.id,
            "gen_ai.response.finish_reasons": ("tool_calls",),
            "gen_ai.usage.input_tokens": billed.prompt_tokens,
            "gen_ai.usage.output_tokens": billed.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": billed.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "agent.attempt": 1,
        }.items()
    )
    assert (telemetry.span("execute_tool").attributes or {}).items() >= {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.call.id": f"call-{billed.id}-0",
    }.items()
    run = telemetry.span("invoke_agent")
    assert run.kind is SpanKind.SERVER
    assert (run.attributes or {})["gen_ai.operation.name"] == "invoke_agent"
    assert (run.attributes or {})["agent.outcome"] == "success"


def test_the_provider_learns_for_whom_it_is_asked(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Each call carries user, baggage and the traceparent of its own span."""
    with listening(serve(support(vendor))) as url:
        run_id = ask(url, "hello").end["run_id"]
    [call] = vendor.calls()
    assert call.user == "acme:ada"
    assert call.metadata == {"thread_id": "t1", "run_id": run_id}
    context = telemetry.span("chat ").context
    assert (call.traceparent or "").startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}")


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
        ("agent.run", None),
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
    for kind in kinds:
        ours: Counter[str] = Counter()
        book: Counter[str] = Counter()
        for line in lines:
            ours[line["tenant_id"]] += line[kind]
        for call in calls:
            book[call.user.split(":")[0]] += getattr(call, kind)
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
        "event": "agent.cost", "level": "info",
        "trace_id": f"{telemetry.span('chat ').context.trace_id:032x}",
        "span_id": f"{telemetry.span('chat ').context.span_id:016x}",
        "run_id": span["agent.run.id"], "thread_id": "t1", "tenant_id": "acme", "user_id": "ada",
        "agent_name": "support", "feature": "help", "node": "agent",
        "outcome": "success", "outcome_reason": None, "error_class": None, "error_message": None,
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


def test_an_error_in_a_node_ends_the_run(telemetry: Telemetry) -> None:
    """Both lines and spans name the error, with secrets masked; the client gets its class only."""

    async def fail(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise ValueError("no such plan; key=sk-verysecret0123456789")

    with listening(serve(Runtime(one_node(fail), agent_name="support"))) as url:
        answer = ask(url, "hello")
    assert answer.end["outcome"] == "error"
    assert answer.end["error_class"] == "ValueError"
    assert "no such plan" not in str(answer.events)
    lines = telemetry.lines()
    assert [line["event"] for line in lines] == ["agent.node", "agent.run"]
    for line in lines:
        assert (line["level"], line["outcome"], line["error_class"]) == (
            "error", "error", "ValueError",
        )  # fmt: skip
        assert line["error_message"] == "no such plan; key=[masked]"
    for span in telemetry.spans():
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "ValueError"
        [event] = span.events
        assert event.name == "exception"
        assert "verysecret" not in span.to_json()


def test_an_error_that_cannot_be_said_has_its_lines(telemetry: Telemetry) -> None:
    """Also when its own ``__str__`` raises, as that of careless libraries."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise KeyError("detail")

    async def fail(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise MuteError

    with listening(serve(Runtime(one_node(fail), agent_name="support"))) as url:
        assert ask(url, "hello").end["error_class"].endswith("MuteError")
    lines = telemetry.lines()
    assert [line["event"] for line in lines] == ["agent.node", "agent.run"]
    assert {line["error_message"] for line in lines} == {
        "it cannot be said: its __str__ raised KeyError"
    }
    assert [span.status.status_code for span in telemetry.spans()] == [StatusCode.ERROR] * 2


def test_an_endless_loop_stops_at_the_limit(telemetry: Telemetry) -> None:
    """A graph that never ends runs exactly 25 nodes and fails with recursion_limit."""

    async def again(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, "only"

    async def run() -> str | None:
        async with Runtime(one_node(again), agent_name="loop") as runtime:
            result = await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")
            return result.outcome.reason

    assert asyncio.run(run()) == "recursion_limit"
    assert len(telemetry.lines("agent.node")) == 25
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("error", "recursion_limit")
    assert line["error_class"] == "agent_runtime.errors.RecursionLimitReached"


def test_the_last_allowed_node_may_end_the_run(telemetry: Telemetry) -> None:
    """A run that reaches its end with the 25th node succeeds."""

    async def count(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        n = state.values.get("n", 0) + 1
        return {"n": n}, END if n == 25 else "only"

    async def run() -> str:
        async with Runtime(one_node(count), agent_name="loop") as runtime:
            result = await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")
            return result.outcome.kind

    assert asyncio.run(run()) == "success"
    assert len(telemetry.lines("agent.node")) == 25


def test_runs_side_by_side_keep_their_identities(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Of 50 interleaved runs, each line, also one a node writes, is of the right thread."""

    async def talk(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        for _ in range(3):
            await asyncio.sleep(0.002)
            ctx.log.info("node.says", expected=state.last_user)
        return {"messages": [await ctx.chat(model_at(vendor), state.messages)]}, END

    async def run() -> None:
        async with Runtime(one_node(talk), agent_name="talker") as runtime:
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
        assert call.user == f"c{int(call.metadata['thread_id'][1:]) % 3}:u"


def test_a_callers_trace_is_linked(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A traceparent of the client becomes a link: it cannot switch off the run's own trace."""
    with listening(serve(support(vendor))) as url:
        ask(url, "hello", traceparent=f"00-{7:032x}-{9:016x}-00")
    run = telemetry.span("invoke_agent")
    assert run.parent is None
    [link] = run.links
    assert (link.context.trace_id, link.context.span_id) == (7, 9)


def test_a_thread_remembers(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A run gets the conversation so far, and answers with the whole of it."""

    async def run() -> list[str]:
        async with Runtime(chatting(model_at(vendor)), agent_name="support") as runtime:
            await runtime.run("one", thread_id="t", tenant_id="a", user_id="u")
            second = await runtime.run("two", thread_id="t", tenant_id="a", user_id="u")
            assert second.text == second.messages[-1].content != ""
            return [message.role for message in second.messages]

    assert asyncio.run(run()) == ["user", "assistant", "user", "assistant"]
    assert telemetry.spans("invoke_agent")[0].kind is SpanKind.INTERNAL


COMMON = {"thread_id", "user_id", "tenant_id", "run_id", "agent_name", "feature", "trace_id",
          "span_id", "duration_ms", "outcome", "outcome_reason", "error_class",
          "error_message"}  # fmt: skip
USED = {"provider", "model", "prompt_tokens", "completion_tokens", "cached_tokens",
        "cache_write_tokens", "reasoning_tokens", "usage_source"}  # fmt: skip
COUNTED = {"llm_calls", "tool_calls", "tool_errors"}
FIELDS = {
    "agent.cost": {"node", "attempt", "ttfb_ms", "finish_reason", "fallback_from"} | USED,
    "agent.tool": {"node", "tool_name", "tool_call_id"},
    "agent.node": {"node", "step"} | USED | COUNTED,
    "agent.run": {"ttfb_ms", "fallback_from", "trimmed_messages", "degraded", "send_blocked_ms",
                  "llm_retries"} | USED | COUNTED,
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
