"""Threads over their runs: what is kept, who may go on, and what humans are asked."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent_runtime import (
    END,
    Context,
    Event,
    Graph,
    LeaseLost,
    NothingToResume,
    PostgresStore,
    RunResult,
    Runtime,
    SqliteStore,
    State,
    StateNotStorable,
    StoreError,
    ThreadBusy,
    ThreadNotFound,
    tool,
)
from agent_runtime.messages import Message, ToolCall
from agent_runtime.tally import Tally
from agent_runtime.threads import HeldThread, ThreadKey
from tests.postgres import Cluster

from .conftest import Telemetry

WHO = {"tenant_id": "acme", "user_id": "ada"}
Step = Callable[[State, Context], Awaitable[tuple[Mapping[str, Any], str]]]


def of(*steps: Step) -> Graph:
    """A graph that begins with the first one; nodes are named like the functions."""
    graph = Graph()
    for step in steps:
        graph.node(entry=step is steps[0])(step)
    return graph


async def hello(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
    said = f"hello {len(state.messages)}"
    return {"messages": [Message("assistant", said)], "seen": len(state.messages)}, END


def test_a_thread_is_what_was_said_in_it(dsn: str) -> None:
    """Each turn follows those before, in another process as well; values end with their turn, and a
    thread of the same name of another tenant or agent is another thread."""

    async def run() -> None:
        for turn in range(2):
            async with Runtime(of(hello), agent_name="a", store=dsn) as runtime:
                result = await runtime.run(f"turn {turn}", thread_id="t", **WHO)
                assert result.text == f"hello {turn * 2 + 1}"
                at, running = await runtime.thread("t", tenant_id="acme")
                assert (at.turn_id, at.next_node, running) == (result.run_id, END, False)
                assert at.state.messages == result.messages
                assert at.state.values == {"seen": turn * 2 + 1}
        async with Runtime(of(hello), agent_name="b", store=dsn) as other:
            assert (await other.run("hi", thread_id="t", **WHO)).text == "hello 1"
        async with Runtime(of(hello), agent_name="a", store=dsn) as runtime:
            with pytest.raises(ThreadNotFound, match="no thread 't'"):
                await runtime.thread("t", tenant_id="globex")
            with pytest.raises(ThreadNotFound):
                await runtime.resume("t", tenant_id="globex", user_id="eve")
            globex = await runtime.run("hi", thread_id="t", tenant_id="globex", user_id="eve")
            assert globex.text == "hello 1"

    asyncio.run(run())


def test_a_thread_runs_once_at_a_time(dsn: str, telemetry: Telemetry) -> None:
    """Whoever comes while it runs is told when to ask again; no run, and no line, comes of it."""

    async def run() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def wait(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            started.set()
            await release.wait()
            return {}, END

        async with Runtime(of(wait), agent_name="a", store=dsn) as runtime:
            running = asyncio.create_task(runtime.run("one", thread_id="t", **WHO))
            await started.wait()
            async with Runtime(of(wait), agent_name="a", store=dsn) as replica:
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


def test_a_failed_turn_goes_on_where_it_failed(dsn: str, telemetry: Telemetry) -> None:
    """Under the same turn and with the steps counted on; nodes before do not run again."""
    calls: list[str] = []

    async def first(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        calls.append("first")
        return {"found": 1}, "second"

    async def second(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        calls.append("second")
        if len(calls) == 2:
            raise ConnectionError("down")
        return {"more": state.values["found"] + 1}, END

    async def run() -> None:
        async with Runtime(of(first, second), agent_name="a", store=dsn) as runtime:
            failed = await runtime.run("go", thread_id="t", **WHO)
            assert isinstance(failed.outcome.error, ConnectionError)
            resumed = await runtime.resume("t", **WHO)
            assert resumed.outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert (at.turn_id, at.run_id) == (failed.run_id, resumed.run_id)
            assert at.state.values == {"found": 1, "more": 2}

    asyncio.run(run())
    assert calls == ["first", "second", "second"]
    steps = [(line["node"], line["step"]) for line in telemetry.lines("agent.node")]
    assert steps == [("first", 1), ("second", 2), ("second", 2)]


def test_a_human_is_asked_and_answers(dsn: str, telemetry: Telemetry) -> None:
    """The run ends with the question; resumed with the answer, the node runs again and has it. Who
    resumes without one is asked again, and an answer outlives another interruption."""
    broken = [True]

    async def pay(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        approved = ctx.interrupt({"approve": 500})
        if broken:
            raise ConnectionError(f"the bank is down, {broken.pop()}")
        why = ctx.interrupt("why?")
        return {"approved": approved, "why": why}, END

    async def run() -> None:
        async with Runtime(of(pay), agent_name="a", store=dsn) as runtime:
            for asked in (
                await runtime.run("pay", thread_id="t", **WHO),
                await runtime.resume("t", **WHO),
            ):
                assert (asked.outcome.kind, asked.outcome.reason) == ("interrupt", "human")
                assert asked.outcome.payload == {"approve": 500}
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert at.asked is not None
            assert at.asked.payload == {"approve": 500}
            assert (await runtime.resume("t", value=None, **WHO)).outcome.kind == "error"
            with pytest.raises(NothingToResume, match="waits for no answer"):
                await runtime.resume("t", value=None, **WHO)
            assert (await runtime.resume("t", **WHO)).outcome.payload == "why?"
            assert (await runtime.resume("t", value="why not", **WHO)).outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert at.state.values == {"approved": None, "why": "why not"}

    asyncio.run(run())
    nodes = [(line["outcome"], line["outcome_reason"]) for line in telemetry.lines("agent.node")]
    human, error = ("interrupt", "human"), ("error", None)
    assert nodes == [human, human, error, human, ("success", None)]
    for span in telemetry.spans("node")[:2]:
        assert (span.attributes or {})["agent.outcome"] == "interrupt"
        assert span.status.is_unset


def test_a_tool_may_ask_a_human(dsn: str) -> None:
    """Beside others that are called at the same time; the client is told what is asked."""

    @tool
    async def look_up(city: str) -> str:
        """Finds a city."""
        return f"{city} found"

    @tool
    async def delete(city: str, ctx: Context) -> str:
        """Deletes a city."""
        return f"{city} deleted by {ctx.interrupt(f'delete {city}?', key='delete')}"

    calls = (
        ToolCall("1", "look_up", '{"city":"Oslo"}'),
        ToolCall("2", "delete", '{"city":"Rome"}'),
    )

    async def plan(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [Message("assistant", "", calls)]}, "tools"

    async def run() -> tuple[list[Event], RunResult]:
        graph = of(plan)
        graph.tools("tools", [look_up, delete], then=END)
        async with Runtime(graph, agent_name="a", store=dsn) as runtime:
            events = [event async for event in runtime.astream("go", thread_id="t", **WHO)]
            return events, await runtime.resume("t", value="ann", **WHO)

    events, result = asyncio.run(run())
    assert events[-2] == Event(
        "interrupted", {"reason": "human", "resume": True, "payload": "delete Rome?"}
    )
    assert [each.content for each in result.messages[-2:]] == ["Oslo found", "Rome deleted by ann"]


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
        async with Runtime(of(forever), agent_name="a", store=store, lease_s=0.3) as runtime:
            result = await runtime.run("go", thread_id="t", **WHO)
            assert isinstance(result.outcome.error, LeaseLost)

    asyncio.run(run())
    assert telemetry.summary()["error_class"] == "agent_runtime.errors.LeaseLost"


def test_a_run_that_is_cancelled_twice_gives_its_thread_back(dsn: str) -> None:
    """As by anyio, which cancels again whoever still waits for something to end."""

    async def wait(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        begun.set()
        await asyncio.sleep(60)
        return {}, END

    async def run() -> None:
        async with Runtime(of(wait), agent_name="a", store=dsn) as runtime:
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


def test_late_writes_are_refused(dsn: str) -> None:
    """Once another run has the thread, the one that was taken for dead writes nothing more, and
    cannot take the lease from it by giving its own back."""

    async def run() -> None:
        async with Runtime(of(hello), agent_name="a", store=dsn) as runtime:
            await runtime.run("hi", thread_id="t", **WHO)
            store, key = runtime._store, ThreadKey("acme", "a", "t")
            late = await HeldThread.acquire(store, key, "r1", 0.1, Tally(), create=False)
            await asyncio.sleep(0.15)
            await HeldThread.acquire(store, key, "r2", 15.0, Tally(), create=False)
            with pytest.raises(LeaseLost, match="another run has thread 't'"):
                await late.save(late.first("late", "r1", "hello"), Tally())
            await late.release()
            with pytest.raises(ThreadBusy):
                await runtime.run("hi", thread_id="t", **WHO)

    asyncio.run(run())


def test_a_checkpoint_that_is_being_written_gets_written(tmp_path: Path) -> None:
    """Though its run is cut meanwhile; the next one goes on behind it."""
    saving = asyncio.Event()

    class Slow(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "save_checkpoint" and values["step"] == 1:
                saving.set()
                await asyncio.sleep(0.2)
            return await super().execute(name, *rest, **values)

    async def first(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"first": True}, "second"

    async def second(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, END

    async def run() -> None:
        store = Slow(tmp_path / "threads.db")
        async with Runtime(of(first, second), agent_name="a", store=store) as runtime:
            running = asyncio.create_task(runtime.run("go", thread_id="t", **WHO))
            await saving.wait()
            runtime.cut()
            assert (await running).outcome.reason == "shutdown"
            at, is_running = await runtime.thread("t", tenant_id="acme")
            assert (at.next_node, at.state.values, is_running) == ("second", {"first": True}, False)

    asyncio.run(run())


@pytest.mark.parametrize("value", [object(), {1: 2}, float, {"a": b""}])
def test_what_cannot_be_kept_is_an_error(value: object) -> None:
    """A node that leaves no JSON ends the run, and is told what to use."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"odd": value}, END

    async def run() -> RunResult:
        async with Runtime(of(odd), agent_name="a") as runtime:
            return await runtime.run("go", thread_id="t", **WHO)

    error = asyncio.run(run()).outcome.error
    assert isinstance(error, StateNotStorable)
    assert "use what JSON has" in str(error)


