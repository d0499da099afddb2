"""An agent as a graph of nodes, each of which says which one is next."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agent_runtime.errors import GraphError, StateNotStorable
from agent_runtime.masking import quoted
from agent_runtime.messages import Message
from agent_runtime.storable import storable
from agent_runtime.tool_calls import call_tools
from agent_runtime.tools import Tool

if TYPE_CHECKING:
    from agent_runtime.context import Context

END: Final = "__end__"
"""Named as the next node by the last one."""

RECURSION_LIMIT = 25


@dataclass(frozen=True, slots=True)
class State:
    """What nodes know: the conversation, and values they left for each other."""

    messages: tuple[Message, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def last_user(self) -> str:
        """What the user said last; empty when they said nothing."""
        said = (each.content for each in reversed(self.messages) if each.role == "user")
        return next(said, "")

    def updated(self, update: Mapping[str, Any]) -> "State":
        """The state after a node: its ``messages`` are added, its other values replace.

        :raises StateNotStorable: when it left what cannot be kept.
        """
        values = {key: value for key, value in update.items() if key != "messages"}
        added = tuple(update.get("messages", ()))
        for each in added:
            if not isinstance(each, Message):
                raise StateNotStorable(
                    f"a node left {quoted(each)} as a message; make it a Message"
                )
        return State((*self.messages, *added), {**self.values, **storable(values)})


Node = Callable[[State, "Context"], Awaitable[tuple[Mapping[str, Any], str]]]
"""Returns what changes in the state, and the name of the next node or END."""


class Graph:
    """Nodes by name, one of which is the entry.

    ``recursion_limit`` is how many nodes a run may execute; it cannot be switched off.
    """

    def __init__(self, *, recursion_limit: int = RECURSION_LIMIT) -> None:
        if recursion_limit < 1:
            raise GraphError(f"recursion_limit={recursion_limit} must be at least 1")
        self.recursion_limit = recursion_limit
        self._nodes: dict[str, Node] = {}
        self._entry: str | None = None
        self._after_tools: dict[str, str] = {}
        self._tools: dict[str, Tool] = {}

    def node(self, *, entry: bool = False, name: str | None = None) -> Callable[[Node], Node]:
        """Add the decorated function as a node, named like the function unless ``name`` is given.

        :raises GraphError: when the name is taken or there is an entry already.
        """

        def add(function: Node) -> Node:
            chosen = name if name is not None else str(getattr(function, "__name__", "node"))
            self._add(chosen, function)
            if entry:
                if self._entry is not None:
                    raise GraphError(f"nodes {self._entry!r} and {chosen!r} are both the entry")
                self._entry = chosen
            return function

        return add

    def tools(self, name: str, tools: Sequence[Tool], *, then: str) -> None:
        """Add a node that calls the tools that the last message asks for.

        Those that only read are called side by side, then those that write one after the other.

        :raises GraphError: when the name is taken or two tools have the same name.
        """
        by_name = {tool.name: tool for tool in tools}
        if len(by_name) < len(tools):
            raise GraphError(f"node {name!r} has two tools of the same name")

        async def answer(state: State, ctx: "Context") -> tuple[Mapping[str, Any], str]:
            return {"messages": await call_tools(by_name, state.messages, ctx)}, then

        self._add(name, answer)
        self._after_tools[name] = then
        self._tools |= by_name

    def _add(self, name: str, node: Node) -> None:
        if name in self._nodes or name == END:
            raise GraphError(f"there is a node {name!r} already")
        self._nodes[name] = node

    @property
    def entry(self) -> str:
        """Where runs begin. :raises GraphError: when no node is the entry."""
        if self._entry is None:
            raise GraphError("no node is the entry; write @graph.node(entry=True)")
        return self._entry

    def find(self, name: str) -> Node:
        """The node of that name. :raises GraphError: when there is none."""
        if name not in self._nodes:
            raise GraphError(f"there is no node {name!r}; there are: {', '.join(self._nodes)}, END")
        return self._nodes[name]

    def resumed(self, name: str) -> Node:
        """The node of that name, at which a thread goes on.

        In place of one that is gone since its tools were asked for stands one that calls none of
        them, but finds out what became of the writes that were begun, and leads to the entry.

        :raises GraphError: when there is neither.
        """
        try:
            return self.find(name)
        except GraphError as error:
            gone = error

        async def settle(state: State, ctx: "Context") -> tuple[Mapping[str, Any], str]:
            if not state.messages[-1].tool_calls:
                raise gone
            hindrance = GraphError(f"this call was not carried out: {gone}")
            told = await call_tools(self._tools, state.messages, ctx, hindrance=hindrance)
            return {"messages": told}, self.entry

        return settle

    def check(self) -> None:
        """:raises GraphError: when there is no entry, or tools lead to a node that is not there."""
        self.find(self.entry)
        for then in self._after_tools.values():
            if then != END:
                self.find(then)
