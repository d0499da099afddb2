"""Runs in process: as results, as events, and through a drain."""

import asyncio
import io
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
import structlog
from opentelemetry.trace import StatusCode

from agent_runtime import END, Context, Draining, Event, Graph, Runtime, State
from agent_runtime.edge import Edge
from demo.model_server import ModelServer, Rule

from .agents import support
from .conftest import Telemetry

WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}


def waiting(started: asyncio.Event, release: asyncio.Event) -> Graph:
    """A graph of two nodes, of which the first one waits."""
    graph = Graph()

    @graph.node(entry=True)
    async def first(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        started.set()
        await release.wait()
        return {}, "second"

    @graph.node()
    async def second(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, END

    return graph


def test_events_come_as_they_happen(vendor: ModelServer, telemetry: Telemetry) -> None:
    """astream yields what a client would be sent; closing it interrupts the run."""
    vendor.follow(Rule(text="one two three", token_ms=50))

    async def read(until: str) -> list[str]:
        names = []
        async with support(vendor) as runtime:
            events = runtime.astream("hello", **WHO)
            async for event in events:
                names.append(event.name)
                if event.name == until:
                    break
            await events.aclose()
        return names

    assert asyncio.run(read("run.end"))[-1] == "run.end"
    assert asyncio.run(read("token"))[-1] == "token"
    whole, left = telemetry.lines("agent.run")
    assert (whole["outcome"], left["outcome"]) == ("success", "interrupt")
    assert left["ttfb_ms"] is not None


def test_a_drain_lets_runs_finish(telemetry: Telemetry) -> None:
    """New runs are refused, the one in flight ends as if nothing were."""

    async def run() -> None:
        started, release = asyncio.Event(), asyncio.Event()
        runtime = Runtime(waiting(started, release), agent_name="a")
        running = asyncio.create_task(runtime.run("hello", **WHO))
        await started.wait()
        closing = asyncio.create_task(runtime.aclose())
        await asyncio.sleep(0)
        with pytest.raises(Draining, match="agent a is shutting down"):
            await runtime.run("hello", **WHO)
        release.set()
        await closing
        assert running.done()

    asyncio.run(run())
    assert [line["outcome"] for line in telemetry.lines()] == ["success"] * 3


def test_a_drain_stops_runs_between_nodes(telemetry: Telemetry) -> None:
    """After finish_s the node in progress ends, and the next one does not begin."""

    async def run() -> None:
        started, release = asyncio.Event(), asyncio.Event()
        runtime = Runtime(waiting(started, release), agent_name="a", finish_s=0)
        running = asyncio.create_task(runtime.run("hello", **WHO))
        await started.wait()
        closing = asyncio.create_task(runtime.aclose())
        await asyncio.sleep(0.05)
        assert not running.done()
        release.set()
        await closing

    asyncio.run(run())
    assert [(line["event"], line["outcome"], line["outcome_reason"])
            for line in telemetry.lines()] == [
        ("agent.node", "success", None), ("agent.run", "interrupt", "shutdown"),
    ]  # fmt: skip


def test_a_client_that_is_late_at_a_shutdown_is_told_the_truth(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn is done, but its client had not read the end when the summary had to be written: to
    both it is an interrupt by the shutdown, with nothing to resume."""
    monkeypatch.setattr(sys.modules["agent_runtime.runtime"], "UNWIND_S", 0.1)

    async def late() -> list[Event]:
        started, release = asyncio.Event(), asyncio.Event()
        release.set()
        graph = waiting(started, release)
        runtime = Runtime(graph, agent_name="support", finish_s=0.1, drain_s=0.2)
        run = await runtime.begin("hello", **WHO, edge=Edge())
        await runtime.drain()
        events = [event async for some in run.events() for event in some]
        await runtime.aclose()
        return events

    *_, interrupted, end = asyncio.run(late())
    assert interrupted.data == {"reason": "shutdown", "resume": False, "payload": None}
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "shutdown")
    assert (end.data["outcome"], end.data["outcome_reason"]) == ("interrupt", "shutdown")


def test_a_run_that_is_cut_before_it_began_ends(telemetry: Telemetry) -> None:
    """Even then its reader gets the end, and its summary is written."""

    async def run() -> list[str]:
        runtime = Runtime(waiting(asyncio.Event(), asyncio.Event()), agent_name="a")
        run = await runtime.begin("hello", **WHO)
        runtime.cut()
        names = [event.name async for events in run.events() for event in events]
        await run.finish()
        await runtime.aclose()
        return names

    assert asyncio.run(run()) == ["run.start", "interrupted", "run.end"]
    assert [line["event"] for line in telemetry.lines()] == ["agent.run"]


def test_a_closed_stdout_does_not_end_runs(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Lines that cannot be written are lost; the run and the drain are not."""

    async def run() -> str:
        closed = io.StringIO()
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(closed))
        closed.close()
        async with support(vendor) as runtime:
            return (await runtime.run("hello", **WHO)).outcome.kind

    assert asyncio.run(run()) == "success"
    assert not telemetry.lines()


def test_odd_values_do_not_lose_a_line(telemetry: Telemetry) -> None:
    """Numbers beyond 64 bits and text that is no Unicode are written nevertheless."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        ctx.log.info("node.says", big=2**70, text="\ud800", thing=object())
        raise ValueError("\ud800")

    async def run() -> None:
        graph = Graph()
        graph.node(entry=True)(odd)
        async with Runtime(graph, agent_name="a") as runtime:
            await runtime.run("hello", **WHO)

    asyncio.run(run())
    [said] = telemetry.lines("node.says")
    assert said["big"] == 2**70
    assert telemetry.summary()["error_message"] == "?"


@pytest.mark.parametrize("finish_s", [-1, 30])
def test_finishing_is_part_of_draining(finish_s: float) -> None:
    """finish_s lies within drain_s."""
    graph = waiting(asyncio.Event(), asyncio.Event())
    with pytest.raises(ValueError, match=f"finish_s={finish_s}"):
        Runtime(graph, agent_name="a", finish_s=finish_s)


def test_a_node_that_swallows_its_cancellation_is_the_last_one(telemetry: Telemetry) -> None:
    """The run ends behind it, and nothing goes on for a client who has left."""
    graph, started = Graph(), asyncio.Event()

    @graph.node(entry=True)
    async def deaf(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return {}, "deaf"

    async def leave() -> None:
        async with Runtime(graph, agent_name="support") as runtime:
            run = await runtime.begin("hello", **WHO)
            await started.wait()
            await run.finish()

    asyncio.run(leave())
    assert len(telemetry.lines("agent.node")) == 1
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")


def test_a_cancelled_subtask_is_not_a_client_who_left(telemetry: Telemetry) -> None:
    """When a node awaits something cancelled, that is the node's error."""

    async def careless(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        subtask = asyncio.create_task(asyncio.sleep(60))
        subtask.cancel()
        await subtask
        return {}, END

    async def run() -> None:
        graph = Graph()
        graph.node(entry=True)(careless)
        async with Runtime(graph, agent_name="a") as runtime:
            await runtime.run("hello", **WHO)

    asyncio.run(run())
    for line in telemetry.lines():
        assert line["outcome"] == "error"
        assert line["error_class"] == "asyncio.exceptions.CancelledError"
    for span in telemetry.spans():
        assert span.status.status_code is StatusCode.ERROR
