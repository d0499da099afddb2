"""The conversation as two requests over httpx and nothing around them: no framework takes less."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from protocol import QUESTION, Task, answer, settings, timed

TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Where an order is.",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "integer"}},
                       "required": ["order_id"]},
    },
}  # fmt: skip


def make_tasks() -> Mapping[str, Task]:
    client = httpx.AsyncClient()

    async def chunks(messages: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        body = {"model": "gpt-4o-mini", "messages": messages, "tools": [TOOL], "stream": True,
                "stream_options": {"include_usage": True}}  # fmt: skip
        url = f"{settings()['model_url']}/chat/completions"
        async with client.stream("POST", url, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    yield json.loads(line[6:])

    async def converse() -> str:
        messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
        call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        async for chunk in chunks(messages):
            for choice in chunk["choices"]:
                for part in choice["delta"].get("tool_calls", ()):
                    call["id"] = part.get("id", call["id"])
                    for key, value in part["function"].items():
                        call["function"][key] += value
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "shipped this morning"},
        ]
        said = ""
        async for chunk in chunks(messages):
            for choice in chunk["choices"]:
                said += choice["delta"].get("content") or ""
        return said

    return {"conversation": lambda: timed(converse)}


if __name__ == "__main__":
    answer(make_tasks)
