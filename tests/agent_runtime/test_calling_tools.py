"""Tools: described by their hints, failing without ending the run, correlated downstream."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from threading import Event as ThreadEvent
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from opentelemetry.trace import StatusCode
from pydantic import BaseModel, Field

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    RunResult,
    Runtime,
    State,
    Tool,
    serve,
    tool,
)
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, divide, model_at, support
from .conftest import Telemetry, ask, listening


def results(vendor: ModelServer, *tools: Tool, text: str = "hello") -> list[Message]:
    """What the tools answered to the model in one run, which succeeds."""

    async def run() -> list[Message]:
        graph = chatting(model_at(vendor), tools)
        async with Runtime(graph, agent_name="support") as runtime:
            result = await runtime.run(text, thread_id="t1", tenant_id="acme", user_id="ada")
        assert result.outcome.kind == "success"
        return [message for message in result.messages if message.role == "tool"]

    return asyncio.run(run())


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments)


def test_a_schema_comes_from_the_hints() -> None:
    """Types, defaults and annotations become a JSON schema; the context is not part of it."""

    @tool(name="search")
    async def search_orders(
        text: Annotated[str, Field(description="words")], ctx: Context, limit: int = 10
    ) -> list[str]:
        """Find orders."""
        return [text] * limit

    schema = search_orders.schema()
    assert (schema["name"], schema["description"]) == ("search", "Find orders.")
    properties = schema["parameters"]["properties"]
    assert set(properties) == {"text", "limit"}
    assert properties["text"]["description"] == "words"
    assert (properties["limit"]["type"], properties["limit"]["default"]) == ("integer", 10)
    assert schema["parameters"]["required"] == ["text"]


def test_a_parameter_without_a_hint_is_refused() -> None:
    """The error names tool and parameter, when the tool is made."""
    with pytest.raises(TypeError, match="tool careless: parameter 'city' has no type hint"):

        @tool
        def careless(city) -> str:  # type: ignore[no-untyped-def]
            return str(city)


def test_results_go_back_to_the_model(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Text as it is, everything else as JSON; several calls are answered in their order."""

    @tool
    async def slow_text(city: str) -> str:
        await asyncio.sleep(0.05)
        return f"sunny in {city}"

    @tool
    def data(n: int) -> dict[str, int]:
        return {"n": n}

    vendor.follow(Rule(tool_calls=(call("slow_text", city="Oslo"), call("data", n=3))))
    text, number = results(vendor, slow_text, data)
    assert (text.content, json.loads(number.content)) == ("sunny in Oslo", {"n": 3})
    assert text.tool_call_id != number.tool_call_id


