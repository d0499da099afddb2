"""Functions that a model may call: described by their type hints, safe to fail."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints, overload

import orjson
import pydantic
import pydantic_core

from agent_runtime.errors import error_class, error_message
from agent_runtime.events import Event
from agent_runtime.identity import node_attributes
from agent_runtime.lines import line_of_call
from agent_runtime.messages import Message, ToolCall
from agent_runtime.metrics import tool_measured
from agent_runtime.telemetry import record_error, span

if TYPE_CHECKING:
    from agent_runtime.context import Context

ToolFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as a model sees it."""

    name: str
    description: str
    arguments: type[pydantic.BaseModel]
    """What the model must send; built from the function's type hints."""
    parameters: Mapping[str, Any]
    """JSON schema of the arguments."""
    function: ToolFunction
    wants_context: bool
    timeout_s: float

    def schema(self) -> dict[str, Any]:
        """Name, description and JSON schema of the arguments, as models are told."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }


@overload
def tool(function: ToolFunction, /) -> Tool: ...
@overload
def tool(*, name: str | None = None, timeout_s: float = 30.0) -> Callable[[ToolFunction], Tool]: ...
def tool(
    function: ToolFunction | None = None, /, *, name: str | None = None, timeout_s: float = 30.0
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a function a tool; also usable as ``@tool(name=..., timeout_s=...)``.

    Its docstring tells the model what it is for. A parameter named ``ctx`` gets the run's context
    and is not shown to the model. Functions that are not async run in a thread, which goes
    on in vain when ``timeout_s`` seconds are over.

    An exception does not end the run: the model gets an error result and may go on.

    :raises TypeError: when a parameter has no type hint, or stands for any number of them.
    """
    if function is None:
        return lambda decorated: _tool(decorated, name, timeout_s)
    return _tool(function, name, timeout_s)


def _tool(function: ToolFunction, name: str | None, timeout_s: float) -> Tool:
    name = name or function.__name__
    hints = get_type_hints(function, localns={"Context": object}, include_extras=True)
    fields: dict[str, Any] = {}
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.name == "ctx":
            continue
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise TypeError(
                f"tool {name}: {parameter} cannot be described to a model; name each parameter"
            )
        if parameter.name not in hints:
            raise TypeError(
                f"tool {name}: parameter {parameter.name!r} has no type hint; models need one"
            )
        given = parameter.default is not inspect.Parameter.empty
        fields[parameter.name] = (hints[parameter.name], parameter.default if given else ...)
    arguments = pydantic.create_model(
        name, __config__=pydantic.ConfigDict(extra="forbid", protected_namespaces=()), **fields
    )
    return Tool(
        name=name,
        description=inspect.getdoc(function) or "",
        arguments=arguments,
        parameters=arguments.model_json_schema(),
        function=function,
        wants_context="ctx" in parameters,
        timeout_s=timeout_s,
    )


async def call_tool(tools: Mapping[str, Tool], call: ToolCall, ctx: "Context") -> Message:
    """Call a tool as a model asked for; an exception becomes a result that the model sees."""
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
                content = _text(await _answer(_find(tools, call.name), call, ctx))
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is its result
            failure = error
            ctx.tally.tool_errors += 1
            record_error(current, error)
            content = _failure(error)
    ctx.emit(Event("tool.end", {"tool": call.name, "tool_call_id": call.id,
                                "is_error": failure is not None}))  # fmt: skip
    return Message("tool", content, tool_call_id=call.id)


def _find(tools: Mapping[str, Tool], name: str) -> Tool:
    if name not in tools:
        raise LookupError(f"there is no tool {name!r}; there are: {', '.join(sorted(tools))}")
    return tools[name]


async def _answer(tool: Tool, call: ToolCall, ctx: "Context") -> object:
    checked = tool.arguments.model_validate_json(call.arguments)
    arguments = {name: getattr(checked, name) for name in tool.arguments.model_fields}
    if tool.wants_context:
        arguments["ctx"] = ctx
    deadline = asyncio.timeout(tool.timeout_s)
    try:
        async with deadline:
            if inspect.iscoroutinefunction(tool.function):
                answer: Awaitable[object] = tool.function(**arguments)
            else:
                answer = asyncio.to_thread(tool.function, **arguments)
            return await answer
    except TimeoutError:
        if deadline.expired():
            raise TimeoutError(
                f"tool {tool.name} did not answer within {tool.timeout_s:g} s"
            ) from None
        raise


def _text(answer: object) -> str:
    return answer if isinstance(answer, str) else pydantic_core.to_json(answer).decode()


def _failure(error: Exception) -> str:
    return orjson.dumps(
        {"is_error": True, "error_class": error_class(error), "message": error_message(error)}
    ).decode()
