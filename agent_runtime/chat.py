"""One call of a model: attempts, fallbacks, and a span and a line for each attempt."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import httpx
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_runtime.errors import ProviderError
from agent_runtime.identity import RunIdentity, node_attributes
from agent_runtime.lines import line_of_call
from agent_runtime.messages import Message
from agent_runtime.model import Model
from agent_runtime.openai_chat import ChatStream, chat_request
from agent_runtime.retry import retrying
from agent_runtime.tally import Tally
from agent_runtime.telemetry import span

_TRACEPARENT = TraceContextTextMapPropagator()


async def complete(
    model: Model,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    *,
    identity: RunIdentity,
    tally: Tally,
    chosen: dict[Model, int],
    client: httpx.AsyncClient,
    forward: Callable[[str], None],
) -> Message:
    """Ask ``model`` or, when it fails, its fallbacks in order.

    ``chosen`` remembers over the calls of a run which candidate is asked first: once one was given
    up, the run does not try it again. ``forward`` gets text as it comes; after its first call
    nothing is repeated, because the user would read it twice.

    :raises ProviderError: of the last candidate, when none answered.
    """
    forwarded = False
    numbers = count(1)
    candidates = model.candidates
    deadline = time.monotonic() + model.retry_budget_s

    def forward_once_seen(text: str) -> None:
        nonlocal forwarded
        forwarded = True
        forward(text)

    async def attempt(candidate: Model, until: float) -> Message:
        patience = min(candidate.first_token_timeout_s, until - time.monotonic())
        stream = ChatStream()
        number = next(numbers)
        tally.llm_calls += 1
        tally.llm_retries += number > 1
        tally.provider, tally.model = candidate.provider, candidate.model
        attributes = {
            **identity.attributes(),
            **node_attributes(),
            **_asked(candidate),
            "agent.attempt": number,
        }
        with (
            span(f"chat {candidate.model}", attributes, SpanKind.CLIENT) as current,
            line_of_call("agent.cost", current, identity) as line,
        ):
            headers: dict[str, str] = {}
            _TRACEPARENT.inject(headers)
            body = chat_request(candidate, messages, tools) | _on_behalf_of(identity)
            try:
                completion = await stream.receive(
                    client, candidate, body, headers, forward_once_seen,
                    first_token_timeout_s=patience,
                )  # fmt: skip
            finally:
                _describe(current, stream)
                line |= _cost_inputs(candidate, number, stream)
                _count(tally, stream)
        return completion.message

    for position in range(chosen.get(model, 0), len(candidates)):
        candidate = candidates[position]
        left = deadline - time.monotonic()
        share = left / (len(candidates) - position)
        until = time.monotonic() + share
        try:
            async for each in retrying(
                attempts=candidate.max_attempts, budget_s=share, may_retry=lambda: not forwarded
            ):
                with each:
                    return await attempt(candidate, until)
        except ProviderError as error:
            if forwarded or not error.fallback_helps or position + 1 == len(candidates):
                raise
            chosen[model] = position + 1
            tally.fallback_from = tally.fallback_from or candidate.model
    raise AssertionError("a model has at least one candidate, which answers or raises")


def _asked(candidate: Model) -> dict[str, str | int | bool]:
    url = urlsplit(candidate.url)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": candidate.provider,
        "gen_ai.request.model": candidate.model,
        "gen_ai.request.stream": True,
        "server.address": url.hostname or "",
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _on_behalf_of(identity: RunIdentity) -> dict[str, Any]:
    return {
        "user": f"{identity.tenant_id}:{identity.user_id}",
        "metadata": {
            "thread_id": identity.thread_id,
            "run_id": identity.run_id,
            "tenant_id": identity.tenant_id,
        },
    }


def _describe(current: Span, stream: ChatStream) -> None:
    """What is known of an answer, also of one that broke off."""
    attributes: dict[str, Any] = {
        "gen_ai.response.id": stream.response_id,
        "gen_ai.response.model": stream.model,
        "gen_ai.response.time_to_first_chunk": stream.first_chunk_s,
    }
    if stream.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = (stream.finish_reason,)
    if usage := stream.usage:
        attributes |= {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    current.set_attributes({key: value for key, value in attributes.items() if value is not None})


def _cost_inputs(candidate: Model, attempt: int, stream: ChatStream) -> dict[str, object]:
    """What the cost of a call is made of, as fields of its line."""
    usage, first_chunk_s = stream.usage, stream.first_chunk_s
    return {
        "provider": candidate.provider,
        "model": candidate.model,
        "response_model": stream.model,
        "response_id": stream.response_id,
        "finish_reason": stream.finish_reason,
        "attempt": attempt,
        "ttfb_ms": None if first_chunk_s is None else first_chunk_s * 1000,
        "prompt_tokens": None if usage is None else usage.input_tokens,
        "completion_tokens": None if usage is None else usage.output_tokens,
        "cached_tokens": None if usage is None else usage.cached_tokens,
        "reasoning_tokens": None if usage is None else usage.reasoning_tokens,
    }


def _count(tally: Tally, stream: ChatStream) -> None:
    if not stream.begun:
        return
    tally.model = stream.model or tally.model
    if stream.usage is None:
        tally.usage_missing += 1
    else:
        tally.usages.append(stream.usage)
