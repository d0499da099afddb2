"""The spans that a run leaves: one trace, and what each of them names."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.context import Context as OtelContext
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind

from agent_runtime import END, Context, Graph, Runtime, State, pseudonym, serve
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
    assert call.user == pseudonym("acme", "ada")
    assert call.metadata == {"thread_id": "t1", "run_id": run_id}
    context = telemetry.span("chat ").context
    assert (call.traceparent or "").startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}")


def test_a_callers_trace_is_linked(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A traceparent of the client becomes a link: it cannot switch off the run's own trace."""
    with listening(serve(support(vendor))) as url:
        ask(url, "hello", traceparent=f"00-{7:032x}-{9:016x}-00")
    run = telemetry.span("invoke_agent")
    assert run.parent is None
    [link] = run.links
    assert (link.context.trace_id, link.context.span_id) == (7, 9)


class Failing(SpanProcessor):
    """Somebody else's, with a bug."""

    def __init__(self) -> None:
        self.fails_at = "nothing"

    def on_start(self, span: Span, parent_context: OtelContext | None = None) -> None:
        if self.fails_at == "on_start":
            raise RuntimeError

    def on_end(self, span: ReadableSpan) -> None:
        if self.fails_at == "on_end":
            raise RuntimeError


@pytest.mark.parametrize("fails_at", ["on_start", "on_end"])
def test_a_processor_of_spans_that_fails_ends_no_run(
    vendor: ModelServer,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: str,
) -> None:
    """The run succeeds, and its lines are whole."""
    provider, failing = TracerProvider(), Failing()
    provider.add_span_processor(failing)
    monkeypatch.setattr(sys.modules["agent_runtime.telemetry"], "TRACER", provider.get_tracer("x"))
    failing.fails_at = fails_at
    vendor.follow(Rule(tool_calls=(WEATHER,)))
    with listening(serve(support(vendor))) as url:
        assert ask(url, "hello").end["outcome"] == "success"
    assert telemetry.summary()["outcome"] == "success"
    events = Counter(line["event"] for line in telemetry.lines())
    assert events == {"agent.cost": 2, "agent.node": 3, "agent.tool": 1, "agent.run": 1}
