"""The conversation, and the graph that does nothing, on LangGraph, without any telemetry."""

import operator
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypedDict

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from protocol import NODES, QUESTION, Task, answer, between, settings, timed


class Idle(TypedDict):
    steps: Annotated[list[int], operator.add]


@tool
async def find_order(order_id: int) -> str:
    """Where an order is."""
    return "shipped this morning"


def talking():
    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=settings()["model_url"], api_key="k", stream_usage=True
    ).bind_tools([find_order])

    async def agent(state: MessagesState) -> dict:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([find_order], handle_tool_errors=True))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    return graph.compile(name="support")


def idling(entered: list[float]):
    def node(number: int) -> Callable[[Idle], Awaitable[dict]]:
        async def enter(state: Idle) -> dict:
            entered.append(time.perf_counter())
            return {}

        return enter

    graph = StateGraph(Idle)
    names = [f"n{number}" for number in range(NODES)]
    for number, name in enumerate(names):
        graph.add_node(name, node(number))
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile(name="idle")


def make_tasks() -> Mapping[str, Task]:
    entered: list[float] = []
    agent, idle = talking(), idling(entered)

    async def converse() -> str:
        said = ""
        asked = {"messages": [("user", QUESTION)]}
        async for piece, _ in agent.astream(asked, stream_mode="messages"):
            if piece.type == "AIMessageChunk":
                said += piece.text
        return said

    async def walk() -> list[float]:
        entered.clear()
        await idle.ainvoke({"steps": []}, {"recursion_limit": NODES + 1})
        return between(entered)

    return {"conversation": lambda: timed(converse), "nodes": walk}


if __name__ == "__main__":
    answer(make_tasks)
