"""What humans are asked, and what becomes of their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Event,
    NothingToResume,
    RunResult,
    Runtime,
    State,
    tool,
)
from agent_runtime.messages import Message, ToolCall

from .agents import WHO, graph_of
from .conftest import Telemetry


def test_a_human_is_asked_and_answers(dsn: str, telemetry: Telemetry) -> None:
    """The run ends with the question; resumed with the answer, the node runs again and has it. Who
    resumes without one is asked again, and an answer outlives another interruption."""
    broken = [True]

    async def pay(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        approved = ctx.interrupt({"approve": 500})
        if broken:
            raise ConnectionError(f"the bank is down, {broken.pop()}")
        why = ctx.interrupt("why?")
        return {"approved": approved, "why": why}, END

    async def run() -> None:
        async with Runtime(graph_of(pay), agent_name="a", store=dsn) as runtime:
            for asked in (
                await runtime.run("pay", thread_id="t", **WHO),
                await runtime.resume("t", **WHO),
            ):
                assert (asked.outcome.kind, asked.outcome.reason) == ("interrupt", "human")
                assert asked.outcome.payload == {"approve": 500}
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert at.asked is not None
            assert at.asked.payload == {"approve": 500}
            assert (await runtime.resume("t", value=None, **WHO)).outcome.kind == "error"
            with pytest.raises(NothingToResume, match="waits for no answer"):
                await runtime.resume("t", value=None, **WHO)
            assert (await runtime.resume("t", **WHO)).outcome.payload == "why?"
            assert (await runtime.resume("t", value="why not", **WHO)).outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert at.state.values == {"approved": None, "why": "why not"}

    asyncio.run(run())
    nodes = [(line["outcome"], line["outcome_reason"]) for line in telemetry.lines("agent.node")]
    human, error = ("interrupt", "human"), ("error", None)
    assert nodes == [human, human, error, human, ("success", None)]
    for span in telemetry.spans("node")[:2]:
        assert (span.attributes or {})["agent.outcome"] == "interrupt"
        assert span.status.is_unset


def test_a_tool_may_ask_a_human(dsn: str) -> None:
    """Beside others that are called at the same time; the client is told what is asked."""

    @tool
    async def look_up(city: str) -> str:
        """Finds a city."""
        return f"{city} found"

    @tool
    async def delete(city: str, ctx: Context) -> str:
        """Deletes a city."""
        return f"{city} deleted by {ctx.interrupt(f'delete {city}?', key='delete')}"

    calls = (
        ToolCall("1", "look_up", '{"city":"Oslo"}'),
        ToolCall("2", "delete", '{"city":"Rome"}'),
    )

    async def plan(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [Message("assistant", "", calls)]}, "tools"

    async def run() -> tuple[list[Event], RunResult]:
        graph = graph_of(plan)
        graph.tools("tools", [look_up, delete], then=END)
        async with Runtime(graph, agent_name="a", store=dsn) as runtime:
            events = [event async for event in runtime.astream("go", thread_id="t", **WHO)]
            return events, await runtime.resume("t", value="ann", **WHO)

    events, result = asyncio.run(run())
    assert events[-2] == Event(
        "interrupted", {"reason": "human", "resume": True, "payload": "delete Rome?"}
    )
    assert [each.content for each in result.messages[-2:]] == ["Oslo found", "Rome deleted by ann"]
