"""What PostgreSQL alone may do to runs, and what it sees of them."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from agent_runtime import (
    END,
    Context,
    PostgresStore,
    RunResult,
    Runtime,
    State,
    StoreError,
)
from tests.postgres import Cluster

from .agents import WHO, graph_of, hello
from .conftest import Telemetry


def test_those_who_wait_for_a_database_give_up_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it cannot be reached they share one attempt, rather than begin one after the other;
    whoever comes later begins another one."""
    monkeypatch.setattr(sys.modules["agent_runtime.store.postgres"], "PATIENCE_S", 0.3)

    async def ask(store: PostgresStore) -> BaseException:
        with pytest.raises(StoreError, match=r"PostgreSQL 127\.0\.0\.1/nowhere") as failed:
            await store.execute("version")
        return failed.value

    async def run() -> None:
        store = PostgresStore("postgresql://nobody@127.0.0.1:9/nowhere")
        failures = await asyncio.gather(*(ask(store) for _ in range(5)))
        assert len({id(failure.__cause__) for failure in failures}) == 1
        assert (await ask(store)).__cause__ is not failures[0].__cause__
        await store.close()

    asyncio.run(run())


def test_a_restart_of_the_database_is_waited_for(postgres: Cluster, telemetry: Telemetry) -> None:
    """Runs that are in the middle of things write their checkpoints when it is back."""

    async def run() -> list[RunResult]:
        async def step(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            await asyncio.sleep(0.05)
            count = state.values.get("count", 0) + 1
            return {"count": count}, "step" if count < 15 else END

        async with Runtime(graph_of(step), agent_name="a", store=postgres.database()) as runtime:
            runs = asyncio.gather(*(runtime.run("go", thread_id=f"t{n}", **WHO) for n in range(20)))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(postgres.stop)
            await asyncio.to_thread(postgres.start)
            return await asyncio.wait_for(runs, 40)

    assert [result.outcome.kind for result in asyncio.run(run())] == ["success"] * 20
    assert len(telemetry.lines("agent.node")) == 20 * 15


def test_nobody_holds_a_connection_while_they_wait(postgres: Cluster, telemetry: Telemetry) -> None:
    """A pool of one serves a crowd, because it is held for a statement only; the summary says how
    long a run has waited for it."""

    async def run() -> None:
        thinking, release = asyncio.Semaphore(0), asyncio.Event()

        async def think(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            thinking.release()
            await release.wait()
            return {}, END

        store = PostgresStore(postgres.database(), pool_size=1)
        async with Runtime(graph_of(think), agent_name="a", store=store) as runtime:
            runs = asyncio.gather(*(runtime.run("go", thread_id=f"t{n}", **WHO) for n in range(20)))
            for _ in range(20):
                await thinking.acquire()
            stats = store._pool.get_stats()
            assert (stats["pool_size"], stats["pool_available"]) == (1, 1)
            release.set()
            assert {result.outcome.kind for result in await runs} == {"success"}

    asyncio.run(run())
    waits = [line["db_wait_ms"] for line in telemetry.lines("agent.run")]
    assert min(waits) >= 0
    assert max(waits) > 0


@pytest.mark.parametrize("own", [None, "reports"])
def test_the_database_sees_which_service_is_connected(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    """By the name that its telemetry has, unless the DSN says another one."""
    provider = TracerProvider(resource=Resource.create({"service.name": "support-desk"}))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    dsn = postgres.database() + (f"&application_name={own}" if own else "")

    async def run() -> None:
        store = PostgresStore(dsn)
        await store.open()
        with psycopg.connect(dsn) as watcher:
            found = watcher.execute("SELECT application_name FROM pg_stat_activity").fetchall()
        assert (own or "support-desk",) in found
        await store.close()

    asyncio.run(run())


def test_the_database_sees_who_asks(postgres: Cluster, telemetry: Telemetry) -> None:
    """Statements name the thread and the trace that they are for."""

    dsn = postgres.database()

    def watch() -> str:
        with psycopg.connect(dsn, autocommit=True) as watcher:
            while True:
                found = watcher.execute(
                    "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND application_name = 'agent_runtime'"
                ).fetchone()
                if found is not None:
                    return found[0]

    async def run() -> str:
        async with Runtime(graph_of(hello), agent_name="a", store=dsn) as runtime:
            await runtime.run("hi", thread_id="it's/*t", **WHO)
            with psycopg.connect(dsn) as blocker:
                blocker.execute("LOCK TABLE agent_checkpoint IN SHARE MODE")
                running = asyncio.create_task(runtime.run("hi", thread_id="it's/*t", **WHO))
                seen = await asyncio.to_thread(watch)
            await running
            return seen

    query = asyncio.run(run())
    assert query.startswith("/*thread_id='it%27s%2F%2At',traceparent='00-")
    assert "INSERT INTO agent_checkpoint" in query
