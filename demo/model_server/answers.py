"""What the model says: deterministic texts, tool calls and token counts, in no API's wording."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from demo.model_server.rules import Behaviour, ToolCall
from demo.model_server.wire import Message

_SENTENCES = (
    "Your order left our warehouse this morning and should reach you within two working days.",
    "I looked into it: the charge is a pending authorisation and will disappear by tomorrow.",
    "The report is ready. Revenue grew in all regions but one, where two large orders slipped.",
    "Here is what I found in the documentation, in short: restart the job, then check its log.",
)
_CHARACTERS_PER_TOKEN = 4


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


def _arguments(function: Message, said: str) -> dict[str, Any]:
    """Plausible arguments for a tool, from its JSON schema; a number is the first that was said."""
    number = int(found[0]) if (found := re.search(r"\d+", said)) else 1
    samples = {"string": said[:40], "integer": number, "number": float(number), "boolean": True}
    properties = function.get("parameters", {}).get("properties", {})
    return {
        name: samples[schema.get("type", "string")]
        for name, schema in properties.items()
        if schema.get("type", "string") in samples
    }
