"""Runs whose node swallows its cancellation: they end without it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import END, Context, Limits, Runtime, State

from .agents import WHO, graph_of, hello
from .conftest import Telemetry


class Deaf:
    """A node that goes on until it is told to end, however often it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.told, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def node(self, state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        self.begun.set()
        while not self.told.is_set():
            try:
                await self.told.wait()
            except asyncio.CancelledError:
                continue
        self.over.set()
        return {}, "after"


def test_a_run_ends_at_its_limit_whatever_its_node_does(telemetry: Telemetry) -> None:
    """One summary, by the time limit; no node follows the one that was left behind."""
    visited: list[str] = []

    async def after(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        visited.append("after")
        return {}, END

    async def go() -> None:
        deaf, limits = Deaf(), Limits(run_timeout_s=0.1)
        graph = graph_of(deaf.node, after)
        async with Runtime(graph, agent_name="a", limits=limits) as runtime:
            running = runtime.run("hello", thread_id="t1", **WHO)
            result = await asyncio.wait_for(asyncio.shield(asyncio.create_task(running)), 5)
            assert (result.outcome.kind, result.outcome.reason) == ("error", "timeout")
            assert runtime.in_flight == 0
            assert telemetry.lines("agent.node") == []
            deaf.told.set()
            await deaf.over.wait()
            await asyncio.sleep(0.1)
            assert result.outcome.reason == "timeout"

    asyncio.run(go())
    line = telemetry.summary()
    assert (line["outcome_reason"], line["left_behind"]) == ("timeout", True)
    assert len(telemetry.lines("agent.node")) == 1
    assert visited == []


def test_a_thread_is_free_again_though_a_node_of_it_goes_on(telemetry: Telemetry) -> None:
    """For more than a lease: what was left behind does not hold it."""

    async def go() -> None:
        deaf, limits = Deaf(), Limits(run_timeout_s=0.1)
        first = Runtime(graph_of(deaf.node), agent_name="a", limits=limits, lease_s=0.3)
        second = Runtime(graph_of(hello), agent_name="a")
        async with first, second:
            await first.run("hello", thread_id="t1", **WHO)
            await asyncio.sleep(0.4)
            result = await second.run("again", thread_id="t1", **WHO)
            assert result.outcome.kind == "success"
            deaf.told.set()
            await asyncio.sleep(0.1)

    asyncio.run(go())


@pytest.mark.parametrize("swallows", [True, False])
def test_only_what_was_left_behind_is_said_to_be(telemetry: Telemetry, swallows: bool) -> None:
    """A client who leaves is a cut, too; most nodes hear of it."""

    async def go() -> None:
        deaf, waiting = Deaf(), asyncio.Event()

        async def hears(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            waiting.set()
            await asyncio.sleep(60)
            return {}, END

        graph = graph_of(deaf.node if swallows else hears)
        async with Runtime(graph, agent_name="a") as runtime:
            run = await runtime.begin("hello", thread_id="t1", **WHO)
            await (deaf.begun if swallows else waiting).wait()
            await run.finish()
            deaf.told.set()

    asyncio.run(go())
    line = telemetry.summary()
    assert (line["outcome_reason"], line["left_behind"]) == ("client_disconnect", swallows)
