"""Calls of tools as a model asked for them: reads side by side, writes one after the other."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import pydantic
import pydantic_core

from agent_runtime.aside import in_thread
from agent_runtime.claims import Claim, digest, key_of_call
from agent_runtime.errors import NotDone, StoreError, error_class, error_message
from agent_runtime.events import Event
from agent_runtime.identity import current_node, current_write, node_attributes
from agent_runtime.interrupts import Interrupt, interrupt_in
from agent_runtime.lines import line_of_call
from agent_runtime.messages import Message, ToolCall
from agent_runtime.metrics import tool_measured
from agent_runtime.outcome import is_cut_off
from agent_runtime.telemetry import record_error, span
from agent_runtime.tools import Tool, Writes
from agent_runtime.writes import Write, Writer

if TYPE_CHECKING:
    from agent_runtime.context import Context

_HOW_TO_TELL = 'answer {"done": true, "result": ...}, or {"done": false} to have it done now'


async def call_tools(
    tools: Mapping[str, Tool], messages: Sequence[Message], ctx: "Context"
) -> list[Message]:
    """What the tools answer that the last message asks for, in its order.

    The reads go first, side by side; then the writes, one after the other. A write goes on when its
    run is cut: it is under way, and half of it helps nobody.
    """
    position = len(messages) - 1
    asked = messages[-1].tool_calls
    results: dict[int, Message] = {}

    async def answer(number: int) -> None:
        results[number] = await call_tool(tools, asked[number], ctx, position)

    writing = [i for i, call in enumerate(asked) if call.name in tools and tools[call.name].writes]
    async with asyncio.TaskGroup() as reads:
        for number in range(len(asked)):
            if number not in writing:
                reads.create_task(answer(number))
    for number in writing:
        await ctx.under_way.finish(answer(number))
    return [results[number] for number in range(len(asked))]


async def call_tool(
    tools: Mapping[str, Tool], call: ToolCall, ctx: "Context", position: int
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

                tool = _find(tools, call.name)
                arguments = tool.arguments.model_validate_json(call.arguments)
                if tool.writes is None:
                    content = await _answer(tool, arguments, ctx, asyncio.timeout(tool.timeout_s))
                else:
                    content = await _write(tool, tool.writes, arguments, ctx, call, position, note)
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


async def _write(
    tool: Tool,
    how: Writes,
    arguments: pydantic.BaseModel,
    ctx: "Context",
    call: ToolCall,
    position: int,
    note: Callable[[str, str | bool], None],
) -> str:
    identity, said = ctx.identity, arguments.model_dump(mode="json")
    if how.once_per:
        operation = {name: said[name] for name in how.once_per}
        key = digest([identity.agent_name, identity.tenant_id, tool.name, operation])
    else:
        key = key_of_call(
            agent_name=identity.agent_name, tenant_id=identity.tenant_id,
            thread_id=identity.thread_id, turn_id=identity.turn_id,
            node=current_node.get(), position=position, call_id=call.id,
        )  # fmt: skip
    note("write", True)
    note("idempotency_key", key)
    current_write.set(key)
    resolve = how.resolve

    async def act(until: float) -> str:
        return await _answer(tool, arguments, ctx, asyncio.timeout_at(until))

    async def ask_upstream() -> str:
        assert resolve is not None  # noqa: S101 - only asked when there is one
        return _text(await resolve(key, ctx))

    def question(number: str, doubt: Exception) -> Interrupt:
        return Interrupt(f"{key}:{number}", _payload(tool, said, call, key, doubt))

    def told(number: str) -> str | None:
        return _told(ctx.answers.given.get(f"{key}:{number}"))

    write = Write(
        Claim(key, digest([tool.name, said]), identity.tenant_id, identity.thread_id, tool.name),
        timeout_s=tool.timeout_s,
        keyed=how.keyed,
        act=act,
        resolve=None if resolve is None else ask_upstream,
        question=question,
        told=told,
    )
    written = await Writer(ctx.claims, write).perform()
    note("replayed", written.replayed)
    return written.result


def _payload(
    tool: Tool, arguments: dict[str, Any], call: ToolCall, key: str, doubt: Exception
) -> dict[str, Any]:
    """What a human is told about a write that only they can find out about."""
    return {
        "kind": "write_in_doubt",
        "tool": tool.name,
        "arguments": arguments,
        "tool_call_id": call.id,
        "idempotency_key": key,
        "error_class": error_class(doubt),
        "error_message": error_message(doubt),
        "remedy": f"find out whether it was done, and {_HOW_TO_TELL}",
    }


def _told(answer: object) -> str | None:
    """A human's answer as the tool's; None if it is none. :raises NotDone: if they say so."""
    match answer:
        case {"done": True, **more}:
            return _text(more.get("result"))
        case {"done": False}:
            raise NotDone("a human found that it was not done")
    return None


def _find(tools: Mapping[str, Tool], name: str) -> Tool:
    if name not in tools:
        raise LookupError(f"there is no tool {name!r}; there are: {', '.join(sorted(tools))}")
    return tools[name]


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
            return _text(await answer)
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


def _text(answer: object) -> str:
    """As the model reads it: half of a surrogate pair, as in names of files, cannot be sent."""
    if not isinstance(answer, str):
        return pydantic_core.to_json(answer).decode()
    return answer.encode("utf-8", "replace").decode()


def _failure(error: Exception) -> str:
    return orjson.dumps(
        {"is_error": True, "error_class": error_class(error), "message": error_message(error)}
    ).decode()
