"""What humans are asked, and what becomes of their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Event,
    Graph,
    NotAsked,
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
            assert at.question == asked.question is not None
            answer = {"value": None, "question": at.question} | WHO
            assert (await runtime.resume("t", **answer)).outcome.kind == "error"
            with pytest.raises(NothingToResume, match="waits for no answer"):
                await runtime.resume("t", **answer)
            why = await runtime.resume("t", **WHO)
            assert why.outcome.payload == "why?"
            done = await runtime.resume("t", value="why not", question=why.question, **WHO)
            assert (done.outcome.kind, done.question) == ("success", None)
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert at.state.values == {"approved": None, "why": "why not"}

    asyncio.run(run())
    nodes = [(line["outcome"], line["outcome_reason"]) for line in telemetry.lines("agent.node")]
    human, error = ("interrupt", "human"), ("error", None)
    assert nodes == [human, human, error, human, ("success", None)]
    for span in telemetry.spans("node")[:2]:
        assert (span.attributes or {})["agent.outcome"] == "interrupt"
        assert span.status.is_unset


def refunding(paid: list[str], *orders: str) -> Graph:
    """Pays orders back whose refunds were approved, one after the other."""

    async def refund(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        for order in orders or (state.last_user,):
            if ctx.interrupt({"refund": order}) is not True:
                return {}, END
        paid.extend(orders or (state.last_user,))
        return {}, END

    return graph_of(refund)


def test_an_answer_that_comes_twice_answers_one_question(dsn: str) -> None:
    """The second of two questions is not approved by the repetition of what approved the first."""
    paid: list[str] = []

    async def run() -> None:
        async with Runtime(refunding(paid, "1042", "1043"), agent_name="a", store=dsn) as runtime:
            first = await runtime.run("refund both", thread_id="t", **WHO)
            answer = {"value": True, "question": first.question} | WHO
            second = await runtime.resume("t", **answer)
            assert second.outcome.payload == {"refund": "1043"}
            with pytest.raises(NotAsked, match=r"does not ask '\w+', or no longer"):
                await runtime.resume("t", **answer)
            at, running = await runtime.thread("t", tenant_id="acme")
            assert (at.question, at.run_id, running) == (second.question, second.run_id, False)

    asyncio.run(run())
    assert paid == []


def test_an_answer_says_what_it_answers(dsn: str) -> None:
    """What an approval is for is what its human has seen, not what is asked by the time it comes:
    behind another message there is another question, and without its id there is no answer."""
    paid: list[str] = []

    async def run() -> None:
        async with Runtime(refunding(paid), agent_name="a", store=dsn) as runtime:
            seen = await runtime.run("1042", thread_id="t", **WHO)
            other = await runtime.run("1043", thread_id="t", **WHO)
            assert seen.question != other.question
            with pytest.raises(NotAsked, match="or no longer; look at what it asks now"):
                await runtime.resume("t", value=True, question=seen.question, **WHO)
            with pytest.raises(NotAsked, match="name the question that the value answers"):
                await runtime.resume("t", value=True, **WHO)
            with pytest.raises(NotAsked, match="no value answers it"):
                await runtime.resume("t", question=other.question, **WHO)
            assert (await runtime.resume("t", **WHO)).question == other.question
            await runtime.resume("t", value=True, question=other.question, **WHO)

    asyncio.run(run())
    assert paid == ["1043"]


def test_an_answer_is_for_what_was_shown(dsn: str) -> None:
    """A node that asks something else when it runs again has no answer, also under the same key."""
    amounts = iter((19, 129))

    async def pay(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        ctx.interrupt({"pay": next(amounts)}, key="pay")
        return {}, END

    async def run() -> None:
        async with Runtime(graph_of(pay), agent_name="a", store=dsn) as runtime:
            asked = await runtime.run("pay", thread_id="t", **WHO)
            again = await runtime.resume("t", value=True, question=asked.question, **WHO)
            assert (again.outcome.reason, again.outcome.payload) == ("human", {"pay": 129})
            assert again.question != asked.question

    asyncio.run(run())


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
            question = events[-2].data["question"]
            return events, await runtime.resume("t", value="ann", question=question, **WHO)

    events, result = asyncio.run(run())
    told = {"reason": "human", "resume": True, "payload": "delete Rome?"}
    assert events[-2] == Event("interrupted", told | {"question": events[-2].data["question"]})
    assert [each.content for each in result.messages[-2:]] == ["Oslo found", "Rome deleted by ann"]
