"""One run: executes the graph, tells the client, leaves a line and a span whatever happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from traceback import clear_frames

import structlog
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.trace import Link, SpanKind

from agent_runtime.context import Context
from agent_runtime.edge import Edge
from agent_runtime.errors import LeaseLost, RecursionLimitReached, RunTimeout, StoreError
from agent_runtime.events import Event
from agent_runtime.graph import END, Graph, Node
from agent_runtime.identity import current_node, current_run, node_attributes
from agent_runtime.interrupts import Answers, Asked, interrupt_in
from agent_runtime.lines import write_line
from agent_runtime.outbox import Outbox
from agent_runtime.outcome import SUCCESS, Outcome, Reason, failed
from agent_runtime.summary import summarise
from agent_runtime.telemetry import span, started_span, trace_fields
from agent_runtime.threads import Checkpoint, HeldThread
from agent_runtime.under_way import succeeded

UNWIND_S = 2.0
"""How long a run that is cut may take to clean up before it ends without its node."""


class Run:
    """A run from acceptance to its summary line.

    `events` is read once, by the one who answers the client; `finish` must be called after that,
    however it went.
    """

    def __init__(
        self,
        graph: Graph,
        thread: HeldThread,
        begins_at: Checkpoint,
        context: Context,
        outbox: Outbox,
        *,
        timeout_s: float | None,
        edge: Edge | None,
        link: Link | None,
        on_finish: Callable[["Run"], None],
    ) -> None:
        self._graph = graph
        self._on_finish = on_finish
        self._outbox = outbox
        self.context = context
        self.identity = context.identity
        self.at = begins_at
        """The last checkpoint."""
        self.outcome: Outcome | None = None
        self._thread = thread
        before = thread.found
        self._can_be_resumed = before is not None and before.turn_id == begins_at.turn_id
        self._keeper: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._served = edge is not None
        self._edge = edge or Edge()
        self._node: str | None = None
        self._cut: Outcome | None = None
        self._stopping = self._delivered = self._finished = False
        self._span = started_span(
            f"invoke_agent {self.identity.agent_name}",
            {
                **self.identity.attributes(),
                "agent.turn.id": self.identity.turn_id,
                "gen_ai.operation.name": "invoke_agent",
            },
            SpanKind.SERVER if self._served else SpanKind.INTERNAL,
            context=otel_context.Context(),
            links=() if link is None else (link,),
            start_time=self._edge.accepted_unix_nano,
        )
        self._task = asyncio.create_task(self._execute(), name=f"run {self.identity.run_id}")
        if timeout_s is not None:
            # An error, not an interrupt: nobody wants it to go on.
            late = failed(RunTimeout(f"the run took longer than {timeout_s:g} s"))
            deadline = asyncio.get_running_loop().call_later(timeout_s, self._cut_off, late)
            self._task.add_done_callback(lambda _: deadline.cancel())
        # Not at the end of the task itself: one that is cut at once never gets there.
        self._task.add_done_callback(lambda _: self._outbox.end())

    async def events(self, keepalive_s: float | None = None) -> AsyncIterator[Sequence[Event]]:
        """Everything the client is told, as much at a time as waits, ending with ``run.end``;
        whenever nothing came for ``keepalive_s`` seconds, an event that says nothing."""
        if keepalive_s is not None:
            self._outbox.break_silence(keepalive_s)
        yield [Event("run.start", {"run_id": self.identity.run_id,
                                   "thread_id": self.identity.thread_id,
                                   "agent": self.identity.agent_name})]  # fmt: skip
        while events := await self._outbox.take():
            if not self._served and any(event.name == "token" for event in events):
                self._edge.token_sent()
            yield events
        # Before the client is told, who may go on in the thread at once.
        await self._give_back()
        outcome = self._ended()
        if outcome.kind == "interrupt":
            resume = self._can_be_resumed and self.at.next_node != END
            told = {"reason": outcome.reason, "resume": resume, "payload": outcome.payload}
            asks = {"question": self.at.question} if outcome.reason == "human" else {}
            yield [Event("interrupted", asks | told)]
        # In process, yielding it is handing it over; over HTTP it must have been sent as well.
        self._delivered = not self._served
        # Messages of errors are for the operators; the client gets the run's id to ask about.
        yield [Event("run.end", {"run_id": self.identity.run_id,
                                 "outcome": outcome.kind,
                                 "outcome_reason": outcome.reason,
                                 "error_class": outcome.fields()["error_class"],
                                 "usage": self.context.tally.tokens()})]  # fmt: skip
        self._delivered = True

    def stop_at_next_node(self) -> None:
        """Let the node in progress finish, then interrupt the run: the process shuts down."""
        self._stopping = True
        self.context.pauses.cut_short(lambda: self.cut("shutdown"))

    def cut(self, reason: Reason) -> None:
        """Interrupt the run where it is."""
        self._cut_off(Outcome("interrupt", reason))

    def _cut_off(self, outcome: Outcome) -> None:
        if self._task.done():
            return
        if self._cut is None:
            self._cut = outcome
            giving_up = asyncio.get_running_loop().call_later(UNWIND_S, self._give_up)
            self._task.add_done_callback(lambda _: giving_up.cancel())
        self._task.cancel()

    def _give_up(self) -> None:
        """The run ends here, though its node has swallowed the cancellation and goes on."""
        self._end_with(self._ended())
        self._outbox.end()

    def _end_with(self, outcome: Outcome) -> None:
        """What was said first holds, as when a node that was left behind ends at last."""
        self.outcome = self.outcome or outcome

    async def finish(self) -> None:
        """Write the summary line and end the span, once; cuts the run when it is still going."""
        if self._finished:
            return
        self._finished = True
        try:
            if not self._outbox.ended:
                self.cut(self._reason_to_end())
                await asyncio.wait({self._task}, timeout=UNWIND_S)
            await self._give_back()
        finally:
            self._begin_to_give_back()  # who waited for the task may have been cancelled again
            self._outbox.clear()
            try:
                self._summarise()
            finally:
                self._on_finish(self)

    async def _give_back(self) -> None:
        """Let others run the thread."""
        await asyncio.wait({self._begin_to_give_back()}, timeout=UNWIND_S)

    def _begin_to_give_back(self) -> asyncio.Task[None]:
        """Once, whoever is the first to ask."""
        if self._giving_back is None:
            if self._keeper is not None:
                self._keeper.cancel()
            self._giving_back = self.context.under_way.begin(self._thread.release())
        return self._giving_back

    def _ended(self) -> Outcome:
        return self.outcome or self._cut or Outcome("interrupt")

    def _reason_to_end(self) -> Reason:
        """Of a run that is over before its client has read the end."""
        return "shutdown" if self._stopping else "client_disconnect"

    def _summarise(self) -> None:
        outcome = self._ended()
        if outcome.kind == "success" and not self._delivered:
            outcome = Outcome("interrupt", self._reason_to_end())
        self.outcome = outcome
        summarise(
            self._span, self.identity, outcome, self._edge, self.context.tally,
            node=self._node, left_behind=not self._task.done(),
        )  # fmt: skip

    async def _execute(self) -> None:
        """Run the graph; sets ``outcome`` and never raises."""
        current_run.set(self.identity)
        structlog.contextvars.bind_contextvars(**self.identity.fields(), **trace_fields(self._span))
        otel_context.attach(baggage.set_baggage("thread_id", self.identity.thread_id))
        self._keeper = asyncio.create_task(self._keep_thread())
        try:
            with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
                self._end_with(await self._walk())
        except BaseException as error:  # noqa: BLE001 - it ends the run only
            outcome = self._outcome_of(error)
            self._end_with(outcome)
            for each in (error, outcome.error or error):
                clear_frames(each.__traceback__)  # retrying keeps it, and so a whole answer's text
            await self._note_spending()
        finally:
            self._keeper.cancel()

    async def _note_spending(self) -> None:
        """Keep what the node that did not finish has spent, for whoever goes on with the turn."""
        context = self.context
        if context.budget.limited and not isinstance(self._ended().error, StoreError):
            noting = self._thread.note_spending(context.budget.at_most)
            with suppress(StoreError, asyncio.CancelledError):
                await context.under_way.finish(noting)

    async def _keep_thread(self) -> None:
        await self._thread.keep()
        self._cut_off(failed(LeaseLost(f"nothing was heard of run {self.identity.run_id} for "
                                       "too long: another one may have its thread")))  # fmt: skip

    async def _walk(self) -> Outcome:
        await self._save(self.at)
        while self.at.step < self._graph.recursion_limit:
            if self._cut is not None:  # and the node has taken its cancellation for an error
                return self._cut
            if self._stopping:
                return Outcome("interrupt", "shutdown")
            await self._visit(self.at.next_node, self.at.step + 1)
            if self.at.next_node == END:
                return Outcome("success", self.at.state.messages[-1].withheld)
        raise RecursionLimitReached(
            f"not at the end after {self._graph.recursion_limit} nodes; "
            f"next would be {self.at.next_node!r}"
        )

    async def _visit(self, name: str, step: int) -> None:
        self._node = name
        node = self._graph.resumed(name)
        self.context.emit(Event("node.start", {"node": name, "step": step}))
        began = time.perf_counter()
        current_node.set(name)
        attributes = {**self.identity.attributes(), **node_attributes()}
        outcome, mark = SUCCESS, self.context.tally.mark()
        with span(f"node {name}", attributes) as current:
            try:
                self.context.answers = Answers(self.at.answers)
                await self._work(node, step)
            except BaseException as error:
                outcome = self._outcome_of(error)
                raise
            finally:
                duration_ms = (time.perf_counter() - began) * 1000
                fields = {"node": name, "step": step, "duration_ms": duration_ms}
                fields |= self.context.tally.since(mark)
                write_line("agent.node", current, self.identity, outcome, fields)
        self.context.emit(Event("node.end", {"node": name, "step": step}))

    async def _work(self, node: Node, step: int) -> None:
        """Have the node do its work, and keep what came of it: a new state or a question."""
        try:
            update, following = await node(self.at.state, self.context)
        except BaseException as error:
            if (interrupt := interrupt_in(error)) is not None:
                asked = Asked(interrupt.key, interrupt.payload)
                await self._save(replace(self.at, asked=asked))
            raise
        if following != END:
            self._graph.find(following)
        state, who = self.at.state.updated(update), self.identity
        await self._save(Checkpoint(who.run_id, who.turn_id, step, following, state))

    async def _save(self, at: Checkpoint) -> None:
        """Write a checkpoint; being cut off does not keep it from being written."""
        at = replace(at, spent=self.context.budget.at_most)
        saving = self.context.under_way.begin(self._thread.save(at))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            await asyncio.wait({saving}, timeout=UNWIND_S)
            if at.next_node != END or not succeeded(saving):
                raise
            # The turn is done: there is nothing left to interrupt, or to resume.
            self._task.uncancel()
        finally:
            if succeeded(saving):
                self.at = at
                self._can_be_resumed = True

    def _outcome_of(self, error: BaseException) -> Outcome:
        """A node may also await something that was cancelled, though nobody cut the run."""
        if isinstance(error, asyncio.CancelledError) and self._cut is not None:
            return self._cut
        return failed(error)
