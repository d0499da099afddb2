"""Speaks the chat completions protocol of OpenAI and of everyone who is compatible with it.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_runtime.answer import Answer
from agent_runtime.errors import StreamBroken, error_text
from agent_runtime.messages import Message, Usage

path = "/chat/completions"


def headers(key: str | None) -> dict[str, str]:
    """A bearer token, if there is a key."""
    return {"authorization": f"Bearer {key}"} if key else {}


def body(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    user: str,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """Body of a streamed chat completion.

    No ``metadata``: OpenAI refuses it on answers that it is not told to store.
    """
    request: dict[str, Any] = {
        **parameters,
        "model": model,
        "messages": [_message(message) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": user,
    }
    if tools:
        request["tools"] = [{"type": "function", "function": tool} for tool in tools]
    return request


def read(chunk: Mapping[str, Any], answer: Answer) -> None:
    """Take in one chunk."""
    if error := chunk.get("error"):
        raise StreamBroken(f"error in the stream: {error_text(error)}")
    answer.response_id = answer.response_id or chunk.get("id")
    answer.model = chunk.get("model") or answer.model
    if usage := chunk.get("usage"):
        answer.usage = _usage(usage)
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        # Not OpenAI's: DeepSeek and vLLM say reasoning_content, OpenRouter reasoning.
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            answer.think(thought)
        if text := delta.get("content"):
            answer.say(text)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            answer.call(
                call.get("index"), call.get("id"), function.get("name"),
                function.get("arguments") or "",
            )  # fmt: skip
        if reason := choice.get("finish_reason"):
            answer.finish(reason)


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


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=prompt.get("cached_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
        cache_write_tokens=prompt.get("cache_write_tokens"),
    )
