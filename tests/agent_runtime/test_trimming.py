"""Prompts stay within their budget and never tear a tool call from its result."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    PromptTooLong,
    Runtime,
    State,
    ToolCall,
)
from agent_runtime.trimming import TOOL_OUTPUT_BYTES, estimate_tokens, shorten, trim
from demo.model_server import ModelServer, Rule

from .agents import model_at
from .conftest import Telemetry

TEXTS = st.text(max_size=200)


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Random conversations, also such as interrupted runs leave behind."""
    messages: list[Message] = []
    for number in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(("system", "user", "assistant", "exchange", "torn", "orphan")))
        ids = [f"call-{number}-{n}" for n in range(draw(st.integers(1, 3)))]
        calls = tuple(ToolCall(id_, "tool", draw(TEXTS)) for id_ in ids)
        outputs = [
            Message("tool", draw(TEXTS) * draw(st.sampled_from((1, 50))), tool_call_id=id_)
            for id_ in ids
        ]
        match kind:
            case "exchange":
                messages += [Message("assistant", "", calls), *draw(st.permutations(outputs))]
            case "torn":
                messages += [Message("assistant", draw(TEXTS), calls), *outputs[1:]]
            case "orphan":
                messages += outputs
            case role:
                messages.append(Message(role, draw(TEXTS)))
    return messages


@given(histories(), st.integers(0, 3000))
def test_a_prompt_is_valid_and_within_budget(history: list[Message], budget: int) -> None:
    """Whatever the history: within budget, in order, system and last user message kept, and each
    tool call followed by exactly its results."""
    try:
        trimmed = trim(history, budget)
    except PromptTooLong:
        return
    kept = trimmed.messages
    assert sum(map(estimate_tokens, kept)) <= budget
    assert trimmed.left_out == len(history) - len(kept)
    assert [m for m in kept if m.role == "system"] == [m for m in history if m.role == "system"]
    users = [m for m in history if m.role == "user"]
    assert [m for m in kept if m.role == "user"][-1:] == users[-1:]
    first = next((m.role for m in kept if m.role != "system"), "user")
    begins = next((m.role for m in history if m.role != "system"), "user")
    assert first == "user" or begins != "user" or not users
    unanswered: set[str | None] = set()
    for message in kept:
        if message.role == "tool":
            unanswered.remove(message.tool_call_id)
        else:
            assert not unanswered
            unanswered = {call.id for call in message.tool_calls}
    assert not unanswered
    rest = iter(history)
    for message in kept:
        if message.role in ("user", "assistant"):
            assert any(message is each for each in rest)


@given(histories())
def test_what_fits_is_kept(history: list[Message]) -> None:
    """With room for everything, only torn exchanges go, and long tool outputs are cut."""
    torn = trim(history, 10**9)
    assert trim(torn.messages, 10**9).messages == torn.messages
    assert trim(torn.messages, 10**9).left_out == 0


def test_the_newest_messages_are_kept() -> None:
    """Older messages go first."""
    history = [Message("user", f"{n} " + "x" * 400) for n in range(10)]
    kept = trim(history, 330).messages
    assert [message.content[0] for message in kept] == ["7", "8", "9"]


def test_what_is_left_begins_with_a_user() -> None:
    """An answer goes with the question that was left out; Anthropic refuses a prompt that begins
    with one. What an assistant said first of all is no such answer."""
    said = [Message("user" if n % 2 == 0 else "assistant", f"{n} " + "x" * 400) for n in range(9)]
    assert [message.content[0] for message in trim(said, 450).messages] == ["6", "7", "8"]
    greeted = (Message("assistant", "Hello, how can I help?"), *said[:3])
    assert trim(greeted, 10_000).messages == greeted


def test_calls_of_one_id_keep_a_result_each() -> None:
    """As some models give them; none is sent without its result."""
    asked = Message("assistant", "", (ToolCall("c", "dump", "1"), ToolCall("c", "dump", "2")))
    results = [Message("tool", text, tool_call_id="c") for text in ("one", "two")]
    history = (Message("user", "dump them"), asked, *results)
    assert trim(history, 1000).messages == history
    assert trim(history[:-1], 1000).messages == history[:1]


