"""An agent that charges once, run in a process that may be killed between any two steps."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from agent_runtime import (
    END,
    Context,
    Graph,
    LeaseLost,
    Message,
    NotDone,
    NothingToResume,
    RunResult,
    Runtime,
    State,
    ThreadBusy,
    ThreadNotFound,
    ToolCall,
    tool,
)
from agent_runtime.store import Row, Store, open_store


@dataclass(frozen=True)
class Life:
    """What a process is to do, and when it dies."""

    dsn: str
    payments: str
    thread_id: str
    keyed: bool = False
    resolves: bool = False
    dies_after: int | None = None
    """How many steps it lives: statements of the store, each before and after, and the charge."""
    lease_s: float = 30.0
    timeout_s: float = 30.0


def live(life: Life, heard: Connection | None = None) -> dict[str, Any]:
    """Bring the thread's turn to its end, or as far as it goes; how that was."""
    result = asyncio.run(_live(life))
    if heard is not None:
        heard.send(result)
    return result


async def _live(life: Life) -> dict[str, Any]:
    steps = Steps(life.dies_after)
    store = Mortal(open_store(life.dsn), steps)
    runtime = Runtime(charging(life, steps), agent_name="shop", store=store, lease_s=life.lease_s)
    async with runtime:
        ended = await _carry_on(runtime, life.thread_id)
    return ended | {"steps": steps.taken}


async def _carry_on(runtime: Runtime, thread_id: str) -> dict[str, Any]:
    """What a client does that got no answer."""
    who = {"tenant_id": "acme", "user_id": "ada"}
    while True:
        try:
            result = await runtime.resume(thread_id, **who)
            if isinstance(result.outcome.error, LeaseLost):  # the machine was too busy to keep it
                continue
            return _told(result)
        except ThreadBusy:
            await asyncio.sleep(0.1)
        except (ThreadNotFound, NothingToResume):
            try:
                at, _ = await runtime.thread(thread_id, tenant_id="acme")
            except ThreadNotFound:
                return _told(await runtime.run("charge me", thread_id=thread_id, **who))
            return {"outcome": "success", "reason": None, "messages": _said(at.state.messages)}


def _told(result: RunResult) -> dict[str, Any]:
    outcome = result.outcome
    return {"outcome": outcome.kind, "reason": outcome.reason, "messages": _said(result.messages)}


def _said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(each.role, each.content) for each in messages]


class Steps:
    """Counts what a process does, and kills it when its time has come."""

    def __init__(self, dies_after: int | None) -> None:
        self.taken: list[str] = []
        self._dies_after = dies_after

    def take(self, step: str) -> None:
        if len(self.taken) == self._dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        self.taken.append(step)


class Mortal:
    """A store between whose statements the process may die."""

    def __init__(self, store: Store, steps: Steps) -> None:
        self._store = store
        self._steps = steps
        self.open, self.close = store.open, store.close

    async def execute(self, name: str, *arguments: Any, **values: Any) -> list[Row]:
        self._steps.take(f"before {name}")
        rows = await self._store.execute(name, *arguments, **values)
        self._steps.take(f"after {name}")
        return rows


def charging(life: Life, steps: Steps) -> Graph:
    """A graph that charges and says what it was answered."""

    async def became(key: str, ctx: Context) -> Any:
        found = await ctx.http.get(f"{life.payments}/charges/{key}")
        if found.status_code == 404:
            raise NotDone("no such charge")
        return found.raise_for_status().json()

    resolve = became if life.resolves else None

    @tool(writes=True, keyed=life.keyed, resolve=resolve, timeout_s=life.timeout_s)
    async def charge(cents: int, ctx: Context) -> Any:
        answer = await ctx.http.post(
            f"{life.payments}/charges",
            json={"cents": cents},
            headers={"idempotency-key": ctx.idempotency_key},
        )
        steps.take("charged")
        return answer.raise_for_status().json()

    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        last = state.messages[-1]
        if last.role == "tool":
            return {"messages": [Message("assistant", f"done: {last.content}")]}, END
        wanted = ToolCall("call_1", "charge", json.dumps({"cents": 500}))
        return {"messages": [Message("assistant", "", (wanted,))]}, "tools"

    graph.tools("tools", [charge], then="agent")
    return graph
