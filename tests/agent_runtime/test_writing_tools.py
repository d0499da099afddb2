"""Tools that write: which calls are one write, and what a run does with a doubt."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from agent_runtime import (
    END,
    AgentRuntimeError,
    Context,
    Graph,
    Message,
    NotDone,
    RunResult,
    Runtime,
    State,
    Store,
    StoreError,
    Tool,
    ToolCall,
    open_store,
    tool,
    writes,
)
from agent_runtime.store import Row

from .conftest import Telemetry, wait_until
from .payments import Payments, payments

WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}
Work = Callable[[Runtime], Awaitable[None]]


@pytest.fixture
def bank() -> Iterator[Payments]:
    """Upstream that charges as often as it is told to, and can be asked about keys."""
    with payments(keyed=False) as bank:
        yield bank


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


def asking(tools: list[Tool], *calls: ToolCall) -> Graph:
    """Asks for the calls, in each turn under the same ids, as models do."""
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        if state.messages[-1].role == "tool":
            return {"messages": [Message("assistant", state.messages[-1].content)]}, END
        return {"messages": [Message("assistant", "", calls)]}, "tools"

    graph.tools("tools", tools, then="agent")
    return graph


def with_runtime(graph: Graph, work: Work) -> None:
    async def run() -> None:
        async with Runtime(graph, agent_name="shop") as runtime:
            await work(runtime)

    asyncio.run(run())


def answers(result: RunResult) -> list[Any]:
    return [json.loads(each.content) for each in result.messages if each.role == "tool"]


async def leave_while_it_charges(runtime: Runtime, bank: Payments) -> None:
    """A client that is gone before the answer is there."""
    bank.faults = ["answer too late"]
    task = asyncio.create_task(runtime.run("a pen", **WHO))
    await asyncio.to_thread(wait_until, lambda: bank.effects)
    task.cancel()
    await asyncio.wait({task})


PEN = {"order": "pen", "cents": 500}


def test_each_call_that_a_model_makes_is_a_write(bank: Payments, telemetry: Telemetry) -> None:
    """Two in one message, alike but for their ids, and two in turns with the same ids: four."""

    async def work(runtime: Runtime) -> None:
        for _ in range(2):
            result = await runtime.run("buy two pens", **WHO)
        assert [each["charge"] for each in answers(result)] == [0, 1, 2, 3]

    with_runtime(asking([charger(bank)], call(**PEN), call("charge", 2, **PEN)), work)
    assert len(set(bank.keys)) == 4


def test_a_call_that_is_sent_twice_is_one_write(bank: Payments, telemetry: Telemetry) -> None:
    """The same id within one message is the same call; with other arguments it is an error."""
    other = call(order="pen", cents=900)

    async def work(runtime: Runtime) -> None:
        [first, again, conflict] = answers(await runtime.run("a pen", **WHO))
        assert first == again == {"charge": 0, "cents": 500}
        assert conflict["error_class"] == "agent_runtime.errors.WriteConflict"

    with_runtime(asking([charger(bank)], call(**PEN), call(**PEN), other), work)
    assert len(bank.requests) == 1
    replayed = [line.get("replayed") for line in telemetry.lines("agent.tool")]
    assert replayed == [False, True, None]


def test_an_operation_is_done_once_in_all_threads_of_a_tenant(
    bank: Payments, telemetry: Telemetry
) -> None:
    """``once_per`` names what makes it the same, however often it is asked for."""

    async def work(runtime: Runtime) -> None:
        [first, again] = answers(await runtime.run("a pen", **WHO))
        elsewhere = await runtime.run("a pen", **WHO | {"thread_id": "t2"})
        assert [first, again] == answers(elsewhere) == [{"charge": 0, "cents": 500}] * 2
        other_tenant = await runtime.run("a pen", **WHO | {"tenant_id": "umbrella"})
        assert answers(other_tenant)[0]["charge"] == 1

    graph = asking([charger(bank, once_per=["order"])], call(**PEN), call("charge", 2, **PEN))
    with_runtime(graph, work)


def test_an_operation_with_other_arguments_is_an_error(
    bank: Payments, telemetry: Telemetry
) -> None:
    """What is not named by ``once_per`` must be the same."""
    more = call("charge", 2, order="pen", cents=900)

    async def work(runtime: Runtime) -> None:
        [first, conflict] = answers(await runtime.run("a pen", **WHO))
        assert (first["cents"], conflict["is_error"]) == (500, True)

    with_runtime(asking([charger(bank, once_per=["order"])], call(**PEN), more), work)
    assert len(bank.effects) == 1


def test_reads_go_side_by_side_and_before_writes(telemetry: Telemetry) -> None:
    """The writes follow one after the other, in the order in which they were asked for."""
    steps: list[str] = []
    met = asyncio.Event()

    @tool
    async def read(wait: bool) -> str:
        await asyncio.wait_for(met.wait(), 5) if wait else met.set()
        steps.append("read")
        return "read"

    @tool(writes=True)
    async def write(name: str) -> str:
        steps.append(f"{name} begins")
        await asyncio.sleep(0.01)
        steps.append(f"{name} ends")
        return name

    async def work(runtime: Runtime) -> None:
        result = await runtime.run("go", **WHO)
        said = [each.content for each in result.messages if each.role == "tool"]
        assert said == ["a", "read", "b", "read"]

    graph = asking(
        [read, write],
        call("write", 1, name="a"),
        call("read", 2, wait=True),
        call("write", 3, name="b"),
        call("read", 4, wait=False),
    )
    with_runtime(graph, work)
    assert steps == ["read", "read", "a begins", "a ends", "b begins", "b ends"]


def test_telemetry_says_that_a_tool_wrote(bank: Payments, telemetry: Telemetry) -> None:
    """Span and line carry the key that upstream got; reads carry none."""

    @tool
    async def look() -> str:
        return "seen"

    async def work(runtime: Runtime) -> None:
        await runtime.run("a pen", **WHO)

    with_runtime(asking([charger(bank), look], call(**PEN), call("look", 2)), work)
    attributes = telemetry.span("execute_tool charge").attributes or {}
    [line] = [each for each in telemetry.lines("agent.tool") if each["tool_name"] == "charge"]
    for name, value in (("write", True), ("idempotency_key", bank.keys[0]), ("replayed", False)):
        assert attributes[f"agent.{name}"] == line[name] == value
    assert "agent.write" not in (telemetry.span("execute_tool look").attributes or {})


def test_a_write_goes_on_when_its_client_leaves(bank: Payments, telemetry: Telemetry) -> None:
    """The run ends at once; resumed, it gets the result without a second charge."""

    async def work(runtime: Runtime) -> None:
        await leave_while_it_charges(runtime, bank)
        assert telemetry.summary()["outcome_reason"] == "client_disconnect"
        assert telemetry.lines("agent.tool") == []
        result = await runtime.resume(**WHO)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    lines = telemetry.lines("agent.tool")
    assert [(line["outcome"], line["replayed"]) for line in lines] == [
        ("success", False),
        ("success", True),
    ]
    assert len(bank.requests) == 1


def test_a_shutdown_waits_for_writes(bank: Payments, telemetry: Telemetry) -> None:
    """One whose run is gone is finished before the store is closed."""

    async def work(runtime: Runtime) -> None:
        await leave_while_it_charges(runtime, bank)

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    [line] = telemetry.lines("agent.tool")
    assert (line["outcome"], line["replayed"]) == ("success", False)


class Failing:
    """A store that a statement cannot reach, once."""

    def __init__(self, store: Store, statement: str) -> None:
        self._store = store
        self._fails_at = statement
        self.open, self.close = store.open, store.close

    async def execute(self, name: str, *arguments: Any, **values: Any) -> list[Row]:
        if name == self._fails_at:
            self._fails_at = ""
            raise StoreError("unplugged")
        return await self._store.execute(name, *arguments, **values)


def test_a_store_that_fails_is_no_result_of_a_tool(
    bank: Payments, telemetry: Telemetry, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model would take it for a failed write and ask for another; the run ends instead."""
    monkeypatch.setattr(writes, "FINISH_S", 0.1)
    bank.faults = ["lose the reply"]

    async def run() -> None:
        store = Failing(open_store(threads), "take_over_claim")
        graph = asking([charger(bank, timeout_s=0.9)], call(**PEN))
        async with Runtime(graph, agent_name="shop", store=store) as runtime:
            failed = await runtime.run("a pen", **WHO)
            assert (failed.outcome.kind, type(failed.outcome.error)) == ("error", StoreError)
            assert answers(failed) == []
            assert (await runtime.resume(**WHO)).outcome.reason == "human"

    asyncio.run(run())
    assert len(bank.requests) == 1


