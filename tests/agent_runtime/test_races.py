"""What happens at once: runs that begin together, and leases that are renewed as their runs end."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Draining,
    Graph,
    Limits,
    Message,
    Runtime,
    State,
    Store,
    TenantBusy,
    ToolCall,
    open_store,
)
from agent_runtime.store import Row

from .agents import WHO, graph_of, hello
from .conftest import Telemetry


class Late:
    """A store that is slow at one statement, and carries it out whoever stops waiting for it."""

    def __init__(self, dsn: str, statement: str, seconds: float) -> None:
        self._store: Store = open_store(dsn)
        self._statement, self._seconds = statement, seconds
        self.asked = asyncio.Event()
        self.open, self.close = self._store.open, self._store.close

    async def execute(self, name: str, *rest: Any, **values: Any) -> list[Row]:
        if name != self._statement:
            return await self._store.execute(name, *rest, **values)
        self.asked.set()
        return await asyncio.shield(asyncio.create_task(self._late(name, *rest, **values)))

    async def _late(self, name: str, *rest: Any, **values: Any) -> list[Row]:
        await asyncio.sleep(self._seconds)
        return await self._store.execute(name, *rest, **values)


def stopping_at_a_call() -> Graph:
    """Its first turn fails behind a call of a tool, so that the next one looks for its claim."""

    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        if state.last_user == "first":
            return {"messages": [Message("assistant", "", (ToolCall("c1", "look", "{}"),))]}, "stop"
        await asyncio.sleep(0.1)
        return {}, END

    async def stop(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise RuntimeError("here it stops")

    return graph_of(agent, stop)


def test_a_tenant_has_no_more_runs_than_allowed_however_they_begin(
    dsn: str, telemetry: Telemetry
) -> None:
    """Also where the store is asked something at last: those that meet there are not all let in."""

    async def run() -> None:
        store, limits = Late(dsn, "find_claim", 0.05), Limits(runs_per_tenant=1)
        async with Runtime(
            stopping_at_a_call(), agent_name="a", store=store, limits=limits
        ) as runtime:
            for number in range(3):
                await runtime.run("first", thread_id=f"t{number}", **WHO)
            begun = (runtime.run("again", thread_id=f"t{number}", **WHO) for number in range(3))
            ended = await asyncio.gather(*begun, return_exceptions=True)
            refused = [each for each in ended if isinstance(each, TenantBusy)]
            assert len(refused) == 2
            for number in range(3):  # and their threads are free
                again = await runtime.run("again", thread_id=f"t{number}", **WHO)
                assert again.outcome.kind == "success"

    asyncio.run(run())


def test_no_run_begins_behind_a_shutdown(dsn: str, telemetry: Telemetry) -> None:
    """Also one that waits for the store by then: it is refused, not begun and cut."""

    async def run() -> None:
        store = Late(dsn, "find_claim", 0.05)
        async with Runtime(stopping_at_a_call(), agent_name="a", store=store) as runtime:
            await runtime.run("first", thread_id="t", **WHO)
            begun = asyncio.create_task(runtime.run("again", thread_id="t", **WHO))
            await store.asked.wait()
            await runtime.drain()
            with pytest.raises(Draining):
                await begun

    asyncio.run(run())
    assert len(telemetry.lines("agent.run")) == 1


def test_a_lease_is_given_back_behind_its_renewal(dsn: str, telemetry: Telemetry) -> None:
    """A run that ends while its lease is renewed leaves a thread that anybody may run at once."""

    async def run() -> None:
        store = Late(dsn, "renew_lease", 0.3)

        async def until_it_is_renewed(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            await store.asked.wait()
            return {}, END

        graph = graph_of(until_it_is_renewed)
        async with Runtime(graph, agent_name="a", store=store, lease_s=1.5) as runtime:
            assert (await runtime.run("hi", thread_id="t", **WHO)).outcome.kind == "success"
            await asyncio.sleep(0.4)
            assert not (await runtime.thread("t", tenant_id="acme"))[1]
            assert (await runtime.run("hi", thread_id="t", **WHO)).outcome.kind == "success"

    asyncio.run(run())


def test_a_free_thread_is_free_by_any_clock(dsn: str, telemetry: Telemetry) -> None:
    """A clock that is set back an hour makes nobody wait for a lease that was given back."""

    async def run() -> None:
        async with Runtime(graph_of(hello), agent_name="a", store=dsn) as runtime:
            await runtime.run("hi", thread_id="t", **WHO)
            key = {"tenant_id": "acme", "agent_name": "a", "thread_id": "t"}
            [left] = await runtime._store.execute("lease_left", **key)
            assert left["seconds"] < -time.time() / 2

    asyncio.run(run())