def test_the_newest_results_are_cut_rather_than_left_out() -> None:
    """A model always sees what it just asked for, shortened with a mark."""
    asked = Message("assistant", "", (ToolCall("c1", "dump", "{}"),))
    answered = Message("tool", "x" * 100_000, tool_call_id="c1")
    kept = trim([Message("user", "dump it"), asked, answered], 500).messages
    assert [message.role for message in kept] == ["user", "assistant", "tool"]
    assert kept[-1].content.endswith("[100000 bytes, cut]")
    assert sum(map(estimate_tokens, kept)) <= 500


def test_what_cannot_be_left_out_must_fit() -> None:
    """The error says how far the prompt is over its budget and what to do."""
    with pytest.raises(PromptTooLong, match=r"over the budget of 10; raise context_tokens"):
        trim([Message("system", "x" * 400), Message("user", "hello")], 10)


@given(st.text(), st.integers(0, 100))
def test_a_shortened_text_is_no_longer_than_asked(text: str, limit: int) -> None:
    """Bytes are counted, and no character is torn."""
    short = shorten(text, limit)
    assert len(short.encode()) <= limit or short == text
    assert short == text or len(text.encode()) > limit


def test_a_long_thread_reaches_the_model_trimmed(vendor: ModelServer, telemetry: Telemetry) -> None:
    """The summary counts the messages left out; the vendor is sent no more than the budget."""
    history = [
        Message("user" if n % 2 == 0 else "assistant", f"{n} " + "word " * 100)
        for n in range(200)
    ]  # fmt: skip

    async def run() -> None:
        graph, model = Graph(), model_at(vendor, context_tokens=2000)

        @graph.node(entry=True)
        async def recall(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            return {"messages": [*history, Message("user", "and now?")]}, "answer"

        @graph.node()
        async def answer(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            return {"messages": [await ctx.chat(model, state.messages, system="Be brief.")]}, END

        async with Runtime(graph, agent_name="support") as runtime:
            await runtime.run("hello", thread_id="t", tenant_id="a", user_id="u")

    asyncio.run(run())
    assert 150 < telemetry.summary()["trimmed_messages"] < 200
    assert vendor.calls()[0].prompt_tokens < 2300


def test_a_fallback_gets_what_it_has_room_for(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Its own ``context_tokens`` count; one that has room for nothing is passed over, and
    was not given up for the next one: it was never asked."""
    vendor.follow(Rule(first_token_ms=0), Rule(model="large", status=500))
    said = [Message("user", f"{n} " + "word " * 100) for n in range(20)]
    tiny, small = (model_at(vendor, f"openai:{name}", context_tokens=tokens)
                   for name, tokens in (("tiny", 10), ("small", 500)))  # fmt: skip
    model = model_at(vendor, "openai:large", max_attempts=1, fallback=[tiny, small])
    graph = Graph()

    @graph.node(entry=True)
    async def answer(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [await ctx.chat(model, said)]}, END

    async def run() -> None:
        async with Runtime(graph, agent_name="support") as runtime:
            await runtime.run("hello", thread_id="t", tenant_id="a", user_id="u")

    asyncio.run(run())
    _, answered = vendor.calls()
    assert (answered.model, telemetry.summary()["outcome"]) == ("small", "success")
    assert 300 < answered.prompt_tokens < 600
    *_, cost = telemetry.lines("agent.cost")
    lines = (cost, telemetry.lines("agent.node")[0], telemetry.summary())
    assert [line["fallback_from"] for line in lines] == ["large"] * 3


def test_tool_outputs_are_capped() -> None:
    """Five megabytes of output do not fill a prompt, however large the budget."""
    history = [
        Message("user", "dump it"),
        Message("assistant", "", (ToolCall("c1", "dump", "{}"),)),
        Message("tool", "x" * 5_000_000, tool_call_id="c1"),
    ]
    kept = trim(history, 10**9).messages
    assert len(kept[-1].content.encode()) == TOOL_OUTPUT_BYTES
