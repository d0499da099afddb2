"""Speaks the chat completions protocol of OpenAI and of everyone who is compatible with it.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from agent_runtime.answer import Answer, arguments_to_send, counted, name_to_send, set_by
from agent_runtime.errors import StreamBroken, error_text
from agent_runtime.messages import Message, ToolCall, Usage
from agent_runtime.model import Model

path = "/chat/completions"
OPENAI = "api.openai.com"
"""Its regions are subdomains."""
REASONING = "reasoning_content"
"""DeepSeek's field for a thought, which it demands beside calls, empty where others made them."""
DEEPSEEK = ".deepseek.com"
_ID_OF_MISTRAL = re.compile("[a-zA-Z0-9]{9}")


def headers(key: str | None) -> dict[str, str]:
    """A bearer token, if there is a key."""
    return {"authorization": f"Bearer {key}"} if key else {}


def body(
    model: Model,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    user: str,
) -> dict[str, Any]:
    """Body of a streamed chat completion.

    No ``metadata``: OpenAI refuses it on answers that it is not told to store.
    """
    request: dict[str, Any] = {
        **set_by(model.parameters, _about(user, model)),
        "model": model.model,
        "messages": [_message(message, tools, model) for message in messages],
        "stream": True,
    }
    if (options := model.parameters.get("stream_options", {})) is not None:
        request["stream_options"] = {"include_usage": True, **options}
    if tools:
        request["tools"] = [{"type": "function", "function": tool} for tool in tools]
    return request


def _about(user: str, model: Model) -> dict[str, str]:
    """The user, unless the parameters name the field in either way. OpenAI's own name for it is
    new, and servers that only speak as OpenAI does may refuse it."""
    if model.parameters.keys() & {"user", "safety_identifier"}:
        return {}
    host = model.host
    is_openai = host == OPENAI or host.endswith(f".{OPENAI}")
    return {"safety_identifier" if is_openai else "user": user}


def read(chunk: Mapping[str, Any], answer: Answer) -> None:
    """Take in one chunk."""
    if error := chunk.get("error"):
        raise StreamBroken(f"error in the stream: {error_text(error)}")
    answer.comes_from(chunk.get("id"), chunk.get("model"))
    answer.usage = _usage(chunk.get("usage")) or answer.usage
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        # Not OpenAI's: DeepSeek says reasoning_content, and refuses calls that come back without
        # it; OpenRouter and vLLM say reasoning.
        if thought := delta.get(REASONING):
            answer.think(thought, wanted_back=True)
        elif thought := delta.get("reasoning"):
            answer.think(thought)
        _read_content(delta.get("content"), answer)
        if refusal := delta.get("refusal"):
            answer.refused = True
            answer.say(refusal)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            arguments = function.get("arguments")
            if isinstance(arguments, dict):  # not as OpenAI has it, which is JSON as text
                arguments = orjson.dumps(arguments).decode()
            answer.call(
                call.get("index"), call.get("id"), function.get("name"), arguments or "",
                call.get("extra_content"),
            )  # fmt: skip
        if reason := choice.get("finish_reason"):
            answer.finish(reason)


def _read_content(content: Any, answer: Answer) -> None:
    """Text, or parts of it and of thoughts, as Mistral's models that think send them."""
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        match part:
            case {"type": "text", "text": text}:
                if text:
                    answer.say(text)
            case {"type": "thinking", "thinking": thoughts}:
                for thought in thoughts:
                    answer.think(thought.get("text", ""))
            case {"type": str()}:  # what a reference refers to
                pass
            case _:
                raise TypeError(f"{type(part).__name__} where a part of the content belongs")


def _message(message: Message, tools: Sequence[Mapping[str, Any]], model: Model) -> dict[str, Any]:
    host = model.host
    sent: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        sent["tool_call_id"] = _id(message.tool_call_id, model)
    if message.tool_calls:
        sent["tool_calls"] = [
            {
                "id": _id(call.id, model),
                "type": "function",
                "function": {
                    "name": name_to_send(call.name, tools),
                    "arguments": _arguments(call),
                },
                **({"extra_content": call.extra[host]} if host in call.extra else {}),
            }
            for call in message.tool_calls
        ]
        thought = message.thought.get(model.where)
        if thought is not None or f".{host}".endswith(DEEPSEEK):
            sent[REASONING] = thought or ""
    return sent


def _id(of_call: str, model: Model) -> str:
    """Mistral refuses the ids of others."""
    if model.provider != "mistral" or _ID_OF_MISTRAL.fullmatch(of_call):
        return of_call
    return hashlib.sha256(of_call.encode()).hexdigest()[:9]


def _arguments(call: ToolCall) -> str:
    """As the model wrote them, where they are what they must be."""
    sent = arguments_to_send(call)
    as_written = "invalid_arguments" not in sent and call.arguments
    return as_written or orjson.dumps(sent).decode()


def _usage(said: object) -> Usage | None:
    """The counts; None where they are none. What is wrong with a bill spoils no answer."""
    usage = _object(said)
    prompt, completion = (
        counted(usage.get("prompt_tokens")),
        counted(usage.get("completion_tokens")),
    )
    if prompt is None or completion is None:
        return None
    of_prompt = _object(usage.get("prompt_tokens_details"))
    cached = _part(of_prompt, "cached_tokens", prompt)
    written = _part(of_prompt, "cache_write_tokens", prompt - (cached or 0))
    reasoning = counted(_object(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    # Not OpenAI's: xAI, and gateways to Gemini, count reasoning beside the completion, in the total
    # only; some do not even say that it is reasoning.
    beside = (counted(usage.get("total_tokens")) or 0) - prompt - completion
    if beside > 0 and (beside == reasoning or (reasoning is None and not cached)):
        completion += beside
    return Usage(prompt, completion, cached, reasoning, written)


def _part(of: Mapping[str, Any], name: str, whole: int) -> int | None:
    """A part of a whole, which it cannot exceed: it would make the rest a refund."""
    part = counted(of.get(name))
    return None if part is None else min(part, whole)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
