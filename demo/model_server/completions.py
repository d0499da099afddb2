"""What the model says: deterministic texts, tool calls and token counts, and their wire format."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demo.model_server.ledger import Call
from demo.model_server.rules import Behaviour, ToolCall

_SENTENCES = (
    "Your order left our warehouse this morning and should reach you within two working days.",
    "I looked into it: the charge is a pending authorisation and will disappear by tomorrow.",
    "The report is ready. Revenue grew in all regions but one, where two large orders slipped.",
    "Here is what I found in the documentation, in short: restart the job, then check its log.",
)
_CHARACTERS_PER_TOKEN = 4

Message = Mapping[str, Any]


def tokens_of(text: str) -> list[str]:
    """The text in pieces as a stream sends them: one word each, with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def prompt_tokens(messages: Sequence[Message], tools: Sequence[Message]) -> int:
    """Four characters a token, over everything that was sent."""
    sent = json.dumps([list(messages), list(tools)], ensure_ascii=False, separators=(",", ":"))
    return math.ceil(len(sent) / _CHARACTERS_PER_TOKEN)


def answer(behaviour: Behaviour, number: int) -> str:
    """The scripted text, or the sentence whose turn it is."""
    return _SENTENCES[number % len(_SENTENCES)] if behaviour.text is None else behaviour.text


def tools_to_call(
    behaviour: Behaviour, messages: Sequence[Message], tools: Sequence[Message]
) -> list[ToolCall]:
    """The tools to call now; none once their results are in, or when they are not offered."""
    if not messages or messages[-1].get("role") == "tool":
        return []
    offered = {tool["function"]["name"]: tool["function"] for tool in tools}
    if behaviour.tool_calls is not None:
        return [call for call in behaviour.tool_calls if call.name in offered]
    said = str(messages[-1].get("content") or "")
    return [
        ToolCall(name=name, arguments=_arguments(function, said))
        for name, function in offered.items()
        if name in said or name.replace("_", " ") in said
    ]


def tool_call_message(calls: Sequence[ToolCall], call: Call) -> list[dict[str, Any]]:
    """The tool calls as a message carries them."""
    return [
        {
            "index": index,
            "id": f"call-{call.id}-{index}",
            "type": "function",
            "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)},
        }
        for index, tool in enumerate(calls)
    ]


def usage_of(call: Call) -> dict[str, Any]:
    """The usage object of a response."""
    return {
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "total_tokens": call.prompt_tokens + call.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": call.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
    }


def completion(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> dict[str, Any]:
    """A whole response, for a call that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else text}
    if calls:
        message["tool_calls"] = tool_call_message(calls, call)
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(calls)}
    body = _envelope(call, "chat.completion") | {"choices": [choice]}
    return body | ({"usage": usage_of(call)} if usage else {})


def finish_reason(calls: Sequence[ToolCall]) -> str:
    """Why the model stopped."""
    return "tool_calls" if calls else "stop"


def chunk(call: Call, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    """One server-sent event of a stream."""
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return event(_envelope(call, "chat.completion.chunk") | {"choices": [choice], "usage": None})


def usage_chunk(call: Call) -> bytes:
    """The last event before `[DONE]` when usage was asked for."""
    body = _envelope(call, "chat.completion.chunk")
    return event(body | {"choices": [], "usage": usage_of(call)})


def event(body: Mapping[str, Any]) -> bytes:
    """A server-sent event holding JSON."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def deltas(text: str, calls: Sequence[ToolCall], call: Call) -> Iterator[dict[str, Any]]:
    """The pieces of an answer after the opening one, a token each."""
    if not calls:
        yield from ({"content": token} for token in tokens_of(text))
        return
    for part in tool_call_message(calls, call):
        function = part["function"]
        yield {"tool_calls": [part | {"function": {"name": function["name"], "arguments": ""}}]}
        arguments = {"index": part["index"], "function": {"arguments": function["arguments"]}}
        yield {"tool_calls": [arguments]}


def _arguments(function: Message, said: str) -> dict[str, Any]:
    """Plausible arguments for a tool, from its JSON schema."""
    samples = {"string": said[:40], "integer": 1, "number": 1.0, "boolean": True}
    properties = function.get("parameters", {}).get("properties", {})
    return {
        name: samples[schema.get("type", "string")]
        for name, schema in properties.items()
        if schema.get("type", "string") in samples
    }


def _envelope(call: Call, kind: str) -> dict[str, Any]:
    created = int(call.started_at)
    return {"id": call.id, "object": kind, "created": created, "model": call.model}
