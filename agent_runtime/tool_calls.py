"""Calls of tools as a model asked for them: reads side by side, writes one after the other."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
import pydantic

from agent_runtime.aside import in_thread
from agent_runtime.errors import CallCut, StoreError, error_class, error_message
from agent_runtime.events import Event
from agent_runtime.identity import node_attributes
from agent_runtime.interrupts import interrupt_in
from agent_runtime.lines import line_of_call
from agent_runtime.messages import Message, ToolCall
from agent_runtime.metrics import tool_measured
from agent_runtime.outcome import is_cut_off
from agent_runtime.telemetry import record_error, span
from agent_runtime.tools import Tool
from agent_runtime.writing_calls import WritingCall, as_text

if TYPE_CHECKING:
    from agent_runtime.context import Context


async def call_tools(
    tools: Mapping[str, Tool],
    messages: Sequence[Message],
    ctx: "Context",
    *,
    hindrance: Exception | None = None,
) -> list[Message]:
    """What the tools answer that the last message asks for, in its order.

    The reads go first, side by side; then the writes, one after the other. A write goes on when its
    run is cut: it is under way, and half of it helps nobody; but it is not sent again then. With a
    ``hindrance``, which is each call's error, it is only found out what became of writes that were
    begun before.
    """
    position = len(messages) - 1
    asked = messages[-1].tool_calls
    results: dict[int, Message] = {}
    abandoned = asyncio.Event()

    async def answer(number: int) -> None:
        results[number] = await call_tool(
            tools, asked[number], ctx, position, abandoned.is_set, hindrance
        )

    # What is no tool may have been one that wrote, in the version that was asked for it.
    writing = [
        i for i, call in enumerate(asked) if call.name not in tools or tools[call.name].writes
    ]
    async with asyncio.TaskGroup() as reads:
        for number in range(len(asked)):
            if number not in writing:
                reads.create_task(answer(number))
    for number in writing:
        try:
            await ctx.under_way.finish(answer(number))
        except asyncio.CancelledError:
            abandoned.set()
            raise
    return [results[number] for number in range(len(asked))]


async def call_tool(
    tools: Mapping[str, Tool],
    call: ToolCall,
    ctx: "Context",
    position: int,
    abandoned: Callable[[], bool],
    hindrance: Exception | None,
) -> Message:
    """Call a tool as the model asked for in the message at that position of the thread.

    An exception becomes a result that the model sees.

    :raises StoreError: when a claim cannot be read or written.
    """
    ctx.tally.tool_calls += 1
    ctx.emit(Event("tool.start", {"tool": call.name, "tool_call_id": call.id}))
    attributes = {
        **ctx.identity.attributes(),
        **node_attributes(),
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.call.id": call.id,
        "gen_ai.tool.type": "function",
    }
    with span(f"execute_tool {call.name}", attributes) as current:
        failure: Exception | None = None
        try:
            with (
                tool_measured(call.name if call.name in tools else "unknown"),
                line_of_call("agent.tool", current, ctx.identity) as line,
            ):
                line |= {"tool_name": call.name, "tool_call_id": call.id}

                def note(name: str, value: str | bool) -> None:
                    line[name] = value
                    current.set_attribute(f"agent.{name}", value)

                writing = WritingCall(call, ctx, position, abandoned, note)
                try:
                    tool, arguments = _checked(tools, call, hindrance)
                except Exception as error:  # noqa: BLE001 - whatever hinders the call
                    content = await writing.settle(tools.get(call.name), error)
                else:
                    content = await _carry_out(tool, arguments, ctx, writing)
        except StoreError:
            # Not a result: the write may have been done. The node is run again, and then finds out.
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is its result
            failure = error
            ctx.tally.tool_errors += 1
            record_error(current, error)
            content = _failure(error)
    ctx.emit(Event("tool.end", {"tool": call.name, "tool_call_id": call.id,
                                "is_error": failure is not None}))  # fmt: skip
    return Message("tool", content, tool_call_id=call.id)


async def _carry_out(
    tool: Tool, arguments: pydantic.BaseModel, ctx: "Context", writing: WritingCall
) -> str:
    if tool.writes is None:
        return await _answer(tool, arguments, ctx, asyncio.timeout(tool.timeout_s))

    async def act(until: float) -> str:
        return await _answer(tool, arguments, ctx, asyncio.timeout_at(until))

    return await writing.perform(tool, tool.writes, arguments.model_dump(mode="json"), act)


def _checked(
    tools: Mapping[str, Tool], call: ToolCall, hindrance: Exception | None
) -> tuple[Tool, pydantic.BaseModel]:
    if hindrance is not None:
        raise hindrance
    if call.cut:
        raise CallCut(
            f"your answer was cut before the arguments of {call.name} were whole, so it was not "
            "called; ask for it again, and for less at once"
        )
    if (tool := tools.get(call.name)) is None:
        raise LookupError(f"there is no tool {call.name!r}; there are: {', '.join(sorted(tools))}")
    if tool.writes is not None and tool.arguments.model_fields and not call.arguments:
        raise CallCut(
            f"no arguments of {call.name} came, perhaps because your answer was cut, and it is not "
            "called with its defaults alone; ask for it again, and write at least one argument"
        )
    return tool, tool.arguments.model_validate_json(call.arguments or "{}")


async def _answer(
    tool: Tool, checked: pydantic.BaseModel, ctx: "Context", deadline: asyncio.Timeout
) -> str:
    arguments = {name: getattr(checked, name) for name in tool.arguments.model_fields}
    if tool.wants_context:
        arguments["ctx"] = ctx
    try:
        async with deadline:
            if inspect.iscoroutinefunction(tool.function):
                answer: Awaitable[object] = tool.function(**arguments)
            else:
                answer = in_thread(tool.function, **arguments)
            return as_text(await answer)
    except TimeoutError:
        if deadline.expired():
            raise TimeoutError(
                f"tool {tool.name} did not answer within {tool.timeout_s:g} s"
            ) from None
        raise
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # Not of the run, but of what the tool waited for, of a library that takes itself for the
        # program, or of one in Rust that panics: it would lose the result, or end run or process.
        if is_cut_off(error) or interrupt_in(error) is not None:
            raise
        raise RuntimeError(f"tool {tool.name} ended with {error!r}") from error


def _failure(error: Exception) -> str:
    return orjson.dumps(
        {"is_error": True, "error_class": error_class(error), "message": error_message(error)}
    ).decode()
