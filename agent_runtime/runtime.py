"""Runs graphs for many users at once, and ends without cutting them off."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from opentelemetry.trace import Link

from agent_runtime.context import Context, correlate
from agent_runtime.edge import Edge
from agent_runtime.errors import Draining
from agent_runtime.events import Event
from agent_runtime.graph import Graph
from agent_runtime.identity import RunIdentity
from agent_runtime.messages import Message
from agent_runtime.outcome import Outcome
from agent_runtime.run import UNWIND_S, Run
from agent_runtime.tally import Tally

PROVIDER_TIMEOUT = httpx.Timeout(None, connect=5.0, write=10.0)
"""How long an answer may take is up to the model's own timeouts."""
PROVIDER_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)
"""httpcore counts busy connections as kept alive: with a limit, above it none is used again."""
TOOL_TIMEOUT = httpx.Timeout(10.0)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run."""

    run_id: str
    text: str
    messages: tuple[Message, ...]
    outcome: Outcome
    usage: Tally


class Runtime:
    """An agent, ready to run.

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
        finish_s: float = 15.0,
        drain_s: float = 25.0,
    ) -> None:
        graph.check()
        if not 0 <= finish_s <= drain_s:
            raise ValueError(f"finish_s={finish_s} must be between 0 and drain_s={drain_s}")
        self.agent_name = agent_name
        self._graph = graph
        self._feature = feature
        self._finish_s = finish_s
        self._drain_s = drain_s
        self._drain_began: float | None = None
        self._runs: set[Run] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._providers = httpx.AsyncClient(timeout=PROVIDER_TIMEOUT, limits=PROVIDER_LIMITS)
        self._http = httpx.AsyncClient(timeout=TOOL_TIMEOUT, event_hooks={"request": [correlate]})

    @property
    def draining(self) -> bool:
        """Whether new runs are refused because the process shuts down."""
        return self._drain_began is not None

    @property
    def in_flight(self) -> int:
        """How many runs have not written their summary yet."""
        return len(self._runs)

    async def run(
        self,
        text: str,
        *,
        thread_id: str,
        tenant_id: str,
        user_id: str,
        history: Sequence[Message] = (),
    ) -> RunResult:
        """Run to the end. An error is the result's outcome, not an exception.

        :raises Draining: when the runtime shuts down.
        """
        run = self.begin(
            text, thread_id=thread_id, tenant_id=tenant_id, user_id=user_id, history=history
        )
        try:
            async for _ in run.events():
                pass
        finally:
            await run.finish()
        assert run.outcome is not None  # noqa: S101 - set by finish
        return RunResult(
            run.identity.run_id, run.text, run.state.messages, run.outcome, run.context.tally
        )

    async def astream(
        self,
        text: str,
        *,
        thread_id: str,
        tenant_id: str,
        user_id: str,
        history: Sequence[Message] = (),
    ) -> AsyncGenerator[Event, None]:
        """The run's events as they come. Close it (`contextlib.aclosing`) to stop the run.

        :raises Draining: when the runtime shuts down.
        """
        run = self.begin(
            text, thread_id=thread_id, tenant_id=tenant_id, user_id=user_id, history=history
        )
        try:
            async for event in run.events():
                yield event
        finally:
            await run.finish()

    def begin(
        self,
        text: str,
        *,
        thread_id: str,
        tenant_id: str,
        user_id: str,
        history: Sequence[Message] = (),
        edge: Edge | None = None,
        link: Link | None = None,
    ) -> Run:
        """Start a run for someone who reads its events and then finishes it.

        ``edge`` measures the request that the run answers; ``link`` points to its caller's span.

        :raises Draining: when the runtime shuts down.
        """
        if self.draining:
            raise Draining(f"agent {self.agent_name} is shutting down")
        run_id = uuid.uuid4().hex
        identity = RunIdentity(
            thread_id=thread_id,
            user_id=user_id,
            tenant_id=tenant_id,
            run_id=run_id,
            turn_id=run_id,
            agent_name=self.agent_name,
            feature=self._feature,
        )

        def make_context(emit: Callable[[Event], None]) -> Context:
            return Context(identity, emit, self._providers, self._http)

        run = Run(
            self._graph,
            (*history, Message("user", text)),
            make_context,
            edge=edge,
            link=link,
            on_finish=self._finished,
        )
        self._runs.add(run)
        self._idle.clear()
        return run

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
        if await self._idle_by(self._drain_began + self._drain_s):
            return
        self.cut()
        if await self._idle_by(max(now, self._drain_began + self._drain_s) + UNWIND_S):
            return
        # Their clients do not read: nobody is there to end them.
        await asyncio.gather(*(run.finish() for run in self._runs))

    def cut(self) -> None:
        """Interrupt the runs in flight where they are."""
        for run in self._runs:
            run.cut("shutdown")

    async def aclose(self) -> None:
        """Drain, then close the connections."""
        await self.drain()
        await self._providers.aclose()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _finished(self, run: Run) -> None:
        self._runs.discard(run)
        if not self._runs:
            self._idle.set()

    async def _idle_by(self, deadline: float) -> bool:
        patience = deadline - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), max(0.0, patience))
        return not self._runs
