"""One call of a provider: sent, timed, and read to its end, whatever protocol it speaks."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from agent_runtime import anthropic_messages, openai_chat
from agent_runtime.answer import Answer, Wire
from agent_runtime.as_json import as_json
from agent_runtime.clients import proxy_for
from agent_runtime.errors import (
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    StreamBroken,
    error_text,
)
from agent_runtime.masking import masked_beginning
from agent_runtime.model import Model, Speaks
from agent_runtime.patience import Patience
from agent_runtime.retry import retry_after_s
from agent_runtime.sse import Decoder

WIRES: Mapping[Speaks, Wire] = {"chat": openai_chat, "messages": anthropic_messages}
DONE = "[DONE]"
BODY_END_S = 0.1
"""Between the last event of a stream and the end of its body."""
REFUSAL_S = 2.0
"""For the body of a refusal, of which status and headers have said what counts."""
MOST_OF_REFUSAL = 2**16


async def receive(
    client: aiohttp.ClientSession,
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
    decoder = Decoder()
    try:
        async with (
            Patience(first_token_timeout_s) as patience,
            client.post(
                model.url + wire.path,
                data=as_json(body),
                headers={"content-type": "application/json", **headers, **wire.headers(model.key)},
                proxy=proxy_for(model.url),
                allow_redirects=False,
                trace_request_ctx=answer,
            ) as response,
        ):
            if response.status != HTTPStatus.OK:
                answer.begun = False
                patience.last()
                raise await _refusal(model, response)
            answered, ended = True, False
            answer.begun = True
            while chunk := await response.content.readany():
                if ended:
                    continue
                tokens = answer.tokens
                for data in decoder.feed(chunk):
                    if ended := _read(wire, data, answer):
                        break
                    if answer.tokens > tokens:
                        if answer.first_chunk_s is None:
                            answer.first_chunk_s = time.perf_counter() - began
                        patience.last()
                        await room()
                if ended:
                    # With the end of the body unread the connection could not be used again:
                    # the next call would open, and encrypt, another one.
                    patience.last(BODY_END_S)
                elif answer.tokens > tokens:
                    patience.last(model.idle_timeout_s)
    # What was finished is an answer, even when the connection stalled or broke right behind it.
    except aiohttp.ClientError as error:
        if answer.finish_reason is None:
            kind = StreamBroken if answered else ProviderUnreachable
            raise kind(f"{model.name}: {type(error).__name__}: {error}") from error
    except TimeoutError:
        if answer.first_chunk_s is None and not answer.over:
            raise FirstTokenTimeout(
                f"{model.name} sent no token within {first_token_timeout_s:.3g} s"
            ) from None
        if answer.finish_reason is None and not answer.over:
            raise IdleTimeout(
                f"{model.name} sent no further token for {model.idle_timeout_s:g} s"
            ) from None
    if answer.finish_reason is None:
        raise StreamBroken(f"{model.name}: the stream ended without a finish reason")


def _read(wire: Wire, data: str, answer: Answer) -> bool:
    """Take in one event; whether it was the last one."""
    if data == DONE:
        answer.over = True
        return True
    try:
        wire.read(_chunk(data), answer)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Without the chunk: it may hold what the model said, and so may an error's repr.
        raise StreamBroken(
            f"a chunk of the stream has another shape: {type(error).__name__}: {error}"
        ) from error
    return answer.over


def _chunk(data: str) -> Any:
    """An event. Python's own reader takes half of a surrogate pair, the other half of which some
    providers send with the next piece."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if "\\ud" not in data.lower():
            raise
        return json.loads(data)


async def _refusal(model: Model, response: aiohttp.ClientResponse) -> ProviderError:
    text = (await _as_far_as_it_comes(response)).decode("utf-8", "replace")
    body = _object_in(text)
    about = error if isinstance(error := body.get("error"), dict) else body
    code = about.get("code") or about.get("type")
    return ProviderRefused(
        f"{model.name} answered {response.status}: {masked_beginning(error_text(body, text), 300)}",
        status=response.status,
        code=code if isinstance(code, str) else None,
        retry_after_s=retry_after_s(response.headers),
    )


def _object_in(text: str) -> Mapping[str, Any]:
    """What a refusal says as JSON, which Gemini puts into a list; nothing where it is none."""
    with suppress(orjson.JSONDecodeError):
        match orjson.loads(text):
            case dict(body) | [dict(body), *_]:
                return body
    return {}


async def _as_far_as_it_comes(response: aiohttp.ClientResponse) -> bytes:
    """A body that is only to be quoted: what is wrong with it changes nothing."""
    body = b""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(REFUSAL_S):
            while len(body) < MOST_OF_REFUSAL and (chunk := await response.content.readany()):
                body += chunk
    return body
