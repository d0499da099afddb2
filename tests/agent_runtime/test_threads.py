"""Threads over their turns: what is kept, and where a turn goes on."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from agent_runtime import (
    END,
    Context,
    Runtime,
    State,
    ThreadNotFound,
)
from demo.model_server import ModelServer

from .agents import WHO, chatting, graph_of, hello, model_at
from .conftest import Telemetry


def test_a_thread_is_what_was_said_in_it(dsn: str) -> None:
    """Each turn follows those before, in another process as well; values end with their turn, and a
    thread of the same name of another tenant or agent is another thread."""

    async def run() -> None:
        for turn in range(2):
            async with Runtime(graph_of(hello), agent_name="a", store=dsn) as runtime:
                result = await runtime.run(f"turn {turn}", thread_id="t", **WHO)
                assert result.text == f"hello {turn * 2 + 1}"
                at, running = await runtime.thread("t", tenant_id="acme")
                assert (at.turn_id, at.next_node, running) == (result.run_id, END, False)
                assert at.state.messages == result.messages
                assert at.state.values == {"seen": turn * 2 + 1}
        async with Runtime(graph_of(hello), agent_name="b", store=dsn) as other:
            assert (await other.run("hi", thread_id="t", **WHO)).text == "hello 1"
        async with Runtime(graph_of(hello), agent_name="a", store=dsn) as runtime:
            with pytest.raises(ThreadNotFound, match="no thread 't'"):
                await runtime.thread("t", tenant_id="globex")
            with pytest.raises(ThreadNotFound):
                await runtime.resume("t", tenant_id="globex", user_id="eve")
            globex = await runtime.run("hi", thread_id="t", tenant_id="globex", user_id="eve")
            assert globex.text == "hello 1"

    asyncio.run(run())


def test_a_failed_turn_goes_on_where_it_failed(dsn: str, telemetry: Telemetry) -> None:
    """Under the same turn and with the steps counted on; nodes before do not run again."""
    calls: list[str] = []

    async def first(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        calls.append("first")
        return {"found": 1}, "second"

    async def second(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        calls.append("second")
        if len(calls) == 2:
            raise ConnectionError("down")
        return {"more": state.values["found"] + 1}, END

    async def run() -> None:
        async with Runtime(graph_of(first, second), agent_name="a", store=dsn) as runtime:
            failed = await runtime.run("go", thread_id="t", **WHO)
            assert isinstance(failed.outcome.error, ConnectionError)
            resumed = await runtime.resume("t", **WHO)
            assert resumed.outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert (at.turn_id, at.run_id) == (failed.run_id, resumed.run_id)
            assert at.state.values == {"found": 1, "more": 2}

    asyncio.run(run())
    assert calls == ["first", "second", "second"]
    steps = [(line["node"], line["step"]) for line in telemetry.lines("agent.node")]
    assert steps == [("first", 1), ("second", 2), ("second", 2)]
    failed, resumed = telemetry.lines("agent.run")
    assert failed["turn_id"] == resumed["turn_id"] == failed["run_id"] != resumed["run_id"]
    assert (failed["node"], resumed["node"]) == ("second", "second")
    turns = [(run.attributes or {})["agent.turn.id"] for run in telemetry.spans("invoke_agent")]
    assert turns == [failed["run_id"]] * 2


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
