"""Speaks the chat completions protocol of OpenAI and of everyone who is compatible with it.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import httpx
import orjson

from agent_runtime.errors import (
    FirstTokenTimeout,
    IdleTimeout,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    StreamBroken,
)
from agent_runtime.messages import Completion, Message, ToolCall, Usage
from agent_runtime.model import Model
from agent_runtime.retry import retry_after_s
from agent_runtime.sse import decode_data

DONE = "[DONE]"
BODY_END_S = 0.1
"""Between the last event of a stream and the end of its body."""


def chat_request(
    model: Model, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Body of a streamed chat completion."""
    body: dict[str, Any] = {
        **model.parameters,
        "model": model.model,
        "messages": [_message(message) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools]
    return body


class ChatStream:
    """One streamed answer, as far as it has come."""

    def __init__(self) -> None:
        self.response_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.first_chunk_s: float | None = None
        """From sending the request to the first chunk with a token in it, in seconds; the empty
        chunk that opens most streams comes long before."""
        self.begun = False
        """Whether anything came; from then on the provider may bill for it."""
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}

    async def receive(
        self,
        client: httpx.AsyncClient,
        model: Model,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        on_text: Callable[[str], None],
        *,
        first_token_timeout_s: float,
    ) -> Completion:
        """Send the request and read the answer to its end, passing on text as it comes.

        :raises ProviderError: when no whole answer came.
        """
        signed = {**headers, "authorization": f"Bearer {model.key}"} if model.key else headers
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(first_token_timeout_s) as patience:
                async with client.stream(
                    "POST",
                    f"{model.url}/chat/completions",
                    content=orjson.dumps(body),
                    headers={"content-type": "application/json", **signed},
                ) as response:
                    if response.status_code != httpx.codes.OK:
                        raise await _refusal(model, response)
                    async for data in decode_data(response.aiter_bytes()):
                        if data == DONE:
                            # With the end of the body unread the connection could not be used
                            # again: the next call would open, and encrypt, another one.
                            patience.reschedule(loop.time() + BODY_END_S)
                            continue
                        self.begun = True
                        if not self._read(data, on_text):
                            continue
                        if self.first_chunk_s is None:
                            self.first_chunk_s = time.perf_counter() - began
                        patience.reschedule(loop.time() + model.idle_timeout_s)
        # What was finished is an answer, even when the connection stalled or broke right behind it.
        except TimeoutError:
            if self.first_chunk_s is None:
                raise FirstTokenTimeout(
                    f"{model.name} sent no token within {first_token_timeout_s:.3g} s"
                ) from None
            if self.finish_reason is None:
                raise IdleTimeout(
                    f"{model.name} sent no further token for {model.idle_timeout_s:g} s"
                ) from None
        except httpx.RequestError as error:
            if self.finish_reason is None:
                kind = StreamBroken if self.begun else ProviderUnreachable
                raise kind(f"{model.name}: {type(error).__name__}: {error}") from error
        return self._completion(model)

    def _read(self, data: str, on_text: Callable[[str], None]) -> bool:
        """Take in the data of one event. :returns: whether it brought a token."""
        chunk = _parse(data)
        try:
            return self._feed(chunk, on_text)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StreamBroken(
                f"a chunk of the stream has another shape: {error}: {data[:80]!r}"
            ) from error

    def _feed(self, chunk: Mapping[str, Any], on_text: Callable[[str], None]) -> bool:
        if error := chunk.get("error"):
            raise StreamBroken(f"error in the stream: {_error_text(error)}")
        self.response_id = self.response_id or chunk.get("id")
        self.model = chunk.get("model") or self.model
        if usage := chunk.get("usage"):
            self.usage = _usage(usage)
        brought = False
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if text := delta.get("content"):
                self._text.append(text)
                on_text(text)
                brought = True
            for call in delta.get("tool_calls") or ():
                self._feed_tool_call(call)
                brought = True
            if reason := choice.get("finish_reason"):
                self.finish_reason = reason
                brought = True
        return brought

    def _feed_tool_call(self, part: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(part.get("index", 0), {"id": "", "name": "", "arguments": ""})
        function = part.get("function") or {}
        call["id"] = part.get("id") or call["id"]
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""

    def _completion(self, model: Model) -> Completion:
        if self.finish_reason is None:
            raise StreamBroken(f"{model.name}: the stream ended without a finish_reason")
        calls = tuple(
            ToolCall(call["id"] or f"call_{index}", call["name"], call["arguments"] or "{}")
            for index, call in sorted(self._calls.items())
        )
        return Completion(
            Message("assistant", "".join(self._text), calls),
            self.response_id,
            self.model,
            self.finish_reason,
            self.usage,
        )


def _message(message: Message) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return sent


def _parse(data: str) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise StreamBroken(f"a chunk of the stream is not JSON: {error}: {data[:80]!r}") from error
    if not isinstance(chunk, dict):
        raise StreamBroken(f"a chunk of the stream is not an object: {data[:80]!r}")
    return cast("dict[str, Any]", chunk)


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )


async def _refusal(model: Model, response: httpx.Response) -> ProviderError:
    text = (await response.aread()).decode("utf-8", "replace")
    try:
        error = orjson.loads(text).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        error = text
    code = error.get("code") if isinstance(error, dict) else None
    return ProviderRefused(
        f"{model.name} answered {response.status_code}: {_error_text(error)[:300]}",
        status=response.status_code,
        code=code if isinstance(code, str) else None,
        retry_after_s=retry_after_s(dict(response.headers)),
    )


def _error_text(error: object) -> str:
    if isinstance(error, dict) and isinstance(message := error.get("message"), str):
        return message
    return str(error)
