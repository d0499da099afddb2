"""Writes that a human decides on, or the upstream: in doubt, or waiting for approval."""

import asyncio
from typing import Any

import pytest

from agent_runtime import (
    Context,
    NotAsked,
    NotDone,
    Runtime,
    Tool,
    WritePending,
    open_store,
    tool,
)

from .conftest import Telemetry
from .payments import Payments
from .writing import PEN, WHO, answers, asking, call, charger, with_runtime


def test_a_write_in_doubt_asks_a_human(bank: Payments, telemetry: Telemetry) -> None:
    """The run is interrupted with what they need to know; their answer is the tool's."""
    bank.faults = ["lose the reply"]

    async def work(runtime: Runtime) -> None:
        first = await runtime.run("a pen", **WHO)
        asked = first.outcome
        assert (asked.kind, asked.reason) == ("interrupt", "human")
        assert asked.payload["kind"] == "write_in_doubt"
        assert (asked.payload["tool"], asked.payload["arguments"]) == ("charge", PEN)
        assert asked.payload["idempotency_key"] == bank.keys[0]
        assert asked.payload["error_class"] == "httpx.RemoteProtocolError"
        unclear = await runtime.resume(**WHO, value="it was done, I think", question=first.question)
        assert unclear.question == first.question  # it is still the same doubt
        assert unclear.outcome.reason == "human"
        result = await runtime.resume(
            **WHO, question=first.question, value={"done": True, "result": {"charge": 0}}
        )
        assert (result.outcome.kind, answers(result)) == ("success", [{"charge": 0}])

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 1
    outcomes = [line["outcome"] for line in telemetry.lines("agent.tool")]
    assert outcomes == ["interrupt", "interrupt", "success"]


def test_what_a_human_found_not_done_is_done_when_the_thread_is_resumed(
    bank: Payments, telemetry: Telemetry
) -> None:
    """Once, under the same key; if that is in doubt again, they are asked again."""
    bank.faults = ["fail first", "lose the reply"]

    async def work(runtime: Runtime) -> None:
        asked = await runtime.run("a pen", **WHO)
        assert (await runtime.resume(**WHO)).question == asked.question is not None
        answer = {"value": {"done": False}, "question": asked.question}
        again = await runtime.resume(**WHO, **answer)
        assert again.outcome.reason == "human"
        assert len(bank.effects) == 1
        with pytest.raises(NotAsked):  # the same answer comes again
            await runtime.resume(**WHO, **answer)
        assert len(bank.requests) == 2
        result = await runtime.resume(**WHO, value={"done": True}, question=again.question)
        assert (result.outcome.kind, answers(result)) == ("success", [None])

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 2
    assert len(set(bank.requests)) == 1


def test_nothing_is_said_over_a_write_in_doubt(bank: Payments, telemetry: Telemetry) -> None:
    """A model that knows nothing of it would ask for it again, as another write. Once its outcome
    is known the thread goes on; other threads do at once."""
    bank.faults = ["lose the reply"]

    async def work(runtime: Runtime) -> None:
        asked = await runtime.run("a pen", **WHO)
        with pytest.raises(WritePending, match=rf"tool charge .*{bank.keys[0]}.*; resume it"):
            await runtime.run("did it work?", **WHO)
        other = await runtime.run("a pen", **WHO | {"thread_id": "t2"})
        assert other.outcome.kind == "success"
        value = {"done": True, "result": {"charge": 0}}
        await runtime.resume(**WHO, value=value, question=asked.question)
        assert (await runtime.run("another", **WHO)).outcome.kind == "success"

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 3


def slow_charger(begun: asyncio.Event) -> Tool:
    """A tool that charges for half a second."""

    @tool(writes=True)
    async def charge(order: str, cents: int) -> str:
        begun.set()
        await asyncio.sleep(0.5)
        return f"charged {cents} for a {order}"

    return charge


async def left_while_charging(runtime: Runtime, begun: asyncio.Event) -> None:
    """Run until the write is under way, and go."""
    run = asyncio.create_task(runtime.run("a pen", **WHO))
    await begun.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def resumed(runtime: Runtime) -> list[str]:
    """What the tools of a resumed turn have answered."""
    result = await runtime.resume(**WHO)
    assert result.outcome.kind == "success"
    return [each.content for each in result.messages if each.role == "tool"]


def test_nothing_is_said_over_a_write_whose_client_left(telemetry: Telemetry) -> None:
    """It goes on without them, and the resumed turn hears of it."""
    begun = asyncio.Event()

    async def work(runtime: Runtime) -> None:
        await left_while_charging(runtime, begun)
        with pytest.raises(WritePending):
            await runtime.run("did it work?", **WHO)
        assert await resumed(runtime) == ["charged 500 for a pen"]

    with_runtime(asking([slow_charger(begun)], call(**PEN)), work)


def test_upstream_is_asked_with_the_context_of_the_write(
    bank: Payments, telemetry: Telemetry
) -> None:
    """A ``resolve`` gets key and context, and its answer is the tool's."""
    bank.faults = ["lose the reply"]

    async def became(key: str, ctx: Context) -> Any:
        assert key == ctx.idempotency_key
        found = await ctx.http.get(f"{bank.url}/charges/{key}")
        if found.status_code == 404:
            raise NotDone(key)
        return found.raise_for_status().json()

    async def work(runtime: Runtime) -> None:
        result = await runtime.run("a pen", **WHO)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charger(bank, resolve=became)], call(**PEN)), work)
    assert len(bank.requests) == 1
    assert (telemetry.span("execute_tool").attributes or {})["agent.replayed"] is True


def test_a_write_may_wait_for_approval(bank: Payments, telemetry: Telemetry) -> None:
    """It holds no claim meanwhile, and acts once it was approved."""
    charge = charger(bank)

    @tool(writes=True)
    async def charge_if_approved(order: str, cents: int, ctx: Context) -> Any:
        if not ctx.interrupt({"approve": order}):
            raise NotDone("not approved")
        return await charge.function(order, cents, ctx)

    async def work(runtime: Runtime) -> None:
        asked = await runtime.run("a pen", **WHO)
        assert asked.outcome.payload == {"approve": "pen"}
        assert bank.requests == []
        result = await runtime.resume(**WHO, value=True, question=asked.question)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charge_if_approved], call("charge_if_approved", 1, **PEN)), work)


def test_a_store_is_closed_behind_the_last_that_uses_it(dsn: str) -> None:
    """Of two runtimes that share one, the first to end leaves it to what the other is writing."""
    store, begun = open_store(dsn), asyncio.Event()
    graph = asking([slow_charger(begun)], call(**PEN))

    async def run() -> None:
        first, second = (Runtime(graph, agent_name=name, store=store) for name in "ab")
        await left_while_charging(second, begun)
        await first.aclose()
        await second.aclose()
        async with Runtime(graph, agent_name="b", store=dsn) as runtime:
            assert await resumed(runtime) == ["charged 500 for a pen"]

    asyncio.run(run())
