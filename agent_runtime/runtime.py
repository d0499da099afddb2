"""Runs graphs for many users at once, and ends without cutting them off."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from opentelemetry.trace import Link

from agent_runtime.clients import Clients
from agent_runtime.context import Context
from agent_runtime.edge import Edge
from agent_runtime.errors import Draining
from agent_runtime.events import Event
from agent_runtime.graph import Graph
from agent_runtime.identity import RunIdentity
from agent_runtime.interrupts import NOTHING, Resume
from agent_runtime.limits import Budget, Limits
from agent_runtime.outbox import Outbox
from agent_runtime.pending import refuse_over_writes
from agent_runtime.result import RunResult, result_of
from agent_runtime.run import UNWIND_S, Run
from agent_runtime.store import DEFAULT_DSN, Store, open_store
from agent_runtime.store.claims import StoredClaims
from agent_runtime.store.users import leave, use
from agent_runtime.tally import Tally
from agent_runtime.threads import LEASE_S, Checkpoint, HeldThread, ThreadKey, look_up
from agent_runtime.under_way import UnderWay

DEFAULT_LIMITS = Limits()
DRAINED_AFTER_S = 5.0
"""When to ask again, some other process."""


class Runtime:
    """An agent, ready to run.

    Threads are kept in ``store``, a `Store` or its DSN: AGENT_RUNTIME_STORE when not given, or the
    SQLite file agent_runtime.db in the working directory. A run of which nothing is heard for
    ``lease_s`` seconds, because its process died, may be resumed by another one. What became of
    writes is remembered for ``keep_claims_days`` days.

    A shutdown gives runs in flight ``finish_s`` seconds to finish; then they stop at the next node
    boundary, and ``drain_s`` seconds after the shutdown began they are cut.

    :raises GraphError: when the graph cannot run.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        agent_name: str,
        feature: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        finish_s: float = 15.0,
        drain_s: float = 22.0,
        store: Store | str | None = None,
        lease_s: float = LEASE_S,
        keep_claims_days: float = 30.0,
    ) -> None:
        graph.check()
        if keep_claims_days <= 0:
            raise ValueError(f"keep_claims_days={keep_claims_days} must be above 0")
        if not 0 <= finish_s <= drain_s:
            raise ValueError(f"finish_s={finish_s} must be between 0 and drain_s={drain_s}")
        self.agent_name = agent_name
        self._graph = graph
        self._feature = feature
        self._limits = limits
        self._finish_s = finish_s
        self.drain_s = drain_s
        self._drain_began: float | None = None
        self._in_hurry = False
        dsn = os.environ.get("AGENT_RUNTIME_STORE", DEFAULT_DSN) if store is None else store
        self._store = open_store(dsn) if isinstance(dsn, str) else dsn
        use(self._store, self)
        self._claims = StoredClaims(self._store, keep_claims_days * 86_400)
        self._under_way = UnderWay()
        self._lease_s = lease_s
        self._runs: set[Run] = set()
        self._begins = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._clients = Clients()

    @property
    def draining(self) -> bool:
        """Whether new runs are refused because the process shuts down."""
        return self._drain_began is not None

    @property
    def in_flight(self) -> int:
        """How many runs have not written their summary yet."""
        return len(self._runs)

    async def run(self, text: str, *, thread_id: str, tenant_id: str, user_id: str) -> RunResult:
        """Run to the end, behind what was said in the thread before.

        An error is the result's outcome, not an exception.

        :raises Refused: when the runtime shuts down, or the thread is being run.
        :raises StoreError: when the store cannot be reached.
        """
        run = await self.begin(text, thread_id=thread_id, tenant_id=tenant_id, user_id=user_id)
        return await result_of(run)

    async def resume(
        self,
        thread_id: str,
        *,
        tenant_id: str,
        user_id: str,
        value: Any = NOTHING,
        question: str | None = None,
    ) -> RunResult:
        """Go on with a turn that was interrupted or failed; no finished node is run again.

        ``value`` is what a human answered to the ``question`` with that id (`RunResult.question`).

        :raises Refused: as `run`, and when there is nothing to resume, or that is not asked.
        :raises StoreError: when the store cannot be reached.
        """
        what = Resume(value, question)
        run = await self.begin(what, thread_id=thread_id, tenant_id=tenant_id, user_id=user_id)
        return await result_of(run)

    async def astream(
        self, text: str, *, thread_id: str, tenant_id: str, user_id: str
    ) -> AsyncGenerator[Event, None]:
        """The run's events as they come. Close it (`contextlib.aclosing`) to stop the run.

        :raises Refused: as `run`.
        :raises StoreError: when the store cannot be reached.
        """
        run = await self.begin(text, thread_id=thread_id, tenant_id=tenant_id, user_id=user_id)
        try:
            async for events in run.events():
                for event in events:
                    yield event
        finally:
            await run.finish()

    async def begin(
        self,
        what: str | Resume,
        *,
        thread_id: str,
        tenant_id: str,
        user_id: str,
        edge: Edge | None = None,
        link: Link | None = None,
    ) -> Run:
        """Start a run for someone who reads its events and then finishes it.

        ``what`` is what the user said, or how to go on with the thread's turn. ``edge`` measures
        the request that the run answers; ``link`` points to its caller's span.

        :raises Refused: as `run` and `resume`.
        :raises StoreError: when the store cannot be reached.
        """
        self._refuse(tenant_id)
        key = ThreadKey(tenant_id, self.agent_name, thread_id)
        run_id, tally = uuid.uuid4().hex, Tally()
        with self._beginning():
            providers, http = await self._clients.here()
            create = isinstance(what, str)
            thread = await self._under_way.obtain(
                HeldThread.acquire(self._store, key, run_id, self._lease_s, tally, create=create),
                HeldThread.release,
            )
            try:
                if create:
                    await refuse_over_writes(key, thread.found, self._claims)
                first = thread.first(what, run_id, self._graph.entry)
                # Last: nothing is awaited from here until the run is one of those that count.
                self._refuse(tenant_id)
            except BaseException:
                await asyncio.shield(thread.release())
                raise
            identity = RunIdentity(
                thread_id=thread_id,
                user_id=user_id,
                tenant_id=tenant_id,
                run_id=run_id,
                turn_id=first.turn_id,
                agent_name=self.agent_name,
                feature=self._feature,
            )

            outbox = Outbox()
            context = Context(
                identity, outbox.put, providers, http, tally,
                self._claims, self._under_way, outbox.room,
                Budget(self._limits, first.spent, thread.note_spending),
            )  # fmt: skip
            run = Run(
                self._graph, thread, first, context, outbox,
                timeout_s=self._limits.run_timeout_s, edge=edge, link=link,
                on_finish=self._finished,
            )  # fmt: skip
            self._runs.add(run)
        return run

    async def thread(self, thread_id: str, *, tenant_id: str) -> tuple[Checkpoint, bool]:
        """Where a thread stands, and whether it is being run.

        :raises ThreadNotFound: when the tenant has no such thread.
        :raises StoreError: when the store cannot be reached.
        """
        return await look_up(self._store, ThreadKey(tenant_id, self.agent_name, thread_id))

    def _refuse(self, tenant_id: str) -> None:
        if self.draining:
            raise Draining(f"agent {self.agent_name} is shutting down", DRAINED_AFTER_S)
        self._limits.admit(tenant_id, (run.identity.tenant_id for run in self._runs))

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        """Something in flight that is not a run yet, or will never be."""
        self._begins += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._begins -= 1
            self._note_idle()

    async def open(self) -> None:
        """Connect to the store; otherwise the first run does.

        :raises StoreError: when it cannot be used.
        """
        await self._store.open()

    async def drain(self) -> None:
        """Refuse new runs, and return when those in flight have written their summaries.

        Called again, it goes on where it was: the time runs from the first call.
        """
        now = asyncio.get_running_loop().time()
        if self._drain_began is None:
            self._drain_began = now
        if await self._idle_by(self._drain_began + self._finish_s):
            return
        for run in self._runs:
            run.stop_at_next_node()
        if await self._idle_by(self._drain_began + self.drain_s):
            return
        self.cut()
        if await self._idle_by(max(now, self._drain_began + self.drain_s) + UNWIND_S):
            return
        # Their clients do not read: nobody is there to end them.
        await asyncio.gather(*(run.finish() for run in tuple(self._runs)))

    def cut(self) -> None:
        """Interrupt the runs in flight where they are."""
        self._in_hurry = True
        for run in self._runs:
            run.cut("shutdown")

    async def aclose(self) -> None:
        """Drain, then close the connections; the last one that uses a store closes it."""
        await self.drain()
        # Writes go on when their runs are gone, and have as long as those would have. So does the
        # taking of a lease, to give it back.
        assert self._drain_began is not None  # noqa: S101 - set by drain
        until = 0.0 if self._in_hurry else self._drain_began + self.drain_s
        await self._under_way.settle(max(UNWIND_S, until - asyncio.get_running_loop().time()))
        await self._clients.aclose()
        await leave(self._store, self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _finished(self, run: Run) -> None:
        self._runs.discard(run)
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._runs and not self._begins:
            self._idle.set()

    async def _idle_by(self, deadline: float) -> bool:
        patience = deadline - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), max(0.0, patience))
        return self._idle.is_set()
