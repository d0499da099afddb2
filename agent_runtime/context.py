"""What a node or tool may do in its run."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiohttp
import httpx

from agent_runtime.chat import ModelCalls
from agent_runtime.errors import AgentRuntimeError
from agent_runtime.events import Event
from agent_runtime.identity import RunIdentity, current_write
from agent_runtime.interrupts import Answers, interrupt_in
from agent_runtime.limits import Budget
from agent_runtime.messages import Message
from agent_runtime.model import Model
from agent_runtime.outcome import is_cut_off
from agent_runtime.retry import Pauses
from agent_runtime.store.claims import StoredClaims
from agent_runtime.tally import Tally
from agent_runtime.telemetry import LOG, note_error
from agent_runtime.tools import Tool
from agent_runtime.under_way import UnderWay

T = TypeVar("T")


class Context:
    """One run's access to models and to the world, with its identity on everything it does."""

    def __init__(
        self,
        identity: RunIdentity,
        emit: Callable[[Event], None],
        providers: aiohttp.ClientSession,
        http: httpx.AsyncClient,
        tally: Tally,
        claims: StoredClaims,
        under_way: UnderWay,
        room: Callable[[], Awaitable[None]],
        budget: Budget,
    ) -> None:
        self.identity = identity
        self.emit = emit
        self.tally = tally
        self.claims = claims
        self.under_way = under_way
        self.answers = Answers({})
        """What humans have answered in the node that runs."""
        self.http = http
        """For calls of other services: sends traceparent, baggage and X-Thread-Id along."""
        self.log = LOG
        """Writes JSON lines that carry the run's identity."""
        self.budget = budget
        self.pauses = Pauses()
        """Waits that need not end before the run does."""
        self._too_slow: set[str] = set()
        """Optional parts that the run does not wait for any more."""
        self._models = ModelCalls(
            identity,
            self.tally,
            providers,
            on_text=lambda text: emit(Event("token", {"text": text})),
            room=room,
            budget=budget,
            pauses=self.pauses,
        )

    @property
    def idempotency_key(self) -> str:
        """The key of the write that is being carried out; pass it on to upstream.

        :raises AgentRuntimeError: anywhere but in a tool with ``writes=True`` and its ``resolve``.
        """
        if (key := current_write.get(None)) is None:
            raise AgentRuntimeError("there is no write here to have a key; say @tool(writes=True)")
        return key

    async def chat(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        system: str | None = None,
        tools: Sequence[Tool] = (),
    ) -> Message:
        """Ask a model and stream its answer to the user.

        Failed calls are repeated and then given to the model's fallbacks, but never once the user
        saw a token. Messages that exceed the model's ``context_tokens`` are left out, oldest first.

        :raises ProviderError: when no model answered.
        :raises BudgetExceeded: when the run's budget is used up.
        :raises PromptTooLong: when even the shortest prompt exceeds the budget.
        """
        schemas = [tool.schema() for tool in tools]
        prompt = messages if system is None else (Message("system", system), *messages)
        return await self._models.complete(model, prompt, schemas)

    def interrupt(self, payload: Any, *, key: str | None = None) -> Any:
        """Ask a human, whom ``payload`` (JSON) tells what for; gives the answer.

        Ends the run. When the thread is resumed with an answer, the node runs again from its
        beginning and gets it here. ``key`` tells the questions of a node apart; without one their
        order does.
        """
        return self.answers.to(payload, key)

    async def optional(
        self, work: Awaitable[T], *, name: str, timeout_s: float = 0.3, default: T
    ) -> T:
        """The result of ``work``, or ``default`` when it fails or takes longer than ``timeout_s``.

        It has also failed when it was cancelled by somebody else than the run. The run goes on
        either way; its summary line lists ``name`` under ``degraded``. What was too slow once is
        not waited for again in the run: all of ``name`` costs it ``timeout_s`` at most, and a
        moment's failure may pass.
        """
        if name in self._too_slow:
            _forgo(work)
            return default
        deadline = asyncio.timeout(timeout_s)
        try:
            async with deadline:
                return await work
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            # As with tools: the work's own end, were it a cancellation or a panic, is a failure.
            if is_cut_off(error) or interrupt_in(error) is not None:
                raise
            if deadline.expired():
                self._too_slow.add(name)
            if name not in self.tally.degraded:
                self.tally.degraded.append(name)
            note_error("degraded", error, {"agent.part": name})
            return default


def _forgo(work: Awaitable[Any]) -> None:
    """Python warns of a coroutine that nobody has awaited."""
    if inspect.iscoroutine(work):
        work.close()
    elif isinstance(work, asyncio.Future):
        work.cancel()
