"""A tool that charges, graphs that ask for it, and what came of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    RunResult,
    Runtime,
    State,
    Tool,
    ToolCall,
    tool,
)

from .payments import Payments

WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}
Work = Callable[[Runtime], Awaitable[None]]
PEN = {"order": "pen", "cents": 500}


def charger(bank: Payments, **options: Any) -> Tool:
    """A tool that charges."""

    @tool(writes=True, **{"timeout_s": 5} | options)
    async def charge(order: str, cents: int, ctx: Context) -> Any:
        answer = await ctx.http.post(
            f"{bank.url}/charges",
            json={"order": order, "cents": cents},
            headers={"idempotency-key": ctx.idempotency_key},
        )
        return answer.raise_for_status().json()

    return charge


def call(name: str = "charge", number: int = 1, /, **arguments: Any) -> ToolCall:
    return ToolCall(f"call_{number}", name, json.dumps(arguments))


def asking(tools: list[Tool], *calls: ToolCall, times: int = 1) -> Graph:
    """Asks for the calls, so often in a turn and under the same ids, as some models do."""
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        asked = state.values.get("asked", 0)
        if asked == times:
            return {"messages": [Message("assistant", "done")], "asked": 0}, END
        return {"messages": [Message("assistant", "", calls)], "asked": asked + 1}, "tools"

    graph.tools("tools", tools, then="agent")
    return graph


def with_runtime(graph: Graph, work: Work) -> None:
    async def run() -> None:
        async with Runtime(graph, agent_name="shop") as runtime:
            await work(runtime)

    asyncio.run(run())


def answers(result: RunResult) -> list[Any]:
    return [json.loads(each.content) for each in result.messages if each.role == "tool"]
