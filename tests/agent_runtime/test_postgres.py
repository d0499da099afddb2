"""What PostgreSQL alone may do to runs, and what it sees of them."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from agent_runtime import (
    END,
    Context,
    Graph,
    PostgresStore,
    RunResult,
    Runtime,
    State,
    StoreError,
)
from agent_runtime.store.postgres import ACQUIRE_S, POOL_SIZE
from agent_runtime.store.statements import statement
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


def walk(nodes: int, node_s: float) -> Graph:
    """A graph that takes so many nodes, each so long, as if it asked a model."""

    async def step(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        await asyncio.sleep(node_s)
        count = state.values.get("count", 0) + 1
        return {"count": count}, "step" if count < nodes else END

    return graph_of(step)


Disturb = Callable[[Cluster, str], None]


def restart(postgres: Cluster, dsn: str) -> None:
    postgres.stop()
    postgres.start()


def lock(postgres: Cluster, dsn: str) -> None:
    """Longer than a statement waits for a connection."""
    with psycopg.connect(dsn) as blocker:
        blocker.execute("LOCK TABLE agent_checkpoint")
        time.sleep(5)


async def disturbed(
    postgres: Cluster, disturb: Disturb, graph: Graph, runs: int, pool_size: int = POOL_SIZE
) -> list[RunResult]:
    """What became of runs in the middle of which something happened to the database; that none
    hangs is that this returns."""
    dsn = postgres.database()
    store = PostgresStore(dsn, pool_size=pool_size)
    async with Runtime(graph, agent_name="a", store=store) as runtime:
        await runtime.open()  # makes the tables
        ended = asyncio.gather(*(runtime.run("go", thread_id=f"t{n}", **WHO) for n in range(runs)))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(disturb, postgres, dsn)
        return await asyncio.wait_for(ended, 60)


def test_a_restart_of_the_database_is_waited_for(postgres: Cluster, telemetry: Telemetry) -> None:
    """Runs that are in the middle of things write their checkpoints when it is back."""
    results = asyncio.run(disturbed(postgres, restart, walk(15, 0.05), runs=20))
    assert [result.outcome.kind for result in results] == ["success"] * 20
    assert len(telemetry.lines("agent.node")) == 20 * 15


def test_a_lock_on_the_checkpoints_is_waited_for(postgres: Cluster, telemetry: Telemetry) -> None:
    """While a migration or a report holds the table, the pool's two connections are stuck in it,
    and everybody else waits in vain for one, more than once: all runs finish afterwards."""
    results = asyncio.run(disturbed(postgres, lock, walk(15, 0.05), runs=20, pool_size=2))
    assert [result.outcome.kind for result in results] == ["success"] * 20
    assert len(telemetry.lines("agent.node")) == 20 * 15
    waited = [line["db_wait_ms"] for line in telemetry.lines("agent.run")]
    assert max(waited) > 1000 * ACQUIRE_S


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("disturb", [restart, lock])
def test_a_large_crowd_outlives_what_happens_to_the_database(
    postgres: Cluster, telemetry: Telemetry, disturb: Disturb
) -> None:
    """500 runs of six nodes: none hangs, each has one summary, and those that did not finish say
    that it was the store; behind a lock of five seconds all finish."""
    results = asyncio.run(disturbed(postgres, disturb, walk(6, 2), runs=500))
    assert len(telemetry.lines("agent.run")) == 500
    failed = [result.outcome.error for result in results if result.outcome.kind != "success"]
    assert {type(error) for error in failed} <= {StoreError}
    assert not (failed and disturb is lock)
    finished = len(results) - len(failed)
    nodes = [line for line in telemetry.lines("agent.node") if line["outcome"] == "success"]
    assert len(nodes) >= 6 * finished


def held_while_all_wait(postgres: Cluster, runs: int, pool_size: int) -> int:
    """Connections that are in use all the time while so many runs wait for their models: the fewest
    of some looks, for leases are renewed meanwhile."""

    async def run() -> int:
        thinking, release = asyncio.Semaphore(0), asyncio.Event()

        async def think(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            thinking.release()
            await release.wait()
            return {}, END

        store = PostgresStore(postgres.database(), pool_size=pool_size)
        async with Runtime(graph_of(think), agent_name="a", store=store) as runtime:
            ended = asyncio.gather(
                *(runtime.run("go", thread_id=f"t{n}", **WHO) for n in range(runs))
            )
            for _ in range(runs):
                await thinking.acquire()
            looks = []
            for _ in range(50):
                looks.append(store._pool.get_stats())
                await asyncio.sleep(0.01)
            release.set()
            assert {result.outcome.kind for result in await ended} == {"success"}
        assert 1 <= looks[-1]["pool_size"] <= pool_size
        return min(stats["pool_size"] - stats["pool_available"] for stats in looks)

    return asyncio.run(run())


def test_nobody_holds_a_connection_while_they_wait(postgres: Cluster, telemetry: Telemetry) -> None:
    """A pool of one serves a crowd, because it is held for a statement only; the summary says how
    long a run has waited for it."""
    assert held_while_all_wait(postgres, runs=20, pool_size=1) == 0
    waits = [line["db_wait_ms"] for line in telemetry.lines("agent.run")]
    assert min(waits) >= 0
    assert max(waits) > 0


@pytest.mark.nightly
def test_nobody_of_a_large_crowd_holds_a_connection(
    postgres: Cluster, telemetry: Telemetry
) -> None:
    """The same of 500 runs and a pool of the usual size."""
    assert held_while_all_wait(postgres, runs=500, pool_size=POOL_SIZE) == 0


STANDS = "SELECT thread_id FROM agent_checkpoint WHERE seq = 2 AND next_node = '__end__'"
FREE = "SELECT count(*) FROM agent_thread WHERE lease_until <= clock_timestamp()"


@pytest.mark.parametrize(("drain_s", "locked_s"), [(15, 0.5), (0.1, 3)])
def test_a_shutdown_closes_the_pool_behind_the_last_write(
    postgres: Cluster, telemetry: Telemetry, drain_s: float, locked_s: float
) -> None:
    """However long the database takes for it, and whether or not the time of runs is over: every
    node that ended has its checkpoint, and every thread is given back."""

    async def run() -> list[RunResult]:
        thinking, release = asyncio.Semaphore(0), asyncio.Event()

        async def think(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            thinking.release()
            await release.wait()
            return {}, END

        dsn = postgres.database()
        store = PostgresStore(dsn, pool_size=1)  # one writes, and the others wait for it
        runtime = Runtime(
            graph_of(think), agent_name="a", store=store, finish_s=drain_s, drain_s=drain_s
        )
        ended = asyncio.gather(*(runtime.run("go", thread_id=f"t{n}", **WHO) for n in range(5)))
        for _ in range(5):
            await thinking.acquire()
        async with await psycopg.AsyncConnection.connect(dsn) as blocker:
            await blocker.execute("LOCK TABLE agent_checkpoint IN SHARE MODE")
            release.set()
            closing = asyncio.create_task(runtime.aclose())
            await asyncio.sleep(locked_s)
            assert not closing.done()
        await closing
        async with await psycopg.AsyncConnection.connect(dsn) as reader:
            stands = await (await reader.execute(STANDS)).fetchall()
            assert sorted(stands) == [(f"t{n}",) for n in range(5)]
            assert await (await reader.execute(FREE)).fetchall() == [(5,)]
        return await ended

    results = asyncio.run(run())
    kind = "success" if drain_s > locked_s else "interrupt"
    assert [result.outcome.kind for result in results] == [kind] * 5
    assert len(telemetry.lines("agent.run")) == 5


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


def test_nobody_takes_a_lease_under_a_checkpoint(postgres: Cluster) -> None:
    """Between the check of the fence and the write: who comes meanwhile waits, and finds it."""
    dsn = postgres.database()
    thread = {"tenant_id": "acme", "agent_name": "a", "thread_id": "t"}
    checkpoint = thread | {
        "fence": 1, "seq": 1, "run_id": "one", "turn_id": "one", "step": 0, "next_node": "hello",
        "messages": "[]", "state_values": "{}", "interrupts": "{}", "tally": "{}",
    }  # fmt: skip

    async def run() -> None:
        store = PostgresStore(dsn)
        await store.execute("acquire_lease", **thread, owner="one", lease_s=0.0, create=True)
        taking = store.execute("acquire_lease", **thread, owner="two", lease_s=9.0, create=False)
        with psycopg.connect(dsn) as writer:
            writer.execute(statement("postgres", "save_checkpoint"), checkpoint)
            taker = asyncio.create_task(taking)
            await asyncio.sleep(0.5)
            assert not taker.done()
            writer.commit()
        assert await taker == [{"fence": 2}]
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
