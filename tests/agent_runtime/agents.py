"""Agents that tests run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agent_runtime import END, Context, Graph, Message, Model, Runtime, State, Tool, tool
from demo.model_server import ModelServer


@tool
async def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@tool
def divide(by: int) -> dict[str, float]:
    """One divided by a number."""
    return {"quotient": 1 / by}


@tool(timeout_s=0.05)
async def sleep_long() -> str:
    """Never answers in time."""
    await asyncio.sleep(60)
    return "awake"


TOOLS = (get_weather, divide, sleep_long)


def chatting(model: Model, tools: Sequence[Tool] = TOOLS, **limits: int) -> Graph:
    """A model in a loop with its tools."""
    graph = Graph(**limits)

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        answer = await ctx.chat(model, state.messages, system="Be brief.", tools=tools)
        return {"messages": [answer]}, "tools" if answer.tool_calls else END

    graph.tools("tools", tools, then="agent")
    return graph


def model_at(vendor: ModelServer, name: str = "openai:gpt-4o-mini", **options: Any) -> Model:
    """A model served by the vendor."""
    return Model(name, base_url=vendor.base_url, api_key="sk-test-0123456789", **options)


def support(vendor: ModelServer, **options: Any) -> Runtime:
    """An agent that chats with the vendor's model."""
    return Runtime(chatting(model_at(vendor, **options)), agent_name="support", feature="help")


WHO = {"tenant_id": "acme", "user_id": "ada"}
Step = Callable[[State, Context], Awaitable[tuple[Mapping[str, Any], str]]]


def graph_of(*steps: Step) -> Graph:
    """A graph that begins with the first one; nodes are named like the functions."""
    graph = Graph()
    for step in steps:
        graph.node(entry=step is steps[0])(step)
    return graph


async def hello(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
    """Says how much was said so far."""
    said = f"hello {len(state.messages)}"
    return {"messages": [Message("assistant", said)], "seen": len(state.messages)}, END