def test_what_was_done_is_the_result_though_it_cannot_be_noted(
    bank: Payments, telemetry: Telemetry, threads: str
) -> None:
    """A store that fails behind the act does not make it a failure."""

    async def run() -> None:
        store = Failing(open_store(threads), "finish_claim")
        graph = asking([charger(bank)], call(**PEN))
        async with Runtime(graph, agent_name="shop", store=store) as runtime:
            assert answers(await runtime.run("a pen", **WHO)) == [{"charge": 0, "cents": 500}]

    asyncio.run(run())
    [event] = telemetry.span("execute_tool").events
    assert (event.name, (event.attributes or {})["error.message"]) == ("finish failed", "unplugged")


def test_a_write_in_doubt_asks_a_human(bank: Payments, telemetry: Telemetry) -> None:
    """The run is interrupted with what they need to know; their answer is the tool's."""
    bank.faults = ["lose the reply"]

    async def work(runtime: Runtime) -> None:
        asked = (await runtime.run("a pen", **WHO)).outcome
        assert (asked.kind, asked.reason) == ("interrupt", "human")
        assert asked.payload["kind"] == "write_in_doubt"
        assert (asked.payload["tool"], asked.payload["arguments"]) == ("charge", PEN)
        assert asked.payload["idempotency_key"] == bank.keys[0]
        assert asked.payload["error_class"] == "httpx.RemoteProtocolError"
        unclear = await runtime.resume(**WHO, value="it was done, I think")
        assert unclear.outcome.reason == "human"
        result = await runtime.resume(**WHO, value={"done": True, "result": {"charge": 0}})
        assert (result.outcome.kind, answers(result)) == ("success", [{"charge": 0}])

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 1
    outcomes = [line["outcome"] for line in telemetry.lines("agent.tool")]
    assert outcomes == ["interrupt", "interrupt", "success"]


