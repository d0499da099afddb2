"""Tools that write: which calls are one write, and what a run does meanwhile."""

import asyncio
from typing import Any

import pydantic
import pytest

from agent_runtime import (
    AgentRuntimeError,
    Context,
    Runtime,
    Store,
    StoreError,
    open_store,
    tool,
    writes,
)
from agent_runtime.store import Row

from .conftest import Telemetry, wait_until
from .payments import Payments, payments
from .writing import PEN, WHO, answers, asking, call, charger, with_runtime


async def leave_while_it_charges(runtime: Runtime, bank: Payments) -> None:
    """A client that is gone before the answer is there."""
    bank.faults = ["answer too late"]
    task = asyncio.create_task(runtime.run("a pen", **WHO))
    await asyncio.to_thread(wait_until, lambda: bank.effects)
    task.cancel()
    await asyncio.wait({task})


def test_each_call_that_a_model_makes_is_a_write(bank: Payments, telemetry: Telemetry) -> None:
    """Two in one message, alike but for their ids; those of later messages and turns again."""

    async def work(runtime: Runtime) -> None:
        for _ in range(2):
            result = await runtime.run("buy pens", **WHO)
        assert [each["charge"] for each in answers(result)] == list(range(8))

    with_runtime(asking([charger(bank)], call(**PEN), call("charge", 2, **PEN), times=2), work)
    assert len(set(bank.keys)) == 8


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


def test_what_is_wrong_with_a_call_is_told_of_an_operation_that_was_done(
    bank: Payments, telemetry: Telemetry
) -> None:
    """And not that they are others: a model that writes them right then hears what came of it."""
    wrong = [call("charge", 2, **PEN, note="a gift"), call("charge", 3, order="pen", cents="much")]

    async def work(runtime: Runtime) -> None:
        [first, *refused, again] = answers(await runtime.run("a pen", **WHO))
        assert first == again
        for each, parameter in zip(refused, ("note", "cents"), strict=True):
            assert each["error_class"] == "pydantic_core._pydantic_core.ValidationError"
            assert f"{parameter}: " in each["message"]

    graph = asking(
        [charger(bank, once_per=["order"])], call(**PEN), *wrong, call("charge", 4, **PEN)
    )
    with_runtime(graph, work)
    assert len(bank.requests) == 1


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


def test_a_write_is_not_sent_again_for_a_client_who_left(telemetry: Telemetry) -> None:
    """Its act ends in a doubt, and that is for the run that resumes the thread."""
    with payments() as bank:
        bank.late_s = 0.6

        async def work(runtime: Runtime) -> None:
            await leave_while_it_charges(runtime, bank)
            await asyncio.to_thread(wait_until, lambda: telemetry.lines("agent.tool"))
            assert len(bank.requests) == 1
            result = await runtime.resume(**WHO)
            assert answers(result) == [{"charge": 0, "cents": 500}]

        with_runtime(asking([charger(bank, keyed=True, timeout_s=0.3)], call(**PEN)), work)
        assert (len(bank.requests), len(bank.effects)) == (2, 1)


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


class Order(pydantic.BaseModel):
    """What is bought, in no order."""

    seats: set[str]


class Nested(pydantic.BaseModel):
    """Refers to itself, and to a set at last."""

    within: "Nested | None" = None
    orders: frozenset[int] = frozenset()


class Plain(pydantic.BaseModel):
    """Has the words, and no set."""

    uniqueItems: str = "uniqueItems"  # noqa: N815 - as JSON schema spells it
    within: "Plain | None" = None


def test_what_cannot_work_is_refused_when_the_tool_is_made() -> None:
    """Writes in threads, unknown arguments, those without an order, and promises of tools that do
    not write."""
    with pytest.raises(TypeError, match="tool charge: a write must be async"):

        @tool(writes=True)
        def charge(cents: int) -> None: ...

    with pytest.raises(TypeError, match="tool pay: once_per names 'order', which is no parameter"):

        @tool(writes=True, once_per=["order"])
        async def pay(cents: int) -> None: ...

    with pytest.raises(TypeError, match="tool refund: once_per names 'ctx', which is no parameter"):

        @tool(writes=True, once_per=["ctx"])
        async def refund(cents: int, ctx: Context) -> None: ...

    with pytest.raises(TypeError, match="tool book: once_per names 'seats', a set"):

        @tool(writes=True, once_per=["seats"])
        async def book(seats: set[str] | None) -> None: ...

    for order in (Order, list[Order], Nested, dict[str, Nested] | None):

        async def reserve(order: object) -> None: ...

        reserve.__annotations__["order"] = order
        with pytest.raises(TypeError, match="tool reserve: once_per names 'order', a set"):
            tool(writes=True, once_per=["order"])(reserve)

    @tool(writes=True, once_per=["order"])
    async def cancel(order: Plain, seats: set[str]) -> None: ...

    with pytest.raises(TypeError, match="are about writes; say writes=True"):
        tool(keyed=True)
