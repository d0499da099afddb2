"""Optional work: what ends by itself, however it does, and what ends with its run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from agent_runtime import END, Context, Runtime, State

from .agents import WHO, Step, graph_of
from .conftest import Telemetry


class Panic(BaseException):
    """What a library in Rust raises when it panics."""


async def cancelled() -> str:
    """Waits for something that somebody else cancels, as clients do whose connection is closed."""
    waiting = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(waiting.cancel)
    await waiting
    return "fact"


async def panics() -> str:
    raise Panic


def run(*steps: Step) -> None:
    async def go() -> None:
        async with Runtime(graph_of(*steps), agent_name="a") as runtime:
            await runtime.run("hello", thread_id="t1", **WHO)

    asyncio.run(go())


@pytest.mark.parametrize("work", [cancelled, panics])
def test_whatever_ends_optional_work_the_run_goes_on(
    telemetry: Telemetry, work: Callable[[], Awaitable[str]]
) -> None:
    """With the default, and degraded: a cancellation of the work's own is none of the run."""
    told: list[str] = []

    async def recall(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        told.append(await ctx.optional(work(), name="memory", default="nothing"))
        return {}, END

    run(recall)
    line = telemetry.summary()
    assert (line["outcome"], line["degraded"], told) == ("success", ["memory"], ["nothing"])


@pytest.mark.parametrize("as_task", [False, True])
def test_what_was_too_slow_once_is_not_waited_for_again_in_the_run(
    telemetry: Telemetry, as_task: bool
) -> None:
    """A memory that hangs costs a run its time once, however often the run asks, and the next run
    asks again. What failed at once is asked again at once."""
    begun: list[str] = []
    took: list[float] = []

    async def work(name: str) -> str:
        begun.append(name)
        if name == "fails":
            raise ConnectionError
        await asyncio.sleep(60)
        return "fact"

    async def recall(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        began = time.monotonic()
        for name in ("hangs", "fails") * 3:
            asked: Awaitable[str] = work(name)
            asked = asyncio.ensure_future(asked) if as_task else asked
            said = await ctx.optional(asked, name=name, timeout_s=0.3, default="nothing")
            assert said == "nothing"
        took.append(time.monotonic() - began)
        return {}, END

    run(recall)
    assert begun == ["hangs", "fails", "fails", "fails"]
    assert 0.3 <= took[0] < 0.85
    assert telemetry.summary()["degraded"] == ["hangs", "fails"]
    run(recall)
    assert begun.count("hangs") == 2


def test_a_run_that_is_cut_in_optional_work_ends(telemetry: Telemetry) -> None:
    """Nothing has failed that a default could stand in for."""
    begun = asyncio.Event()

    async def recall(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        begun.set()
        await ctx.optional(asyncio.sleep(60), name="memory", timeout_s=60, default=None)
        return {}, END

    async def leave() -> None:
        async with Runtime(graph_of(recall), agent_name="a") as runtime:
            begins = await runtime.begin("hello", thread_id="t1", **WHO)
            await begun.wait()
            await begins.finish()

    asyncio.run(leave())
    line = telemetry.summary()
    assert (line["outcome_reason"], line["degraded"]) == ("client_disconnect", [])


def test_a_question_in_optional_work_is_asked(telemetry: Telemetry) -> None:
    """It is no failure either."""

    async def recall(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        async def ask() -> str:
            return str(ctx.interrupt("May I?"))

        await ctx.optional(ask(), name="memory", default="no")
        return {}, END

    run(recall)
    line = telemetry.summary()
    assert (line["outcome_reason"], line["degraded"]) == ("human", [])