def test_what_a_human_found_not_done_is_done_when_the_thread_is_resumed(
    bank: Payments, telemetry: Telemetry
) -> None:
    """Once, under the same key; if that is in doubt again, they are asked again."""
    bank.faults = ["fail first", "lose the reply"]

    async def work(runtime: Runtime) -> None:
        assert (await runtime.run("a pen", **WHO)).outcome.reason == "human"
        again = await runtime.resume(**WHO, value={"done": False})
        assert again.outcome.reason == "human"
        assert len(bank.effects) == 1
        result = await runtime.resume(**WHO, value={"done": True})
        assert (result.outcome.kind, answers(result)) == ("success", [None])

    with_runtime(asking([charger(bank)], call(**PEN)), work)
    assert len(bank.requests) == 2
    assert len(set(bank.requests)) == 1


def test_upstream_is_asked_with_the_context_of_the_write(
    bank: Payments, telemetry: Telemetry
) -> None:
    """A ``resolve`` gets key and context, and its answer is the tool's."""
    bank.faults = ["lose the reply"]

    async def became(key: str, ctx: Context) -> Any:
        assert key == ctx.idempotency_key
        found = await ctx.http.get(f"{bank.url}/charges/{key}")
        if found.status_code == 404:
            raise NotDone(key)
        return found.raise_for_status().json()

    async def work(runtime: Runtime) -> None:
        result = await runtime.run("a pen", **WHO)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charger(bank, resolve=became)], call(**PEN)), work)
    assert len(bank.requests) == 1
    assert (telemetry.span("execute_tool").attributes or {})["agent.replayed"] is True


def test_a_write_may_wait_for_approval(bank: Payments, telemetry: Telemetry) -> None:
    """It holds no claim meanwhile, and acts once it was approved."""
    charge = charger(bank)

    @tool(writes=True)
    async def charge_if_approved(order: str, cents: int, ctx: Context) -> Any:
        if not ctx.interrupt({"approve": order}):
            raise NotDone("not approved")
        return await charge.function(order, cents, ctx)

    async def work(runtime: Runtime) -> None:
        assert (await runtime.run("a pen", **WHO)).outcome.payload == {"approve": "pen"}
        assert bank.requests == []
        result = await runtime.resume(**WHO, value=True)
        assert answers(result) == [{"charge": 0, "cents": 500}]

    with_runtime(asking([charge_if_approved], call("charge_if_approved", 1, **PEN)), work)


def test_a_refusal_is_a_result_that_the_model_sees(bank: Payments, telemetry: Telemetry) -> None:
    """It may ask again, and that is done."""
    bank.faults = ["refuse"]

    async def work(runtime: Runtime) -> None:
        [refused, charged] = answers(await runtime.run("a pen", **WHO))
        assert refused["error_class"] == "httpx.HTTPStatusError"
        assert charged == {"charge": 0, "cents": 500}

    with_runtime(asking([charger(bank)], call(**PEN), call("charge", 2, **PEN)), work)
    assert telemetry.summary()["tool_errors"] == 1


def test_only_writes_have_a_key(telemetry: Telemetry) -> None:
    """A read that asks for one is told what to say."""

    @tool
    async def look(ctx: Context) -> str:
        return ctx.idempotency_key

    async def work(runtime: Runtime) -> None:
        [error] = answers(await runtime.run("look", **WHO))
        assert error["message"] == "there is no write here to have a key; say @tool(writes=True)"
        assert error["error_class"] == f"agent_runtime.errors.{AgentRuntimeError.__name__}"

    with_runtime(asking([look], call("look")), work)


def test_what_cannot_work_is_refused_when_the_tool_is_made() -> None:
    """Writes in threads, unknown arguments, and promises of tools that do not write."""
    with pytest.raises(TypeError, match="tool charge: a write must be async"):

        @tool(writes=True)
        def charge(cents: int) -> None: ...

    with pytest.raises(TypeError, match="tool pay: once_per names 'order', which is no parameter"):

        @tool(writes=True, once_per=["order"])
        async def pay(cents: int) -> None: ...

    with pytest.raises(TypeError, match="are about writes; say writes=True"):
        tool(keyed=True)
