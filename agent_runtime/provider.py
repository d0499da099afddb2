"""One call of a provider: sent, timed, and read to its end, whatever protocol it speaks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import orjson

from agent_runtime import anthropic_messages, openai_chat
from agent_runtime.answer import Answer, Wire
from agent_runtime.errors import (
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    StreamBroken,
    error_text,
)
from agent_runtime.model import Model, Speaks
from agent_runtime.retry import retry_after_s
from agent_runtime.sse import decode_data

WIRES: Mapping[Speaks, Wire] = {"chat": openai_chat, "messages": anthropic_messages}
DONE = "[DONE]"
BODY_END_S = 0.1
"""Between the last event of a stream and the end of its body."""


async def receive(
    client: httpx.AsyncClient,
    model: Model,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    answer: Answer,
    *,
    first_token_timeout_s: float,
    room: Callable[[], Awaitable[None]],
) -> None:
    """Send the request and read ``answer`` to its end.

    After every token it waits for ``room`` at the one who reads; that time is not the provider's.

    :raises ProviderError: when no whole answer came.
    """
    wire, answered = WIRES[model.protocol], False
    began = time.perf_counter()
    loop = asyncio.get_running_loop()

    async def sent(step: str, about: Mapping[str, Any]) -> None:
        # Many providers answer nothing, not even headers, before the first token: the prompt is
        # on the bill of who gives up in between, also while it is being sent.
        if step.endswith(".send_request_body.started"):
            answer.begun = True
        elif step.endswith(".send_request_body.failed"):
            answer.begun = not isinstance(about["exception"], Exception)

    try:
        async with asyncio.timeout(first_token_timeout_s) as patience:
            async with client.stream(
                "POST",
                model.url + wire.path,
                content=orjson.dumps(body),
                headers={"content-type": "application/json", **headers, **wire.headers(model.key)},
                extensions={"trace": sent},
            ) as response:
                if response.status_code != httpx.codes.OK:
                    answer.begun = False
                    raise await _refusal(model, response)
                answered = answer.begun = True
                async for data in decode_data(response.aiter_bytes()):
                    if data == DONE:
                        # With the end of the body unread the connection could not be used again:
                        # the next call would open, and encrypt, another one.
                        patience.reschedule(loop.time() + BODY_END_S)
                        continue
                    tokens = answer.tokens
                    _read(wire, data, answer)
                    if answer.tokens == tokens:
                        continue
                    if answer.first_chunk_s is None:
                        answer.first_chunk_s = time.perf_counter() - began
                    patience.reschedule(None)
                    await room()
                    patience.reschedule(loop.time() + model.idle_timeout_s)
    # What was finished is an answer, even when the connection stalled or broke right behind it.
    except TimeoutError:
        if answer.first_chunk_s is None:
            raise FirstTokenTimeout(
                f"{model.name} sent no token within {first_token_timeout_s:.3g} s"
            ) from None
        if answer.finish_reason is None:
            raise IdleTimeout(
                f"{model.name} sent no further token for {model.idle_timeout_s:g} s"
            ) from None
    except httpx.RequestError as error:
        if answer.finish_reason is None:
            kind = StreamBroken if answered else ProviderUnreachable
            raise kind(f"{model.name}: {type(error).__name__}: {error}") from error
    if answer.finish_reason is None:
        raise StreamBroken(f"{model.name}: the stream ended without a finish reason")


def _read(wire: Wire, data: str, answer: Answer) -> None:
    try:
        wire.read(orjson.loads(data), answer)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StreamBroken(
            f"a chunk of the stream has another shape: {error!r}: {data[:80]!r}"
        ) from error


async def _refusal(model: Model, response: httpx.Response) -> ProviderError:
    text = (await response.aread()).decode("utf-8", "replace")
    try:
        error = orjson.loads(text).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        error = text
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    return ProviderRefused(
        f"{model.name} answered {response.status_code}: {error_text(error)[:300]}",
        status=response.status_code,
        code=code if isinstance(code, str) else None,
        retry_after_s=retry_after_s(dict(response.headers)),
    )
