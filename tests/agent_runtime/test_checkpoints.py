"""What nodes leave: written whole, whatever it is and whatever happens meanwhile."""

import asyncio
import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Event,
    NothingToResume,
    RunResult,
    Runtime,
    SqliteStore,
    State,
    StateNotStorable,
    StoreError,
)
from agent_runtime.messages import Message

from .agents import WHO, graph_of, hello
from .conftest import Telemetry


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
        async with Runtime(graph_of(first, second), agent_name="a", store=store) as runtime:
            running = asyncio.create_task(runtime.run("go", thread_id="t", **WHO))
            await saving.wait()
            runtime.cut()
            assert (await running).outcome.reason == "shutdown"
            at, is_running = await runtime.thread("t", tenant_id="acme")
            assert (at.next_node, at.state.values, is_running) == ("second", {"first": True}, False)

    asyncio.run(run())


async def cut_once(saving: asyncio.Event, runtime: Runtime) -> list[Event]:
    """What the client of a run is told that is cut while a checkpoint is being written."""

    async def read() -> list[Event]:
        return [event async for event in runtime.astream("go", thread_id="t", **WHO)]

    reading = asyncio.create_task(read())
    await saving.wait()
    runtime.cut()
    return await reading


def test_a_run_that_is_cut_in_its_last_checkpoint_is_done(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    """There is nothing to go on with, and nobody is told that there is."""
    saving = asyncio.Event()

    class Slow(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "save_checkpoint" and values["next_node"] == END:
                saving.set()
                await asyncio.sleep(0.2)
            return await super().execute(name, *rest, **values)

    async def run() -> list[Event]:
        store = Slow(tmp_path / "threads.db")
        async with Runtime(graph_of(hello), agent_name="a", store=store) as runtime:
            events = await cut_once(saving, runtime)
            with pytest.raises(NothingToResume):
                await runtime.resume("t", **WHO)
            return events

    events = asyncio.run(run())
    names = [event.name for event in events]
    assert names == ["run.start", "node.start", "node.end", "run.end"]
    assert events[-1].data["outcome"] == "success"
    assert [line["outcome"] for line in telemetry.lines()] == ["success", "success"]


def test_a_checkpoint_that_fails_when_its_run_has_ended_is_nobodys_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for before the store is closed, and is not told to stderr by asyncio."""
    monkeypatch.setattr(sys.modules["agent_runtime.run"], "UNWIND_S", 0.02)
    saving, failed = asyncio.Event(), asyncio.Event()
    unheard: list[dict[str, Any]] = []

    class Failing(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "save_checkpoint" and values["step"] == 1:
                saving.set()
                await asyncio.sleep(0.2)
                failed.set()
                raise StoreError("down")
            return await super().execute(name, *rest, **values)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: unheard.append(about))
        store = Failing(tmp_path / "threads.db")
        async with Runtime(graph_of(hello), agent_name="a", store=store) as runtime:
            await cut_once(saving, runtime)
            assert not failed.is_set()
        assert failed.is_set()
        gc.collect()

    asyncio.run(run())
    assert unheard == []


def test_a_run_that_was_never_kept_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is told so: it was cut before anything of it was written."""
    monkeypatch.setattr(sys.modules["agent_runtime.run"], "UNWIND_S", 0.1)
    saving = asyncio.Event()

    class Hanging(SqliteStore):
        async def execute(self, name: str, *rest: Any, **values: Any) -> list[dict[str, Any]]:
            if name == "save_checkpoint":
                saving.set()
                await asyncio.sleep(60)
            return await super().execute(name, *rest, **values)

    async def run() -> list[Event]:
        store = Hanging(tmp_path / "threads.db")
        async with Runtime(graph_of(hello), agent_name="a", store=store) as runtime:
            return await cut_once(saving, runtime)

    interrupted = asyncio.run(run())[-2]
    assert (interrupted.name, interrupted.data["resume"]) == ("interrupted", False)


@pytest.mark.parametrize("value", [object(), {1: 2}, float, {"a": b""}])
def test_what_cannot_be_kept_is_an_error(value: object) -> None:
    """A node that leaves no JSON ends the run, and is told what to use."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"odd": value}, END

    async def run() -> RunResult:
        async with Runtime(graph_of(odd), agent_name="a") as runtime:
            return await runtime.run("go", thread_id="t", **WHO)

    error = asyncio.run(run()).outcome.error
    assert isinstance(error, StateNotStorable)
    assert "use what JSON has" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        {"role": "user", "content": "hello"},
        Message("assistant", 5),  # type: ignore[arg-type] # as code without types may
        Message("tool", "x", tool_call_id=["a"]),  # type: ignore[arg-type] # likewise
        Message("nobody", "x"),  # type: ignore[arg-type] # likewise
    ],
)
def test_what_is_no_message_does_not_spoil_the_thread(message: Any) -> None:
    """The node fails that left it; the next turn finds the thread as it was before."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [message] if state.last_user == "go" else []}, END

    async def run() -> list[RunResult]:
        async with Runtime(graph_of(odd), agent_name="a") as runtime:
            return [await runtime.run(said, thread_id="t", **WHO) for said in ("go", "on")]

    failed, after = asyncio.run(run())
    assert isinstance(failed.outcome.error, StateNotStorable)
    assert "a node left" in str(failed.outcome.error)
    assert after.outcome.kind == "success"


@pytest.mark.parametrize("following", ["nowhere", None])
def test_a_next_node_that_is_not_there_is_not_kept(following: Any) -> None:
    """The node that names it fails, and is what a resume begins with."""

    async def lost(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, following

    async def run() -> tuple[RunResult, str]:
        async with Runtime(graph_of(lost), agent_name="a") as runtime:
            result = await runtime.run("go", thread_id="t", **WHO)
            at, _ = await runtime.thread("t", tenant_id="acme")
            return result, at.next_node

    result, next_node = asyncio.run(run())
    assert "there is no node" in str(result.outcome.error)
    assert next_node == "lost"


def test_a_question_that_cannot_be_kept_is_an_error(telemetry: Telemetry) -> None:
    """Of the run and of its node alike: nobody is asked anything."""

    async def ask(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        ctx.interrupt(object())
        return {}, END

    async def run() -> RunResult:
        async with Runtime(graph_of(ask), agent_name="a") as runtime:
            return await runtime.run("go", thread_id="t", **WHO)

    assert isinstance(asyncio.run(run()).outcome.error, StateNotStorable)
    for line in (*telemetry.lines("agent.node"), telemetry.summary()):
        assert line["error_class"] == "agent_runtime.errors.StateNotStorable"


def test_odd_text_and_numbers_are_kept(dsn: str) -> None:
    """Zero characters, halves of surrogate pairs and numbers beyond 64 bits end no run."""

    async def odd(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [Message("assistant", "a\0b\ud800")], "big": 3**50, "nul": "\0"}, END

    async def run() -> None:
        async with Runtime(graph_of(odd), agent_name="a", store=dsn) as runtime:
            assert (await runtime.run("\ud800", thread_id="t", **WHO)).outcome.kind == "success"
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert [message.content for message in at.state.messages] == ["?", "a\0b?"]
            assert at.state.values == {"big": 3**50, "nul": "\0"}

    asyncio.run(run())


def test_a_full_disk_is_named(tmp_path: Path, telemetry: Telemetry) -> None:
    """The run ends with the file and the reason in its line; what was kept is there."""

    async def run() -> None:
        store = SqliteStore(tmp_path / "threads.db")
        async with Runtime(graph_of(hello), agent_name="a", store=store) as runtime:
            await runtime.run("hi", thread_id="t", **WHO)
            await store._in_thread(
                lambda until: store._connection(until).execute("PRAGMA max_page_count = 12")
            )
            result = await runtime.run("x" * 100_000, thread_id="t", **WHO)
            assert isinstance(result.outcome.error, StoreError)
            at, _ = await runtime.thread("t", tenant_id="acme")
            assert [message.content for message in at.state.messages] == ["hi", "hello 1"]

    asyncio.run(run())
    said = telemetry.lines("agent.run")[-1]["error_message"]
    assert str(tmp_path / "threads.db") in said
    assert "disk is full" in said
