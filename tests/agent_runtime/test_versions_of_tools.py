"""Writes that one version of an agent began and another one hears of: tools and nodes change."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    NotDone,
    RunResult,
    Runtime,
    State,
    Tool,
    ToolCall,
    WritePending,
    tool,
)
from agent_runtime.claims import Claim, Standing, decide, digest
from agent_runtime.errors import WriteConflict
from agent_runtime.tool_calls import call_tools

from .conftest import Telemetry
from .writing import PEN, WHO, answers, call

Charger = Callable[..., Tool]
Changing = Annotated[int, AfterValidator(lambda cents: cents + random.randrange(2**60))]


class Shop:
    """What was charged, by whichever version of the tool."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.fails = False
        """Whether a charge breaks off, so that nobody knows whether it was made."""

    def charge(self, ctx: Context) -> str:
        self.effects.append(ctx.idempotency_key)
        if self.fails:
            raise ConnectionResetError("the reply was lost")
        return "charged"

    def first(self, **how: Any) -> Tool:
        """The first version."""

        @tool(writes=True, **how)
        async def charge(order: str, cents: int, ctx: Context) -> str:
            return self.charge(ctx)

        return charge

    def more_optional(self, **how: Any) -> Tool:
        @tool(writes=True, **how)
        async def charge(order: str, cents: int, ctx: Context, note: str = "") -> str:
            return self.charge(ctx)

        return charge

    def read_otherwise(self, **how: Any) -> Tool:
        """Each time its arguments are read they are others, as with a set that becomes JSON."""

        @tool(writes=True, **how)
        async def charge(order: str, cents: Changing, ctx: Context) -> str:
            return self.charge(ctx)

        return charge

    def more_required(self, **how: Any) -> Tool:
        @tool(writes=True, **how)
        async def charge(order: str, cents: int, currency: str, ctx: Context) -> str:
            return self.charge(ctx)

        return charge

    def renamed(self, **how: Any) -> Tool:
        @tool(writes=True, name="pay", **how)
        async def charge(order: str, cents: int, ctx: Context) -> str:
            return self.charge(ctx)

        return charge


CHANGED = [Shop.more_optional, Shop.read_otherwise, Shop.more_required, Shop.renamed]
UNREADABLE = [Shop.more_required, Shop.renamed]


