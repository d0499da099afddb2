"""Writes that a human decides on, or the upstream: in doubt, or waiting for approval."""

from typing import Any

from agent_runtime import (
    Context,
    NotDone,
    Runtime,
    tool,
)

from .conftest import Telemetry
from .payments import Payments
from .writing import PEN, WHO, answers, asking, call, charger, with_runtime


def test_a_write_in_doubt_asks_a_human(bank: Payments, telemetry: Telemetry) -> None:
    """The run is interrupted with what they need to know; their answer is the tool's."""
    bank.faults = ["lose the reply"]

    async def work(runtime: Runtime) -> None:
        asked = (await runtime.run("a pen", **WHO)).outcome
        assert (asked.kind, asked.reason) == ("interrupt", "human")
        assert asked.payload["kind"] == "write_in_doubt"
        assert (asked.payload["tool"], asked.payload["arguments"]) == ("charge", PEN)
        assert asked.payload["idempotency_key"] == bank.keys[0]
        assert asked.payload["error_class"] == "httpx.RemoteProtocolError"
        unclear = await runtime.resume(**WHO, value="it was done, I think")
        assert unclear.outcome.reason == "human"
        result = await runtime.resume(**WHO, value={"done": True, "result": {"charge": 0}})
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
        assert (await runtime.run("a pen", **WHO)).outcome.reason == "human"
        again = await runtime.resume(**WHO, value={"done": False})
        assert again.outcome.reason == "human"
        assert len(bank.effects) == 1
        result = await runtime.resume(**WHO, value={"done": True})
        assert (result.outcome.kind, answers(result)) == ("success", [None])

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 2
    assert len(set(bank.requests)) == 1


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
        assert (await runtime.run("a pen", **WHO)).outcome.payload == {"approve": "pen"}
        assert bank.requests == []
        result = await runtime.resume(**WHO, value=True)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charge_if_approved], call("charge_if_approved", 1, **PEN)), work)
