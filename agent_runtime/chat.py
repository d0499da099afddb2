"""The calls of models in a run: attempts, fallbacks, and a span and a line for each attempt."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from opentelemetry.trace import Span, SpanKind

from agent_runtime.answer import Answer
from agent_runtime.correlation import correlation_headers
from agent_runtime.errors import PromptTooLong, ProviderError
from agent_runtime.identity import RunIdentity, node_attributes, pseudonym
from agent_runtime.limits import Budget
from agent_runtime.lines import line_of_call
from agent_runtime.messages import LINE_FIELDS, OTEL_NAMES, Message, Usage
from agent_runtime.metrics import inference_measured
from agent_runtime.model import Model
from agent_runtime.provider import WIRES, receive
from agent_runtime.retry import Pauses, retrying
from agent_runtime.tally import Tally
from agent_runtime.telemetry import span
from agent_runtime.trimming import estimated_prompt_tokens, trim


@dataclass
class ModelCalls:
    """Calls models on behalf of one run.

    ``on_text`` gets text as it comes; after its first call nothing is repeated, because the user
    would read it twice. ``room`` holds an answer up while the user does not read.
    """

    identity: RunIdentity
    tally: Tally
    client: aiohttp.ClientSession
    on_text: Callable[[str], None]
    room: Callable[[], Awaitable[None]]
    budget: Budget
    pauses: Pauses
    _chosen: dict[Model, int] = field(default_factory=dict)
    """Which candidate of a model is asked first: the run does not try again one it gave up."""

    async def complete(
        self, model: Model, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> Message:
        """Ask ``model`` or, when it fails, its fallbacks in order, each with what it has room for.

        :raises ProviderError: of the last candidate, when none answered.
        :raises PromptTooLong: when the first one has no room even for the shortest prompt.
        :raises BudgetExceeded: when the run may not call a model any more.
        """
        if not self.budget.limited:
            return await self._complete(model, messages, tools)
        prompt = min(estimated_prompt_tokens(messages, tools), model.context_tokens)
        async with self.budget.reserved(_name(model), Usage(prompt, model.answer_tokens)):
            return await self._complete(model, messages, tools)

    async def _complete(
        self, model: Model, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> Message:
        forwarded = False
        numbers = count(1)
        candidates = model.candidates
        first = self._chosen.get(model, 0)
        failure: ProviderError | None = None
        deadline = time.monotonic() + model.retry_budget_s

        def forward(text: str) -> None:
            nonlocal forwarded
            forwarded = True
            self.on_text(text)

        for position in range(first, len(candidates)):
            candidate = candidates[position]
            try:
                prompt = self._fit(candidate, messages, tools)
            except PromptTooLong:
                if failure is None:
                    raise
                continue  # this fallback has less room than the model that failed
            share = (deadline - time.monotonic()) / (len(candidates) - position)
            until = time.monotonic() + share
            try:
                attempts = retrying(
                    attempts=candidate.max_attempts, budget_s=share, may_retry=lambda: not forwarded
                )
                waiting: AbstractContextManager[None] = nullcontext()
                while True:
                    with waiting:
                        each = await anext(attempts)
                    waiting = self.pauses.pause()
                    with each:
                        answer = Answer(forward, server=candidate.host, asked=candidate.where)
                        return await self._attempt(
                            candidate, prompt, tools, answer, next(numbers),
                            model.model if position else None, until,
                        )  # fmt: skip
            except ProviderError as error:
                if forwarded or not error.fallback_helps:
                    raise
                failure = error
                if position + 1 < len(candidates):
                    self._chosen[model] = position + 1
        assert failure is not None  # noqa: S101 - the last candidate answers or raises
        raise failure

    def _fit(
        self, model: Model, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[Message]:
        """The messages that the model has room for."""
        trimmed = trim(messages, model.context_tokens - estimated_prompt_tokens((), tools))
        self.tally.trimmed_messages += trimmed.left_out
        return trimmed.messages

    async def _attempt(
        self,
        model: Model,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        answer: Answer,
        number: int,
        fallback_from: str | None,
        until: float,
    ) -> Message:
        tally, name = self.tally, _name(model)
        self.budget.check(name)
        tally.llm_calls += 1
        tally.llm_retries += number > 1
        tally.provider, tally.model = model.provider, model.model
        asked = _asked(model)
        attributes = {
            **self.identity.attributes(),
            **node_attributes(),
            **asked,
            "agent.attempt": number,
        }
        if fallback_from is not None:
            attributes["agent.fallback_from"] = fallback_from
            tally.fallbacks.append(fallback_from)
        user = pseudonym(self.identity.tenant_id, self.identity.user_id)
        body = WIRES[model.protocol].body(model, messages, tools, user)
        prompt_tokens = estimated_prompt_tokens(messages, tools)
        with (
            inference_measured(asked, answer),
            span(f"chat {model.model}", attributes, SpanKind.CLIENT) as current,
            line_of_call("agent.cost", current, self.identity) as line,
        ):
            line |= {"attempt": number, "fallback_from": fallback_from}
            try:
                await receive(
                    self.client, model, body, correlation_headers(self.identity), answer,
                    first_token_timeout_s=min(
                        model.first_token_timeout_s, until - time.monotonic()
                    ),
                    room=self.room,
                )  # fmt: skip
            except BaseException:
                if answer.begun:
                    answer.usage = answer.estimated_usage(prompt_tokens)
                raise
            finally:
                _describe(current, answer)
                line |= _cost_inputs(model, answer)
                if answer.begun:
                    tally.count(answer.model, answer.usage)
                    self.budget.spend(name, answer.usage or answer.estimated_usage(prompt_tokens))
        return answer.message()


def _name(model: Model) -> str:
    return f"{model.provider}:{model.model}"


def _asked(model: Model) -> dict[str, str | int | bool]:
    url = urlsplit(model.url)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.model,
        "gen_ai.request.stream": True,
        "server.address": model.host,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _describe(current: Span, answer: Answer) -> None:
    """What is known of an answer, also of one that broke off."""
    attributes: dict[str, Any] = {
        "gen_ai.response.id": answer.response_id,
        "gen_ai.response.model": answer.model,
        "gen_ai.response.time_to_first_chunk": answer.first_chunk_s,
        "agent.usage_source": _usage_source(answer),
    }
    if answer.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = (answer.finish_reason,)
    if usage := answer.usage:
        names = (f"gen_ai.usage.{name}" for name in OTEL_NAMES)
        attributes |= zip(names, usage.counts, strict=True)
    current.set_attributes({key: value for key, value in attributes.items() if value is not None})


def _cost_inputs(model: Model, answer: Answer) -> dict[str, object]:
    """What the cost of a call is made of, as fields of its line."""
    usage, first_chunk_s = answer.usage, answer.first_chunk_s
    return {
        "provider": model.provider,
        "model": model.model,
        "response_model": answer.model,
        "response_id": answer.response_id,
        "finish_reason": answer.finish_reason,
        "ttfb_ms": None if first_chunk_s is None else first_chunk_s * 1000,
        **(
            dict.fromkeys(LINE_FIELDS)
            if usage is None
            else dict(zip(LINE_FIELDS, usage.counts, strict=True))
        ),
        "usage_source": _usage_source(answer),
    }


def _usage_source(answer: Answer) -> str | None:
    """None when the provider did not get the request or refused it, and so bills nothing."""
    if answer.usage is not None:
        return answer.usage.source
    return "missing" if answer.begun else None
