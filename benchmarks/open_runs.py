"""Many runs that are open in one process, mostly waiting for a model, over a watched store."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row

from agent_runtime import (
    END,
    Checkpoint,
    Context,
    Graph,
    Message,
    PostgresStore,
    RunResult,
    Runtime,
    State,
    Store,
    StoreError,
    Tally,
)
from agent_runtime.store import Row
from agent_runtime.store.statements import statement
from agent_runtime.threads import HeldThread, ThreadKey

NODES = 6
ANSWER = "word " * 20
WHO = {"tenant_id": "acme", "user_id": "ada"}

User = Callable[[], Coroutine[Any, Any, RunResult | None]]


@dataclass(frozen=True)
class Load:
    """So many runs are open while so many come in a second, for so many seconds."""

    open: int
    per_second: float
    seconds: float

    @property
    def node_s(self) -> float:
        """How long the model of one node takes on average."""
        return self.open / self.per_second / NODES

    @property
    def fills_s(self) -> float:
        """Until as many are open as should be."""
        return self.open / self.per_second


@dataclass(frozen=True)
class Seen:
    """How many runs were open, and what they waited for."""

    open: float
    per_second: float
    """Ended, as they should."""
    failed: int
    """Runs whose store was too slow for them."""
    checkouts_per_s: float
    checkout_waits_ms: Sequence[float]
    run_waits_ms: Sequence[float]
    held_while_all_wait: int = 0
    """Connections that were not in the pool while every run waited for its model."""


class PooledStore(PostgresStore):
    """A store that says how many of its connections are in use."""

    def held(self) -> int:
        """Connections that are not in the pool."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]


