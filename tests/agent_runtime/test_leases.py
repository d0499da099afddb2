"""Who may run a thread, and who no longer may."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Draining,
    LeaseLost,
    NothingToResume,
    Runtime,
    SqliteStore,
    State,
    StoreError,
    ThreadBusy,
)
from agent_runtime.tally import Tally
from agent_runtime.threads import HeldThread, ThreadKey

from .agents import WHO, graph_of, hello
from .conftest import Telemetry

KEY = ThreadKey("acme", "a", "t")


def test_a_thread_runs_once_at_a_time(dsn: str, telemetry: Telemetry) -> None:
    """Whoever comes while it runs is told when to ask again; no run, and no line, comes of it."""

    async def run() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def wait(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            started.set()
            await release.wait()
            return {}, END

        async with Runtime(graph_of(wait), agent_name="a", store=dsn) as runtime:
            running = asyncio.create_task(runtime.run("one", thread_id="t", **WHO))
            await started.wait()
            async with Runtime(graph_of(wait), agent_name="a", store=dsn) as replica:
                for refused in (
                    replica.run("two", thread_id="t", **WHO),
                    replica.resume("t", **WHO),
                ):
                    with pytest.raises(ThreadBusy, match="'t' is being run") as busy:
                        await refused
                    assert 1 <= (busy.value.retry_after_s or 0) <= 15
                assert (await replica.thread("t", tenant_id="acme"))[1]
            release.set()
            assert (await running).outcome.kind == "success"
            with pytest.raises(NothingToResume, match="is done"):
                await runtime.resume("t", **WHO)

    asyncio.run(run())
    assert len(telemetry.lines("agent.run")) == 1


def test_a_lost_lease_stops_the_run(tmp_path: Path, telemetry: Telemetry) -> None:
    """A run that cannot renew its lease is cut when the lease ends, in its node, as an error."""

    class Unrenewable(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "renew_lease" and values["lease_s"]:
                raise StoreError("the network is down")
            return await super().execute(name, *rest, **values)

    async def forever(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        await asyncio.sleep(60)
        return {}, END

    async def run() -> None:
        store = Unrenewable(tmp_path / "threads.db")
        async with Runtime(graph_of(forever), agent_name="a", store=store, lease_s=0.3) as runtime:
            result = await runtime.run("go", thread_id="t", **WHO)
            assert isinstance(result.outcome.error, LeaseLost)

    asyncio.run(run())
    assert telemetry.summary()["error_class"] == "agent_runtime.errors.LeaseLost"


class Renewing(SqliteStore):
    """Takes its time for the first renewal of a lease, and hangs in the second."""

    renewals = 0

    async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
        rows = await super().execute(name, *rest, **values)
        if name == "renew_lease" and values["lease_s"]:
            self.renewals += 1
            await asyncio.sleep(0.9 if self.renewals == 1 else 60)
        return rows


def test_a_lease_counts_from_before_its_renewal(tmp_path: Path) -> None:
    """The store may have renewed it as soon as it was asked, however late it says so; and a store
    that does not answer holds nobody up beyond the lease."""

    async def run() -> float:
        store = Renewing(tmp_path / "threads.db")
        held = await HeldThread.acquire(store, KEY, "r1", 1.5, Tally(), create=True)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(20):
            await held.keep()
        await store.close()
        assert store.renewals == 2
        return asyncio.get_running_loop().time() - began

    # It is asked after 0.5 s, says so after 1.4 s, and is asked again after 1.9 s at the latest.
    assert 1.9 < asyncio.run(run()) < 2.6


def test_a_run_that_is_cancelled_twice_gives_its_thread_back(dsn: str) -> None:
    """As by anyio, which cancels again whoever still waits for something to end."""

    async def wait(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        begun.set()
        await asyncio.sleep(60)
        return {}, END

    async def run() -> None:
        async with Runtime(graph_of(wait), agent_name="a", store=dsn) as runtime:
            running = asyncio.create_task(runtime.run("hi", thread_id="t", **WHO))
            await begun.wait()
            for _ in range(2):
                running.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await running
            for _ in range(100):
                await asyncio.sleep(0.05)
                _, running_still = await runtime.thread("t", tenant_id="acme")
                if not running_still:
                    break
            assert not running_still

    begun = asyncio.Event()
    asyncio.run(run())


def test_a_lease_that_nobody_waits_for_any_more_is_given_back(tmp_path: Path) -> None:
    """Who is cancelled while it is taken does not block the thread for as long as it would hold."""
    taking = asyncio.Event()

    class Slow(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "acquire_lease" and not taking.is_set():
                taking.set()
                rows = await super().execute(name, *rest, **values)
                await asyncio.sleep(0.1)
                return rows
            return await super().execute(name, *rest, **values)

    async def run() -> None:
        store = Slow(tmp_path / "threads.db")
        async with Runtime(graph_of(hello), agent_name="a", store=store) as runtime:
            left = asyncio.create_task(runtime.run("hi", thread_id="t", **WHO))
            await taking.wait()
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
            for _ in range(100):
                await asyncio.sleep(0.02)
                rows = await store.execute("lease_left", **asdict(KEY))
                if rows and rows[0]["seconds"] <= 0:
                    break
            assert (await runtime.run("hi", thread_id="t", **WHO)).outcome.kind == "success"

    asyncio.run(run())


def test_a_run_that_waits_for_its_lease_when_a_shutdown_begins_is_refused(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    """It came before, and is too late all the same: nothing of it runs, and another process may
    have its thread."""
    waits, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            rows = await super().execute(name, *rest, **values)
            if name == "acquire_lease":
                waits.set()
                await goes_on.wait()
            return rows

    async def run() -> None:
        path = tmp_path / "threads.db"
        async with Runtime(graph_of(hello), agent_name="a", store=Slow(path)) as runtime:
            early = asyncio.create_task(runtime.run("hi", thread_id="t", **WHO))
            await waits.wait()
            draining = asyncio.create_task(runtime.drain())
            await asyncio.sleep(0)
            goes_on.set()
            with pytest.raises(Draining):
                await early
            await draining
        assert not telemetry.lines()
        async with Runtime(graph_of(hello), agent_name="a", store=f"sqlite:///{path}") as other:
            assert (await other.run("hi", thread_id="t", **WHO)).outcome.kind == "success"

    asyncio.run(run())


def test_late_writes_are_refused(dsn: str) -> None:
    """Once another run has the thread, the one that was taken for dead writes nothing more, and
    cannot take the lease from it by giving its own back."""

    async def run() -> None:
        async with Runtime(graph_of(hello), agent_name="a", store=dsn) as runtime:
            await runtime.run("hi", thread_id="t", **WHO)
            store, key = runtime._store, KEY
            late = await HeldThread.acquire(store, key, "r1", 0.1, Tally(), create=False)
            await asyncio.sleep(0.15)
            await HeldThread.acquire(store, key, "r2", 15.0, Tally(), create=False)
            with pytest.raises(LeaseLost, match="another run has thread 't'"):
                await late.save(late.first("late", "r1", "hello"))
            await late.release()
            with pytest.raises(ThreadBusy):
                await runtime.run("hi", thread_id="t", **WHO)

    asyncio.run(run())