def test_a_failing_tool_is_a_result_that_the_model_sees(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """The model reads class and message; span and summary count it; the run lives."""

    @tool
    async def refund(order: int) -> str:
        raise PermissionError(f"order {order} is locked; token=abcdef123456")

    vendor.follow(Rule(tool_calls=(call("refund", order=7),)))
    [result] = results(vendor, refund)
    assert json.loads(result.content) == {
        "is_error": True,
        "error_class": "PermissionError",
        "message": "order 7 is locked; token=[masked]",
    }
    span = telemetry.span("execute_tool refund")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "PermissionError"
    line = telemetry.summary()
    assert (line["tool_calls"], line["tool_errors"], line["outcome"]) == (1, 1, "success")
    assert [each["outcome"] for each in telemetry.lines("agent.node")] == ["success"] * 3


@pytest.mark.parametrize(
    ("wanted", "error_class"),
    [
        (call("divide", by=0), "ZeroDivisionError"),
        (call("divide", by="many"), "pydantic_core._pydantic_core.ValidationError"),
        (call("divide", by=1, and_more=2), "pydantic_core._pydantic_core.ValidationError"),
        (call("sleep_long"), "TimeoutError"),
    ],
)
def test_every_kind_of_failure_is_survived(
    vendor: ModelServer, telemetry: Telemetry, wanted: ToolCall, error_class: str
) -> None:
    """Exceptions, wrong arguments and timeouts end as error results, and the client is told."""
    vendor.follow(Rule(tool_calls=(wanted,)))
    with listening(serve(support(vendor))) as url:
        answer = ask(url, "hello")
    assert answer.end["outcome"] == "success"
    [end] = answer.data("tool.end")
    assert (end["tool"], end["is_error"]) == (wanted.name, True)
    attributes = telemetry.span("execute_tool").attributes or {}
    assert attributes["error.type"] == error_class
    assert telemetry.summary()["tool_errors"] == 1


@pytest.mark.parametrize("how", ["cancelled work", "an exit", "an exit of a thread"])
def test_what_a_tool_ends_with_ends_the_tool_only(
    vendor: ModelServer, telemetry: Telemetry, how: str
) -> None:
    """Neither a task that it had cancelled nor a library that exits ends the run or the process."""

    @tool(name="leave")
    async def leave() -> None:
        if how == "an exit":
            sys.exit(2)
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    @tool(name="leave")
    def leave_thread() -> None:
        sys.exit(2)

    vendor.follow(Rule(tool_calls=(call("leave"),)))
    [result] = results(vendor, leave_thread if how == "an exit of a thread" else leave)
    assert json.loads(result.content)["error_class"] == "RuntimeError"
    assert telemetry.summary()["outcome"] == "success"


def test_a_tool_that_is_not_there_is_an_error_result(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """A model that asks for a tool its node does not have is told which ones there are."""

    @tool
    async def offered() -> str:
        """Offered to the model, but not in the node that calls tools."""
        return "never"

    graph = chatting(model_at(vendor), (offered,))
    other = chatting(model_at(vendor))
    # The model is offered one set of tools while the node holds another.
    graph._nodes["tools"] = other.find("tools")
    vendor.follow(Rule(tool_calls=(call("offered"),)))
    with listening(serve(Runtime(graph, agent_name="support"))) as url:
        assert ask(url, "hello").end["outcome"] == "success"
    assert "there is no tool 'offered'" in (telemetry.span("execute_tool").status.description or "")


def test_a_blocking_tool_does_not_hold_up_others(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Functions that are not async run in threads, side by side."""
    met = ThreadEvent()

    @tool
    def wait() -> bool:
        return met.wait(5)

    @tool
    def release() -> None:
        met.set()

    vendor.follow(Rule(tool_calls=(call("wait"), call("release"))))
    assert [result.content for result in results(vendor, wait, release)] == ["true", "null"]


def test_cancelling_a_run_reaches_its_tools(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A tool is cancelled with its run, and its span says that it was interrupted."""
    started, cancelled = asyncio.Event(), []

    @tool
    async def work() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return "done"

    async def run() -> None:
        graph = chatting(model_at(vendor), (work,))
        async with Runtime(graph, agent_name="support") as runtime:
            events = runtime.run("hello", thread_id="t1", tenant_id="acme", user_id="ada")
            task = asyncio.create_task(events)
            await started.wait()
            task.cancel()
            await asyncio.wait({task})

    vendor.follow(Rule(tool_calls=(call("work"),)))
    asyncio.run(run())
    assert cancelled == [True]
    assert (telemetry.span("execute_tool").attributes or {})["agent.outcome"] == "interrupt"
    line = telemetry.summary()
    assert (line["outcome"], line["tool_calls"], line["tool_errors"]) == ("interrupt", 1, 0)


def test_downstream_calls_carry_trace_and_thread(vendor: ModelServer, telemetry: Telemetry) -> None:
    """ctx.http sends traceparent of the tool's span, baggage and X-Thread-Id."""
    service, seen = FastAPI(telemetry={"tracing": False}), []

    @service.get("/orders")
    async def orders(request: Request) -> list[int]:
        seen.append(dict(request.headers))
        return [1, 2]

    with listening(service) as downstream:

        @tool
        async def list_orders(ctx: Context) -> str:
            return (await ctx.http.get(f"{downstream}/orders")).text

        vendor.follow(Rule(tool_calls=(call("list_orders"),)))
        [result] = results(vendor, list_orders)
    assert result.content == "[1,2]"
    [headers] = seen
    context = telemetry.span("execute_tool").context
    assert headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}")
    assert headers["baggage"] == "thread_id=t1"
    assert headers["x-thread-id"] == "t1"


def test_calls_of_tools_do_not_wait_for_each_others_connections(telemetry: Telemetry) -> None:
    """As many as runs make are made at once: the service answers when all of them have come."""
    many, came, all_there = 120, [], asyncio.Event()
    service, graph = FastAPI(telemetry={"tracing": False}), Graph()

    @service.get("/")
    async def meet() -> int:
        came.append(None)
        if len(came) == many:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 8)
        return len(came)

    with listening(service) as url:

        @graph.node(entry=True)
        async def call(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            answers = await asyncio.gather(*(ctx.http.get(url) for _ in range(many)))
            return {"met": [answer.json() for answer in answers]}, END

        async def run() -> RunResult:
            async with Runtime(graph, agent_name="support") as runtime:
                return await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")

        assert asyncio.run(run()).outcome.kind == "success"
    assert len(came) == many


def test_optional_work_degrades(telemetry: Telemetry, vendor: ModelServer) -> None:
    """What fails or hangs is replaced by its default, and listed in the summary, once."""

    async def hang() -> list[str]:
        await asyncio.sleep(60)
        return ["fact"]

    async def fail() -> list[str]:
        raise ConnectionError("vector store is down")

    async def work() -> list[str]:
        return ["fact"]

    @tool
    async def recall(ctx: Context) -> list[list[str]]:
        return [
            await ctx.optional(hang(), name="memory", timeout_s=0.05, default=[]),
            await ctx.optional(fail(), name="vectors", default=[]),
            await ctx.optional(fail(), name="vectors", default=[]),
            await ctx.optional(work(), name="facts", default=[]),
        ]

    vendor.follow(Rule(tool_calls=(call("recall"),)))
    [result] = results(vendor, recall)
    assert json.loads(result.content) == [[], [], [], ["fact"]]
    assert telemetry.summary()["degraded"] == ["memory", "vectors"]
    events = telemetry.span("execute_tool").events
    parts = [(event.attributes or {})["agent.part"] for event in events]
    assert parts == ["memory", "vectors", "vectors"]


ANSWER = {"number": "my diagnosis is"}


class Order(BaseModel):
    """What an upstream answers."""

    number: int


@tool
async def look_up() -> str:
    """Looks an order up."""
    return str(Order.model_validate(ANSWER).number)


@pytest.mark.parametrize(
    "asked",
    [
        call("divide", by="my diagnosis is"),
        call("divide", by=1, also="my diagnosis is"),
        call("look_up"),
    ],
)
def test_what_is_wrong_is_told_without_what_was_said(
    vendor: ModelServer, telemetry: Telemetry, asked: ToolCall
) -> None:
    """Lines and spans hold nothing that anybody said, as values that pydantic refuses are; they and
    the model are told which one it was, and why."""
    vendor.follow(Rule(tool_calls=(asked,)))
    [result] = results(vendor, divide, look_up)
    [line] = telemetry.lines("agent.tool")
    [event] = telemetry.span("execute_tool").events
    told = (line["error_message"], str(dict(event.attributes or {})), result.content)
    for each in told:
        assert "diagnosis" not in each
        assert "number: Input should be" in each or "by: Input" in each or "also: Extra" in each


def told_as_cause(error: Exception) -> Exception:
    told = RuntimeError("no such order")
    told.__cause__ = error
    return told


def told_as_context(error: Exception) -> Exception:
    told = RuntimeError("no such order")
    told.__context__ = error
    return told


def told_in_words(error: Exception) -> Exception:
    return RuntimeError(f"no such order: {error}")


def told_side_by_side(error: Exception) -> Exception:
    return ExceptionGroup("no such orders", [KeyError("order"), ExceptionGroup("more", [error])])


@pytest.mark.parametrize("told", [told_as_cause, told_as_context, told_in_words, told_side_by_side])
def test_no_other_error_tells_what_was_said(
    vendor: ModelServer, telemetry: Telemetry, told: Callable[[Exception], Exception]
) -> None:
    """One that comes from what pydantic refused, quotes it or holds it: its stack trace says what
    was wrong, and not with what."""

    @tool
    async def order() -> str:
        try:
            return str(Order.model_validate(ANSWER).number)
        except ValueError as error:
            failed = told(error)
        raise failed

    vendor.follow(Rule(tool_calls=(call("order"),)))
    [result] = results(vendor, order)
    [line] = telemetry.lines("agent.tool")
    [event] = telemetry.span("execute_tool").events
    attributes = dict(event.attributes or {})
    assert "diagnosis" not in result.content + line["error_message"] + str(attributes)
    assert "Input should be a valid integer" in str(attributes["exception.stacktrace"])
