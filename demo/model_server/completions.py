"""OpenAI's chat completions: `POST /v1/chat/completions`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from demo.model_server.ledger import Call
from demo.model_server.rules import ToolCall
from demo.model_server.wire import Asked, event, tokens_of, tool_call_id

prefix = "chatcmpl"


class ChatRequest(BaseModel):
    """The part of a request that matters here."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = Field(default_factory=list)
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    safety_identifier: str = ""
    user: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)

    def asked(self) -> Asked:
        """The request as the script sees it."""
        options = self.stream_options or {}
        user = self.safety_identifier or self.user
        return Asked(
            self.model, self.messages, self.tools, self.stream, user, self.metadata,
            bool(options.get("include_usage")),
        )  # fmt: skip


def whole(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> dict[str, Any]:
    """A whole response, for a call that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else text}
    if calls:
        message["tool_calls"] = _tool_calls(call, calls)
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(calls)}
    body = _envelope(call, "chat.completion") | {"choices": [choice]}
    return body | ({"usage": _usage(call)} if usage else {})


def failure(status: int, message: str) -> dict[str, Any]:
    """An error in OpenAI's words."""
    kind = "rate_limit_exceeded" if status == 429 else "scripted"
    return {"error": {"message": message, "type": kind, "code": kind, "param": None}}


def opening(call: Call, calls: Sequence[ToolCall]) -> bytes:
    """The chunk that names the role."""
    return _chunk(call, {"role": "assistant", "content": None if calls else ""})


def pieces(call: Call, text: str, calls: Sequence[ToolCall]) -> Iterator[bytes]:
    """A word each, or the head and the arguments of each tool call."""
    if not calls:
        yield from (_chunk(call, {"content": token}) for token in tokens_of(text))
        return
    for part in _tool_calls(call, calls):
        head = part["function"] | {"arguments": ""}
        yield _chunk(call, {"tool_calls": [part | {"function": head}]})
        arguments = {"arguments": part["function"]["arguments"]}
        yield _chunk(call, {"tool_calls": [{"index": part["index"], "function": arguments}]})


def closing(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> Iterator[bytes]:
    """The finish reason, usage if it was asked for, and the end mark."""
    del text
    yield _chunk(call, {}, _finish_reason(calls))
    if usage:
        body = _envelope(call, "chat.completion.chunk")
        yield event(body | {"choices": [], "usage": _usage(call)})
    yield b"data: [DONE]\n\n"


def _tool_calls(call: Call, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": tool_call_id(call, index),
            "type": "function",
            "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)},
        }
        for index, tool in enumerate(calls)
    ]


def _usage(call: Call) -> dict[str, Any]:
    return {
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "total_tokens": call.prompt_tokens + call.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": call.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
    }


def _finish_reason(calls: Sequence[ToolCall]) -> str:
    return "tool_calls" if calls else "stop"


def _chunk(call: Call, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return event(_envelope(call, "chat.completion.chunk") | {"choices": [choice], "usage": None})


def _envelope(call: Call, kind: str) -> dict[str, Any]:
    created = int(call.started_at)
    return {"id": call.id, "object": kind, "created": created, "model": call.model}
