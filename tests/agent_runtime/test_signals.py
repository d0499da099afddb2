"""What signals do to a process, seen from within: how often they count, and when it is too late."""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent_runtime import END, Context, Graph, Runtime, State
from agent_runtime.outcome import Outcome
from agent_runtime.shutdown import drained_by_signals

from .conftest import Telemetry

SHUTDOWN = sys.modules["agent_runtime.shutdown"]
WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}
Step = tuple[Mapping[str, Any], str]


@dataclass
class Process:
    """What the server was told, and with which codes the process was ended."""

    told: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)


@pytest.fixture
def process() -> Iterator[Process]:
    """This one, which only notes down how it would end."""
    noted = Process()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda got, _: noted.told.append(got)) for number in numbers]
    # Not the fixture of pytest, which `telemetry` undoes.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "_exit", noted.ended.append)
        yield noted
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def signalled(node: Callable[[], Awaitable[None]], *signals: int, drain_s: float) -> Outcome:
    """How a run ends in whose node these signals come, 0.1 s apart."""

    async def go() -> Outcome:
        graph, begun = Graph(), asyncio.Event()

        @graph.node(entry=True)
        async def only(state: State, ctx: Context) -> Step:
            begun.set()
            await node()
            return {}, END

        runtime = Runtime(graph, agent_name="a", finish_s=drain_s, drain_s=drain_s)
        with drained_by_signals([runtime], 0.0):
            running = asyncio.create_task(runtime.run("hi", **WHO))
            await begun.wait()
            for number in signals:
                signal.raise_signal(number)
                await asyncio.sleep(0.1)
            outcome = (await running).outcome
            await runtime.aclose()
            return outcome

    return asyncio.run(asyncio.wait_for(go(), 20))


@pytest.mark.parametrize("supervisor", ["uvicorn", "gunicorn"])
def test_a_signal_that_a_worker_gets_twice_counts_once(
    process: Process, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, supervisor: str
) -> None:
    """It gets Ctrl-C from the terminal and SIGTERM from its supervisor: that is no second
    request, and the run has the time to finish."""
    if supervisor == "uvicorn":
        monkeypatch.setattr(multiprocessing, "parent_process", object)
    else:
        monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/25.0.0")

    async def node() -> None:
        await asyncio.sleep(0.5)

    outcome = signalled(node, signal.SIGINT, signal.SIGTERM, drain_s=10)
    assert (outcome.kind, outcome.reason) == ("success", None)
    assert (process.told, process.ended) == ([signal.SIGINT], [])


def test_a_second_one_cuts_the_run(
    process: Process, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, when nobody is there who would send it twice."""
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)

    async def node() -> None:
        await asyncio.sleep(60)

    outcome = signalled(node, signal.SIGINT, signal.SIGTERM, drain_s=10)
    assert (outcome.kind, outcome.reason) == ("interrupt", "shutdown")
    assert process.told == [signal.SIGTERM]


def test_a_process_that_is_held_up_ends_in_time(
    process: Process, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one signal only, also when a node lets nothing else happen."""
    monkeypatch.setattr(SHUTDOWN, "END_S", 0.2)
    ended_by_then: list[int] = []

    async def node() -> None:
        await asyncio.sleep(0.02)
        time.sleep(0.8)  # noqa: ASYNC251 - as careless code does
        ended_by_then.extend(process.ended)

    signalled(node, signal.SIGTERM, drain_s=0.1)
    assert ended_by_then == [128 + signal.SIGTERM]


def test_what_comes_behind_the_end_of_serving_has_the_time_it_needs(
    process: Process, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that goes on when its server has ended is not ended with it."""
    monkeypatch.setattr(SHUTDOWN, "END_S", 0.2)

    async def node() -> None:
        await asyncio.sleep(0.05)

    signalled(node, signal.SIGTERM, drain_s=0.1)
    time.sleep(0.5)
    assert process.ended == []