class Watched:
    """A store that notes how long each statement waited for its connection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open, self.close = store.open, store.close
        self.waits_ms: list[float] = []

    def held(self) -> int:
        """Connections that are in use."""
        return self._store.held() if isinstance(self._store, PooledStore) else 0

    async def execute(
        self, name: str, tally: Tally | None = None, /, *, durable: bool = False, **values: Any
    ) -> list[Row]:
        """Run the statement, and note its wait."""
        own = Tally()
        try:
            return await self._store.execute(name, own, durable=durable, **values)
        finally:
            self.waits_ms.append(own.db_wait_ms)
            if tally is not None:
                tally.db_wait_ms += own.db_wait_ms


def on_postgres(dsn: str, pool_size: int) -> Watched:
    """A pool of that size."""
    return Watched(PooledStore(dsn, pool_size=pool_size))


class Model:
    """Takes its time in every node; at the gate, until all are there and it is opened."""

    def __init__(self, node_s: float) -> None:
        self._node_s = node_s
        self._dice = random.Random(0)
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def answer(self) -> None:
        """Wait as for a model."""
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(self._node_s * self._dice.uniform(0.5, 1.5))


async def measure(store: Watched, load: Load, lines: Path) -> tuple[Seen, Seen]:
    """Have runs come and go, then have as many begin at once."""
    model, names = Model(load.node_s), map(str, count())
    with lines.open("w") as file:
        structlog.configure(processors=[structlog.processors.JSONRenderer()],
                            logger_factory=structlog.WriteLoggerFactory(file))  # fmt: skip
        async with Runtime(_graph(model), agent_name="pool", store=store) as runtime:

            async def user() -> RunResult | None:
                try:
                    return await runtime.run("hello", thread_id=next(names), **WHO)
                except StoreError:  # it could not even begin
                    return None

            return await _come_and_go(user, store, load), await _at_once(user, store, load, model)


def _graph(model: Model) -> Graph:
    """Nodes in a row, each of which asks the model and leaves a message."""
    graph = Graph()

    def add(number: int) -> None:
        following = f"node{number + 1}" if number < NODES else END

        async def node(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:  # noqa: ARG001 - a node's
            await model.answer()
            return {"messages": [Message("assistant", ANSWER)]}, following

        node.__name__ = f"node{number}"
        graph.node(entry=number == 1)(node)

    for number in range(1, NODES + 1):
        add(number)
    return graph


async def _come_and_go(user: User, store: Watched, load: Load) -> Seen:
    """In an open loop: they come when they come, however many are there."""
    dice, due, began = random.Random(0), 0.0, time.monotonic()
    users: list[asyncio.Task[RunResult | None]] = []
    there: list[int] = []
    """How many are open, whenever one comes since there should be as many as there should be."""
    full_at, well, before = began, 0, 0
    async with asyncio.TaskGroup() as group:
        while (due := due + dice.expovariate(load.per_second)) < load.fills_s + load.seconds:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            if due >= load.fills_s:
                if not there:
                    full_at, well, before = time.monotonic(), _well(users), len(store.waits_ms)
                there.append(sum(not user.done() for user in users))
            users.append(group.create_task(user()))
        took, waits = time.monotonic() - full_at, store.waits_ms[before:]
        per_second = (_well(users) - well) / took
    return Seen(
        mean(there), per_second, len(users) - _well(users), len(waits) / took, waits, _waits(users)
    )


async def _at_once(user: User, store: Watched, load: Load, model: Model) -> Seen:
    """All are held up in their first node; from there on nothing but the store takes time."""
    model.gate, model.asked = asyncio.Event(), 0
    runs = [asyncio.create_task(user()) for _ in range(load.open)]
    # Not by an event: a run whose store is too slow for it never asks the model.
    while model.asked + sum(run.done() for run in runs) < load.open:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)
    held = await _held(store)
    before, began = len(store.waits_ms), time.monotonic()
    model.gate.set()
    await asyncio.wait(runs)
    took, waits = time.monotonic() - began, store.waits_ms[before:]
    return Seen(
        load.open, _well(runs) / took, len(runs) - _well(runs), len(waits) / took, waits,
        _waits(runs), held_while_all_wait=held,
    )  # fmt: skip


async def _held(store: Watched) -> int:
    """Connections that are held all the time, the fewest of some looks: leases are renewed, too."""
    looks = []
    for _ in range(50):
        looks.append(store.held())
        await asyncio.sleep(0.01)
    return min(looks)


def _well(users: Sequence["asyncio.Task[RunResult | None]"]) -> int:
    """How many have ended as they should."""
    ended = (user.result() for user in users if user.done())
    return sum(each is not None and each.outcome.kind == "success" for each in ended)


def _waits(users: Sequence["asyncio.Task[RunResult | None]"]) -> Sequence[float]:
    """Of each that could begin."""
    return [result.usage.db_wait_ms for user in users if (result := user.result()) is not None]


class OneConnection:
    """A store of one connection that nobody else uses."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def execute(
        self,
        name: str,
        tally: Tally | None = None,  # noqa: ARG002 - there is nothing to wait for
        /,
        *,
        durable: bool = False,  # noqa: ARG002 - a store's
        **values: Any,
    ) -> list[Row]:
        """Run the statement."""
        text = statement("postgres", name)
        return await (await self._connection.execute(text, values)).fetchall()


async def by_hand(dsn: str, connections: int, runs: int) -> float:
    """What runs write behind their first checkpoint, as fast as it goes, one run after the other
    on each connection, without a pool and without nodes: runs a second."""
    stores = [
        OneConnection(await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row, prepare_threshold=None,
        ))
        for _ in range(connections)
    ]  # fmt: skip
    begun = await asyncio.gather(
        *(_begun(store, range(first, runs, connections)) for first, store in enumerate(stores))
    )
    began = time.monotonic()
    await asyncio.gather(*map(_written, begun))
    took = time.monotonic() - began
    for store in stores:
        await store.close()
    return runs / took


async def _begun(store: OneConnection, numbers: range) -> Sequence[HeldThread]:
    """Threads of which all that comes before the first node is written."""
    threads = []
    for number in numbers:
        key = ThreadKey("acme", "by-hand", str(number))
        thread = await HeldThread.acquire(store, key, "run", 600.0, Tally(), create=True)
        await thread.save(Checkpoint("run", "run", 0, "node1", State((Message("user", "hello"),))))
        threads.append(thread)
    return threads


async def _written(threads: Sequence[HeldThread]) -> None:
    """Their nodes' checkpoints, and the end."""
    for thread in threads:
        state = State((Message("user", "hello"),))
        for step in range(1, NODES + 1):
            state = state.updated({"messages": [Message("assistant", ANSWER)]})
            following = f"node{step + 1}" if step < NODES else END
            await thread.save(Checkpoint("run", "run", step, following, state))
        await thread.release()
