"""OpenAI's responses API: `POST /v1/responses`, without stored conversations."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from demo.model_server.completions import failure as failure
from demo.model_server.ledger import Call
from demo.model_server.rules import ToolCall
from demo.model_server.wire import Asked, Message, event, function, tokens_of, tool_call_id

prefix = "resp"


class ResponsesRequest(BaseModel):
    """The part of a request that matters here."""

    model_config = ConfigDict(extra="ignore")

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    tools: list[dict[str, Any]] = Field(default_factory=list)
    stream: bool | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None

    def asked(self) -> Asked:
        """The request as the script sees it."""
        said = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else [
            _message(item) for item in self.input
        ]  # fmt: skip
        if self.instructions:
            said.insert(0, {"role": "system", "content": self.instructions})
        tools = [
            function(tool["name"], tool.get("description") or "", tool.get("parameters") or {})
            for tool in self.tools
            if tool.get("type") == "function"
        ]
        return Asked(
            self.model, said, tools, bool(self.stream), self.user or "", self.metadata or {}
        )


def whole(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> dict[str, Any]:
    """A whole response, for a call that does not stream."""
    return _response(call, "completed", _items(call, text, calls)) | (
        {"usage": _usage(call)} if usage else {}
    )


def opening(call: Call, calls: Sequence[ToolCall]) -> bytes:
    """The event that names the response, and the message that is about to be said."""
    begun = _event("response.created", response=_response(call, "in_progress", []))
    if calls:
        return begun
    item = _message_item(call, "") | {"content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return (
        begun
        + _event("response.output_item.added", output_index=0, item=item)
        + _event("response.content_part.added", **place, part=part)
    )


def pieces(call: Call, text: str, calls: Sequence[ToolCall]) -> Iterator[bytes]:
    """A word each, or the head and the arguments of each tool call."""
    if not calls:
        place = {"item_id": _message_item(call, "")["id"], "output_index": 0, "content_index": 0}
        for token in tokens_of(text):
            yield _event("response.output_text.delta", **place, delta=token, logprobs=[])
        return
    for index, item in enumerate(_items(call, text, calls)):
        head = item | {"arguments": "", "status": "in_progress"}
        yield _event("response.output_item.added", output_index=index, item=head)
        place = {"item_id": item["id"], "output_index": index}
        arguments = item["arguments"]
        yield _event("response.function_call_arguments.delta", **place, delta=arguments)


def closing(call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool) -> Iterator[bytes]:
    """Each item as it ended, then the whole response."""
    for index, item in enumerate(_items(call, text, calls)):
        place = {"item_id": item["id"], "output_index": index}
        if calls:
            done = {"arguments": item["arguments"], "name": item["name"]}
            yield _event("response.function_call_arguments.done", **place, **done)
        else:
            said = {"content_index": 0, "text": text, "logprobs": []}
            yield _event("response.output_text.done", **place, **said)
            part = item["content"][0]
            yield _event("response.content_part.done", **place, content_index=0, part=part)
        yield _event("response.output_item.done", output_index=index, item=item)
    yield _event("response.completed", response=whole(call, text, calls, usage=usage))


def _message(item: dict[str, Any]) -> Message:
    """An input item as a chat message."""
    if item.get("type") == "function_call_output":
        return {"role": "tool", "content": item.get("output")}
    if item.get("type") == "function_call":
        return {"role": "assistant", "content": [item["name"], item["arguments"]]}
    return {"role": item.get("role", "assistant"), "content": item.get("content")}


def _items(call: Call, text: str, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    if not calls:
        return [_message_item(call, text)]
    return [
        {
            "id": f"fc-{call.id}-{index}",
            "type": "function_call",
            "call_id": tool_call_id(call, index),
            "name": tool.name,
            "arguments": json.dumps(tool.arguments),
            "status": "completed",
        }
        for index, tool in enumerate(calls)
    ]


def _message_item(call: Call, text: str) -> dict[str, Any]:
    said = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    about = {"type": "message", "role": "assistant", "status": "completed"}
    return {"id": f"msg-{call.id}"} | about | {"content": [said]}


def _response(call: Call, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": call.id, "object": "response", "created_at": int(call.started_at),
        "status": status, "error": None, "incomplete_details": None, "instructions": None,
        "metadata": {}, "model": call.model, "output": output, "parallel_tool_calls": True,
        "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
    }  # fmt: skip


def _usage(call: Call) -> dict[str, Any]:
    return {
        "input_tokens": call.prompt_tokens,
        "input_tokens_details": {"cached_tokens": call.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": call.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
        "total_tokens": call.prompt_tokens + call.completion_tokens,
    }


def _event(kind: str, **fields: Any) -> bytes:
    # The numbers that order a stream's events are left out: what it needs is sent in order.
    return event({"type": kind, "sequence_number": 0} | fields, kind)
