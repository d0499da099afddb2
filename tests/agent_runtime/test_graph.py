"""Graphs that cannot run say so when they are put together, or name the node."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import END, Context, Graph, GraphError, Message, Runtime, State

from .agents import divide
from .conftest import Telemetry


async def end(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
    return {}, END


def test_a_graph_needs_an_entry() -> None:
    """A runtime refuses a graph in which nothing is first."""
    graph = Graph()
    graph.node(name="a")(end)
    with pytest.raises(GraphError, match="no node is the entry"):
        Runtime(graph, agent_name="a")


def test_names_are_taken_once() -> None:
    """Two nodes, two entries or two tools of one name are refused."""
    graph = Graph()
    graph.node(name="a", entry=True)(end)
    with pytest.raises(GraphError, match="there is a node 'a' already"):
        graph.node(name="a")(end)
    with pytest.raises(GraphError, match="'a' and 'b' are both the entry"):
        graph.node(name="b", entry=True)(end)
    with pytest.raises(GraphError, match="two tools of the same name"):
        graph.tools("t", [divide, divide], then="a")


def test_tools_lead_to_a_node_that_exists() -> None:
    """`then` is checked before the first run."""
    graph = Graph()
    graph.node(name="a", entry=True)(end)
    graph.tools("tools", [divide], then="agent")
    with pytest.raises(GraphError, match="no node 'agent'; there are: a, tools, END"):
        Runtime(graph, agent_name="a")


def test_the_recursion_limit_cannot_be_switched_off() -> None:
    """Zero is not 'no limit'."""
    with pytest.raises(GraphError, match="recursion_limit=0"):
        Graph(recursion_limit=0)


def test_an_unknown_next_node_is_an_error_of_the_run(telemetry: Telemetry) -> None:
    """The message names the node and those that exist."""

    async def lost(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, "nowhere"

    graph = Graph()
    graph.node(entry=True)(lost)

    async def run() -> None:
        async with Runtime(graph, agent_name="a") as runtime:
            await runtime.run("hello", thread_id="t", tenant_id="acme", user_id="ada")

    asyncio.run(run())
    complaint = "there is no node 'nowhere'; there are: lost, END"
    assert telemetry.summary()["error_message"] == complaint


def test_messages_add_up_and_values_replace() -> None:
    """A node's update extends the conversation and overwrites values; the old state stays."""
    first = State((Message("user", "hi"),), {"a": 1, "b": 1})
    second = first.updated({"messages": [Message("assistant", "hello")], "b": 2})
    assert [message.content for message in second.messages] == ["hi", "hello"]
    assert (second.values, first.values) == ({"a": 1, "b": 2}, {"a": 1, "b": 1})
    assert second.last_user == "hi"
