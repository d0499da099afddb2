"""The conversation, and the graph that does nothing, on agent_runtime: telemetry, checkpoints."""

import time
from collections.abc import Mapping
from itertools import count
from typing import Any

from protocol import NODES, QUESTION, Task, answer, between, settings, timed

from agent_runtime import (
    END,
    Context,
    Graph,
    Model,
    Runtime,
    State,
    configure_telemetry,
    tool,
)

Step = tuple[Mapping[str, Any], str]
WHO = {"tenant_id": "acme", "user_id": "ada"}
threads = (f"t{number}" for number in count())


@tool
async def find_order(order_id: int) -> str:
    """Where an order is."""
    return "shipped this morning"


def talking() -> Runtime:
    model = Model("openai:gpt-4o-mini", base_url=settings()["model_url"], api_key="k")
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> Step:
        said = await ctx.chat(model, state.messages, tools=[find_order])
        return {"messages": [said]}, "tools" if said.tool_calls else END

    graph.tools("tools", [find_order], then="agent")
    return Runtime(graph, agent_name="support", store=settings()["store"])


def idling(entered: list[float]) -> Runtime:
    graph = Graph()

    def add(number: int) -> None:
        following = END if number == NODES - 1 else f"n{number + 1}"

        @graph.node(entry=number == 0, name=f"n{number}")
        async def node(state: State, ctx: Context) -> Step:
            entered.append(time.perf_counter())
            return {}, following

    for number in range(NODES):
        add(number)
    return Runtime(graph, agent_name="idle", store=settings()["store"])


def make_tasks() -> Mapping[str, Task]:
    configure_telemetry("benchmark", settings()["otlp_url"])
    entered: list[float] = []
    agent, idle = talking(), idling(entered)

    async def converse() -> str:
        said = ""
        async for event in agent.astream(QUESTION, thread_id=next(threads), **WHO):
            if event.name == "token":
                said += event.data["text"]
        return said

    async def walk() -> list[float]:
        entered.clear()
        await idle.run("go", thread_id=next(threads), **WHO)
        return between(entered)

    return {"conversation": lambda: timed(converse), "nodes": walk}


if __name__ == "__main__":
    answer(make_tasks)
