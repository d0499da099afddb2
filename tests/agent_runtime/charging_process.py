"""An agent that charges once, run in a process that may be killed between any two steps."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_runtime import END, Context, Graph, Message, NotDone, Runtime, State, ToolCall, tool
from agent_runtime.store import Row, Store, open_store

WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}


@dataclass(frozen=True)
class Life:
    """What a process is to do, and when it dies."""

    dsn: str
    payments: str
    keyed: bool
    resolves: bool
    dies_after: int | None
    """How many steps it lives: statements of the store, each before and after, and the charge."""
    resumes: bool = False
    lease_s: float = 1.0


def live(life: Life) -> dict[str, Any]:
    """Run or resume the thread; how that ended."""
    return asyncio.run(_live(life))


async def _live(life: Life) -> dict[str, Any]:
    steps = Steps(life.dies_after)
    runtime = Runtime(
        charging(life, steps),
        agent_name="shop",
        store=Mortal(open_store(life.dsn), steps),
        lease_s=life.lease_s,
    )
    async with runtime:
        if life.resumes:
            result = await runtime.resume(**WHO)
        else:
            result = await runtime.run("charge me", **WHO)
    return {
        "outcome": result.outcome.kind,
        "reason": result.outcome.reason,
        "text": result.text,
        "steps": steps.taken,
    }


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

    @tool(writes=True, keyed=life.keyed, resolve=became if life.resolves else None, timeout_s=0.5)
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