def test_odd_text_and_numbers_are_kept(dsn: str) -> None:
    """Zero characters, halves of surrogate pairs and numbers beyond 64 bits end no run."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [Message("assistant", "a\0b\ud800")], "big": 3**50, "nul": "\0"}, END

    async def run() -> None:
        async with Runtime(of(odd), agent_name="a", store=dsn) as runtime:
            assert (await runtime.run("\ud800", thread_id="t", **WHO)).outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert [message.content for message in at.state.messages] == ["?", "a\0b?"]
            assert at.state.values == {"big": 3**50, "nul": "\0"}

    asyncio.run(run())


def test_a_full_disk_is_named(tmp_path: Path, telemetry: Telemetry) -> None:
    """The run ends with the file and the reason in its line; what was kept is there."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "threads.db")
        async with Runtime(of(hello), agent_name="a", store=store) as runtime:
            await runtime.run("hi", thread_id="t", **WHO)
            await store._in_thread(
                lambda: store._connection().execute("PRAGMA max_page_count = 12")
            )
            result = await runtime.run("x" * 100_000, thread_id="t", **WHO)
            assert isinstance(result.outcome.error, StoreError)
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert [message.content for message in at.state.messages] == ["hi", "hello 1"]

    asyncio.run(run())
    said = telemetry.lines("agent.run")[-1]["error_message"]
    assert str(tmp_path / "threads.db") in said
    assert "disk is full" in said


def test_a_restart_of_the_database_is_waited_for(postgres: Cluster, telemetry: Telemetry) -> None:
    """Runs that are in the middle of things write their checkpoints when it is back."""

    async def run() -> list[RunResult]:
        async def step(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            await asyncio.sleep(0.05)
            count = state.values.get("count", 0) + 1
            return {"count": count}, "step" if count < 15 else END

        async with Runtime(of(step), agent_name="a", store=postgres.database()) as runtime:
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
        async with Runtime(of(think), agent_name="a", store=store) as runtime:
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
        async with Runtime(of(hello), agent_name="a", store=dsn) as runtime:
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
