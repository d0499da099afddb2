"""Anthropic's messages API: `POST /v1/messages`."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from demo.model_server.ledger import Call
from demo.model_server.rules import ToolCall
from demo.model_server.wire import Asked, Message, event, function, tokens_of, tool_call_id

prefix = "msg"
_ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    529: "overloaded_error",
}  # fmt: skip


class MessagesRequest(BaseModel):
    """The part of a request that matters here."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[dict[str, Any]]
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] = Field(default_factory=list)
    stream: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)

    def asked(self) -> Asked:
        """The request as the script sees it."""
        said = [_message(message) for message in self.messages]
        if self.system:
            said.insert(0, {"role": "system", "content": self.system})
        tools = [
            function(tool["name"], tool.get("description", ""), tool.get("input_schema", {}))
            for tool in self.tools
        ]
        user = str(self.metadata.get("user_id", ""))
        return Asked(self.model, said, tools, self.stream, user, self.metadata)


def whole(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> dict[str, Any]:
    """A whole response, for a call that does not stream."""
    used = {"usage": _usage(call)} if usage else {}
    ended = {"stop_reason": _stop_reason(calls), "stop_sequence": None}
    return _envelope(call) | {"content": _blocks(call, text, calls)} | ended | used


def failure(status: int, message: str) -> dict[str, Any]:
    """An error in Anthropic's words."""
    error = {"type": _ERRORS.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error}


def opening(call: Call, calls: Sequence[ToolCall]) -> bytes:
    """The event that says what the prompt is billed as, and the text block if one follows."""
    usage = _usage(call) | {"output_tokens": 0}
    begun: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    start = _event("message_start", message=_envelope(call) | begun) + _event("ping")
    if calls:
        return start
    block = {"type": "text", "text": ""}
    return start + _event("content_block_start", index=0, content_block=block)


def pieces(call: Call, text: str, calls: Sequence[ToolCall]) -> Iterator[bytes]:
    """A word each, or the head and the arguments of each tool call."""
    if not calls:
        for token in tokens_of(text):
            delta = {"type": "text_delta", "text": token}
            yield _event("content_block_delta", index=0, delta=delta)
        return
    for index, block in enumerate(_blocks(call, text, calls)):
        head = block | {"input": {}}
        yield _event("content_block_start", index=index, content_block=head)
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield _event("content_block_delta", index=index, delta=delta)


def closing(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> Iterator[bytes]:
    """The end of each block, then the stop reason and what the answer is billed as."""
    for index, _ in enumerate(_blocks(call, text, calls)):
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": _stop_reason(calls), "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage=_usage(call) if usage else {})
    yield _event("message_stop")


def _message(message: dict[str, Any]) -> Message:
    """A message as chat completions has it: there, results of tools have a role of their own."""
    content = message["content"]
    last = content[-1] if isinstance(content, list) and content else {}
    result = isinstance(last, dict) and last.get("type") == "tool_result"
    return {"role": "tool" if result else message["role"], "content": content}


def _blocks(call: Call, text: str, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    if not calls:
        return [{"type": "text", "text": text}]
    return [
        {
            "type": "tool_use",
            "id": tool_call_id(call, index),
            "name": tool.name,
            "input": tool.arguments,
        }
        for index, tool in enumerate(calls)
    ]


def _stop_reason(calls: Sequence[ToolCall]) -> str:
    return "tool_use" if calls else "end_turn"


def _usage(call: Call) -> dict[str, Any]:
    """This API counts what came from the cache beside the input, not in it."""
    return {
        "input_tokens": call.prompt_tokens - call.cached_tokens - call.cache_write_tokens,
        "cache_read_input_tokens": call.cached_tokens,
        "cache_creation_input_tokens": call.cache_write_tokens,
        "output_tokens": call.completion_tokens,
    }


def _envelope(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "message", "role": "assistant", "model": call.model}


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind} | fields, kind)
