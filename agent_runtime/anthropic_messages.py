"""Speaks the messages protocol of Anthropic: https://docs.anthropic.com/en/api/messages-streaming."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from agent_runtime.answer import Answer, arguments_to_send, counted, name_to_send, set_by
from agent_runtime.errors import AnswerPaused, StreamBroken, error_text
from agent_runtime.messages import Message, ToolCall, Usage
from agent_runtime.model import Model

path = "/messages"
VERSION = "2023-06-01"
PAUSED = "pause_turn"
MAX_TOKENS = 4096
"""The protocol wants a limit; a model's ``parameters`` may say ``max_tokens``."""

NOTHING_SAID_YET = "(The user has said nothing yet.)"
"""Stands before a thread that an assistant's greeting begins: the protocol wants a user's turn."""
NOTHING_SAID = "(The user has said nothing.)"
"""Stands for a blank message: the protocol refuses it, and left out the assistant would go on with
what it said before."""

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def headers(key: str | None) -> dict[str, str]:
    """The key, if there is one, and the version of the protocol."""
    return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})


def body(
    model: Model,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    user: str,
) -> dict[str, Any]:
    """Body of a streamed message. System messages are a field of their own here."""
    system = "\n\n".join(each.content for each in messages if each.role == "system")
    request: dict[str, Any] = {
        **set_by(model.parameters, {"max_tokens": MAX_TOKENS, "metadata": {"user_id": user}}),
        "model": model.model,
        "messages": _turns([each for each in messages if each.role != "system"], tools),
        "stream": True,
    }
    if system:
        request["system"] = system
    if tools:
        request["tools"] = [
            {
                "name": tool["name"],
                "description": tool["description"],
                "input_schema": tool["parameters"],
            }
            for tool in tools
        ]
    return request


def read(chunk: Mapping[str, Any], answer: Answer) -> None:
    """Take in one event; what is not known, such as ``ping``, says nothing."""
    match chunk.get("type"):
        case "error":
            raise StreamBroken(f"error in the stream: {error_text(chunk.get('error'))}")
        case "message_start":
            message = chunk["message"]
            answer.comes_from(message.get("id"), message.get("model"))
            answer.usage = _usage(message.get("usage"), None)
        case "content_block_start":
            _begin(chunk["index"], chunk["content_block"], answer)
        case "content_block_delta":
            _go_on(chunk["index"], chunk["delta"], answer)
        case "message_delta":
            answer.usage = _usage(chunk.get("usage"), answer.usage)
            if reason := (chunk.get("delta") or {}).get("stop_reason"):
                answer.finish(reason)
                if reason == PAUSED:
                    raise AnswerPaused(
                        f"the provider paused its turn ({PAUSED}), as for tools that it runs "
                        "itself; they are not supported: leave them out of the model's parameters"
                    )
        case "message_stop":
            answer.over = True


def _begin(index: int, block: Mapping[str, Any], answer: Answer) -> None:
    match block.get("type"):
        case "text" if block.get("text"):
            answer.say(block["text"])
        case "tool_use":
            # Anthropic sends the input in pieces behind this, others all of it here.
            whole = orjson.dumps(block["input"]).decode() if block.get("input") else ""
            answer.call(index, block["id"], block["name"], whole)
        case "thinking" | "redacted_thinking":
            answer.blocks.append(dict(block))


def _go_on(index: int, delta: Mapping[str, Any], answer: Answer) -> None:
    match delta.get("type"):
        case "text_delta":
            answer.say(delta["text"])
        # Not of tools that the provider calls itself (server_tool_use).
        case "input_json_delta" if answer.calls_at(index):
            answer.call(index, arguments=delta["partial_json"])
        case "thinking_delta":
            answer.think(delta["thinking"])
            block = answer.blocks[-1]
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
        case "signature_delta":
            answer.blocks[-1]["signature"] = delta["signature"]


def _usage(reported: object, before: Usage | None) -> Usage | None:
    """Counts in the sense of `Usage`: here the cached parts are beside the input, not in it.

    The event that ends a message repeats some of the counts, as it likes.
    """
    usage = reported if isinstance(reported, dict) else {}
    if before is None and counted(usage.get("input_tokens")) is None:
        return None
    known = before or Usage(0, 0)

    def said(name: str, before: int | None) -> int | None:
        return before if (now := counted(usage.get(name))) is None else now

    read_tokens = said("cache_read_input_tokens", known.cached_tokens)
    write_tokens = said("cache_creation_input_tokens", known.cache_write_tokens)
    beside = (known.cached_tokens or 0) + (known.cache_write_tokens or 0)
    uncached = said("input_tokens", known.input_tokens - beside)
    return Usage(
        (uncached or 0) + (read_tokens or 0) + (write_tokens or 0),
        said("output_tokens", known.output_tokens) or 0,
        read_tokens,
        cache_write_tokens=write_tokens,
    )


def _turns(messages: Iterable[Message], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Users and assistants take turns, a user first; what either says in a row is one message."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, tools)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": NOTHING_SAID_YET}]})
    return turns


def _blocks(message: Message, tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if message.tool_call_id is not None:
        result = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id)}
        return [result | ({"content": message.content} if message.content else {})]
    if message.role == "user" and not message.content.strip():
        return [{"type": "text", "text": NOTHING_SAID}]
    calls = list(message.tool_calls)
    text = message.content
    blocks: list[dict[str, Any]] = []
    for block in message.thinking:
        match block["type"]:
            case "text":
                blocks += _text(text[: block["characters"]])
                text = text[block["characters"] :]
            case "tool_use":
                at_once = [call for call in calls if call.id == block["id"]]
                blocks += [_tool_use(call, tools) for call in at_once]
                calls = [call for call in calls if call.id != block["id"]]
            case _:
                blocks.append(dict(block))
    return [*blocks, *_text(text), *(_tool_use(call, tools) for call in calls)]


def _text(text: str) -> list[dict[str, Any]]:
    """A block, unless it would be blank, which the protocol refuses."""
    return [{"type": "text", "text": text}] if text.strip() else []


def _tool_use(call: ToolCall, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    name, given = name_to_send(call.name, tools), arguments_to_send(call)
    return {"type": "tool_use", "id": _id(call.id), "name": name, "input": given}


def _id(of_call: str) -> str:
    """Ids of calls that another provider gave may hold what this one refuses."""
    return _NOT_IN_IDS.sub("_", of_call)