def version(charger: Tool, *calls: ToolCall, node: str = "tools", dies: bool = False) -> Graph:
    """Asks for the calls and is done; its process may die behind them, before the checkpoint."""
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        if state.messages[-1].role == "tool":
            return {"messages": [Message("assistant", "done")]}, END
        asked = calls or (call(**PEN),)
        return {"messages": [Message("assistant", "", asked)]}, node

    async def act(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        told = await call_tools({charger.name: charger}, state.messages, ctx)
        if dies:
            raise RuntimeError("here it dies")
        return {"messages": told}, "agent"

    if dies:
        graph.node(name=node)(act)
    else:
        graph.tools(node, [charger], then="agent")
    return graph


def said(result: RunResult) -> list[str]:
    return [each.content for each in result.messages if each.role == "tool"]


def resumed(graph: Graph, dsn: str, **answer: Any) -> RunResult:
    async def run() -> RunResult:
        async with Runtime(graph, agent_name="shop", store=dsn) as runtime:
            return await runtime.resume(**WHO, **answer)

    return asyncio.run(run())


def begun(graph: Graph, dsn: str) -> RunResult:
    async def run() -> RunResult:
        async with Runtime(graph, agent_name="shop", store=dsn) as runtime:
            return await runtime.run("a pen", **WHO)

    return asyncio.run(run())


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("changed", CHANGED, ids=lambda each: each.__name__)
def test_a_write_that_was_done_is_heard_of_by_the_next_version(
    dsn: str, shop: Shop, changed: Charger, telemetry: Telemetry
) -> None:
    """What the model wrote is the same, however it would be understood now; an error would make
    it ask again, and that would be another write."""
    begun(version(shop.first(), dies=True), dsn)
    result = resumed(version(changed(shop)), dsn)
    assert (result.outcome.kind, said(result)) == ("success", ["charged"])
    assert len(shop.effects) == 1
    assert [line["replayed"] for line in telemetry.lines("agent.tool")] == [False, True]


@pytest.mark.parametrize("changed", UNREADABLE, ids=lambda each: each.__name__)
@pytest.mark.parametrize("done", [True, False])
def test_a_write_in_doubt_is_settled_by_the_next_version(
    dsn: str, shop: Shop, changed: Charger, done: bool, telemetry: Telemetry
) -> None:
    """A human is asked, though the tool could not be called any more. Where they say that it was
    not done, the model hears why it cannot be done as it was asked for."""
    shop.fails = True
    asked = begun(version(shop.first()), dsn)
    after = version(changed(shop))
    again = resumed(after, dsn)
    assert again.outcome.payload["arguments"] == PEN
    assert again.question == asked.question
    value = {"done": True, "result": "charged, says the bank"} if done else {"done": False}
    result = resumed(after, dsn, question=again.question, value=value)
    assert result.outcome.kind == "success"
    if done:
        assert said(result) == ["charged, says the bank"]
    else:
        assert answers(result)[0]["error_class"] == f"agent_runtime.errors.{NotDone.__name__}"
        assert "currency" in said(result)[0] or "there is no tool 'charge'" in said(result)[0]
    assert len(shop.effects) == 1


def test_upstream_is_asked_about_arguments_that_are_none_any_more(
    dsn: str, shop: Shop, telemetry: Telemetry
) -> None:
    """What became of a key has nothing to do with them."""

    async def became(key: str, ctx: Context) -> str:
        return f"charged under {key}"

    shop.fails = True
    begun(version(shop.first()), dsn)
    result = resumed(version(shop.more_required(resolve=became)), dsn)
    assert said(result) == [f"charged under {shop.effects[0]}"]


@pytest.mark.parametrize("changed", CHANGED[:3], ids=lambda each: each.__name__)
def test_an_operation_is_done_once_by_all_versions(
    dsn: str, shop: Shop, changed: Charger, telemetry: Telemetry
) -> None:
    """Its result is heard of by whoever asked for it with the same arguments."""
    once = {"once_per": ["order"]}
    begun(version(shop.first(**once), dies=True), dsn)
    assert said(resumed(version(changed(shop, **once)), dsn)) == ["charged"]
    assert len(shop.effects) == 1


def test_an_operation_is_the_same_however_it_is_written(
    dsn: str, shop: Shop, telemetry: Telemetry
) -> None:
    """A default may be written or not, and blanks and order are none of its arguments."""
    alike = [call(**PEN), ToolCall("b", "charge", '{"note": "", "cents":500 ,"order":"pen"}')]
    result = begun(version(shop.more_optional(once_per=["order"]), *alike), dsn)
    assert said(result) == ["charged", "charged"]
    assert len(shop.effects) == 1


def test_a_call_that_nobody_began_is_told_what_is_wrong(
    dsn: str, shop: Shop, telemetry: Telemetry
) -> None:
    """No claim, no doubt: the model hears what is wrong with its arguments, or that there is no
    such tool, and no write is noted."""
    calls = call(order="pen"), call("pay", 2, **PEN), ToolCall("c", "charge", "no JSON")
    result = begun(version(shop.first(once_per=["order"]), *calls), dsn)
    assert all(each["is_error"] for each in answers(result))
    assert shop.effects == []
    assert not any("write" in line for line in telemetry.lines("agent.tool"))


def test_claims_of_versions_that_kept_less_are_found_equal(shop: Shop, threads: str) -> None:
    """They hold only what their tool understood. It is compared where it can be."""
    said = digest(["charge", PEN])
    old = Standing("one", None, said, acts=1, result="charged", lease_left_s=0)

    def claim(understood: str | None) -> Claim:
        return Claim("k", digest(["charge", "{}"]), "acme", "t1", "charge", understood)

    assert decide(claim(said), old) == "replay"
    assert decide(claim(None), old) == "replay"
    with pytest.raises(WriteConflict):
        decide(claim(digest(["charge", PEN | {"cents": 900}])), old)


def test_claims_outlive_the_new_columns(shop: Shop, threads: str, telemetry: Telemetry) -> None:
    """A database of the version before is brought up to date, and its claims hold."""
    begun(version(shop.first(), dies=True), threads)
    with closing(sqlite3.connect(threads.removeprefix("sqlite:///"))) as database:
        for column in ("asked_sha256", "acts"):
            database.execute(f"ALTER TABLE agent_claim DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 2")
    assert said(resumed(version(shop.first()), threads)) == ["charged"]
    assert len(shop.effects) == 1


def refused(graph: Graph, dsn: str) -> None:
    with pytest.raises(WritePending, match="resume it"):
        begun(graph, dsn)


def test_a_thread_whose_node_is_gone_hears_of_its_writes(
    dsn: str, shop: Shop, telemetry: Telemetry
) -> None:
    """Resumed, it goes on at the entry with what became of them. What was not begun is not begun
    now: nobody knows what the node would have done first."""
    begun(version(shop.first(), dies=True), dsn)
    after = version(shop.first(), node="act")
    refused(after, dsn)
    result = resumed(after, dsn)
    assert (result.outcome.kind, said(result)) == ("success", ["charged"])
    assert begun(after, dsn).outcome.kind == "success"


def test_a_thread_whose_node_is_gone_asks_about_a_write_in_doubt(
    dsn: str, shop: Shop, telemetry: Telemetry
) -> None:
    """The answer settles it; the call behind it, which was never begun, is an error."""
    shop.fails = True
    calls = call(**PEN), call("charge", 2, **PEN)
    begun(version(shop.first(), *calls), dsn)
    after = version(shop.first(), node="act")
    refused(after, dsn)
    asked = resumed(after, dsn)
    assert asked.outcome.reason == "human"
    value = {"done": True, "result": "charged, says the bank"}
    result = resumed(after, dsn, question=asked.question, value=value)
    [settled, never] = said(result)
    assert settled == "charged, says the bank"
    assert "this call was not carried out: there is no node 'tools'" in never
    assert len(shop.effects) == 1


def test_a_node_that_is_gone_is_an_error_where_it_called_no_tools(
    dsn: str, telemetry: Telemetry
) -> None:
    """It names the nodes that are there; a new message begins at the entry."""
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, "later"

    @graph.node()
    async def later(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise RuntimeError("not now")

    begun(graph, dsn)
    other = Graph()

    @other.node(entry=True, name="agent")
    async def ends(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, END

    assert "there is no node 'later'" in str(resumed(other, dsn).outcome.error)
    assert begun(other, dsn).outcome.kind == "success"
