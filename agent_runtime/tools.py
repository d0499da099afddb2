"""Functions that a model may call: described by their type hints, safe to fail."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints, overload

import pydantic

if TYPE_CHECKING:
    from agent_runtime.context import Context

ToolFunction = Callable[..., Any]
Resolve = Callable[[str, "Context"], Awaitable[object]]
"""Asks upstream what became of an idempotency key: returns what the tool would have answered, or
raises NotDone when nothing was done and nothing will be; any other error means that it cannot tell.
"""


@dataclass(frozen=True, slots=True)
class Writes:
    """How a tool writes."""

    keyed: bool
    """Whether upstream takes two requests with the same idempotency key as one."""
    resolve: Resolve | None
    once_per: tuple[str, ...]
    """Arguments that name an operation; empty when each call is one of its own."""


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
    writes: Writes | None = None
    """None for tools that only read."""

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
def tool(
    *,
    name: str | None = None,
    timeout_s: float = 30.0,
    writes: bool = False,
    keyed: bool = False,
    resolve: Resolve | None = None,
    once_per: Sequence[str] = (),
) -> Callable[[ToolFunction], Tool]: ...
def tool(
    function: ToolFunction | None = None,
    /,
    *,
    name: str | None = None,
    timeout_s: float = 30.0,
    writes: bool = False,
    keyed: bool = False,
    resolve: Resolve | None = None,
    once_per: Sequence[str] = (),
) -> Tool | Callable[[ToolFunction], Tool]:
    """Make a function a tool; also usable as ``@tool(name=..., timeout_s=...)``.

    Its docstring tells the model what it is for. A parameter named ``ctx`` gets the run's context
    and is not shown to the model. Functions that are not async run in a thread of their own, which
    goes on in vain when ``timeout_s`` seconds are over, until the process ends.

    An exception does not end the run: the model gets an error result and may go on.

    A tool that changes something says ``writes=True``. It acts at most once per
    ``ctx.idempotency_key``, which it passes on to upstream; ``keyed=True`` says that upstream takes
    two requests with the same key as one. ``resolve`` asks upstream what became of a key.
    ``once_per`` names the arguments that make an operation: the tenant's calls that agree in them
    are one write, in whichever thread they are made. See docs/writes.md.

    :raises TypeError: when a parameter has no type hint, or stands for any number of them; when a
        write is not async, or once per a set, also of a model; when a tool that does not write
        says how it does.
    """
    if not writes and (keyed or resolve is not None or once_per):
        raise TypeError("keyed, resolve and once_per are about writes; say writes=True")
    how = Writes(keyed, resolve, tuple(once_per)) if writes else None

    def make(decorated: ToolFunction) -> Tool:
        return _tool(decorated, name or decorated.__name__, timeout_s, how)

    return make if function is None else make(function)


def _tool(function: ToolFunction, name: str, timeout_s: float, writes: Writes | None) -> Tool:
    parameters = inspect.signature(function).parameters
    if writes is not None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"tool {name}: a write must be async; a thread would go on after its timeout"
            )
        if unknown := [each for each in writes.once_per if each not in parameters.keys() - {"ctx"}]:
            raise TypeError(
                f"tool {name}: once_per names {unknown[0]!r}, which is no parameter of the model's"
            )
    hints = get_type_hints(function, localns={"Context": object}, include_extras=True)
    fields: dict[str, Any] = {}
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
    schema = arguments.model_json_schema()
    for each in () if writes is None else writes.once_per:
        if _holds_a_set(schema["properties"].get(each), schema.get("$defs", {})):
            raise TypeError(
                f"tool {name}: once_per names {each!r}, a set, which each process tells in another "
                "order, as another operation; make it a list"
            )
    return Tool(
        name=name,
        description=inspect.getdoc(function) or "",
        arguments=arguments,
        parameters=schema,
        function=function,
        wants_context="ctx" in parameters,
        timeout_s=timeout_s,
        writes=writes,
    )


def _holds_a_set(schema: object, models: Mapping[str, object]) -> bool:
    """Whether there is a set in what a schema describes, also in ``models`` that it refers to."""
    seen = set[str]()
    look_at = [schema]
    while look_at:
        match look_at.pop():
            case {"uniqueItems": True}:
                return True
            case {"$ref": str(to)} if to not in seen:
                seen.add(to)
                look_at.append(models.get(to.removeprefix("#/$defs/")))
            case Mapping() as parts:
                look_at.extend(parts.values())
            case list(parts):
                look_at.extend(parts)
    return False
