"""Calls of tools that write: which write a call is, and what is known of it."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pydantic_core

from agent_runtime.claims import Claim, digest, key_of_call
from agent_runtime.errors import NotDone, WriteConflict, error_class, error_message
from agent_runtime.identity import current_node, current_write
from agent_runtime.interrupts import Interrupt
from agent_runtime.messages import ToolCall
from agent_runtime.tools import Tool, Writes
from agent_runtime.writes import Write, Writer

if TYPE_CHECKING:
    from agent_runtime.context import Context

NO_TOOL = Writes(keyed=False, resolve=None, once_per=())
"""How a tool writes that is gone: nobody but a human knows of it."""
NO_TOOL_S = 30.0
_HOW_TO_TELL = 'answer {"done": true, "result": ...}, or {"done": false} to have it done now'


@dataclass(frozen=True, slots=True)
class WritingCall:
    """A call as the model asked for it in the message at that position of the thread."""

    call: ToolCall
    ctx: "Context"
    position: int
    abandoned: Callable[[], bool]
    """Whether nobody waits for its result any more."""
    note: Callable[[str, str | bool], None]
    """Puts something onto its line and span."""

    async def perform(
        self, tool: Tool, how: Writes, said: dict[str, Any], act: Callable[[float], Awaitable[str]]
    ) -> str:
        """Do it, or find out that it was done: the tool's answer."""
        key = self._key(how, said)
        assert key is not None  # noqa: S101 - validated arguments are all there
        understood = digest([tool.name, said])
        return await self._write(key, how, act, tool.timeout_s, said, understood)

    async def settle(self, tool: Tool | None, hindrance: Exception) -> str:
        """The answer of a write that was begun before, though it could not be begun now: what a
        model hears of a write that was done, or may be, must not make it ask for another one.

        :raises Exception: what hinders it, when it was not begun or not done.
        """
        if tool is not None and tool.writes is None:
            raise hindrance
        how = NO_TOOL if tool is None or tool.writes is None else tool.writes
        said = _as_written(self.call)
        key = self._key(how, said)
        if key is None or await self.ctx.claims.find(key) is None:
            raise hindrance

        async def act(_: float) -> str:
            raise NotDone(error_message(hindrance)) from hindrance

        unable = replace(how, keyed=False)
        timeout_s = NO_TOOL_S if tool is None else tool.timeout_s
        with suppress(WriteConflict):  # with other arguments than what was begun: this never was
            return await self._write(key, unable, act, timeout_s, said, understood=None)
        raise hindrance

    def _key(self, how: Writes, said: Any) -> str | None:
        """The idempotency key; None when it needs arguments that are not there."""
        identity = self.ctx.identity
        if how.once_per:
            if not isinstance(said, dict) or not said.keys() >= set(how.once_per):
                return None
            operation = {name: said[name] for name in how.once_per}
            return digest([identity.agent_name, identity.tenant_id, self.call.name, operation])
        return key_of_call(
            agent_name=identity.agent_name, tenant_id=identity.tenant_id,
            thread_id=identity.thread_id, turn_id=identity.turn_id,
            node=current_node.get(), position=self.position, call_id=self.call.id,
        )  # fmt: skip

    async def _write(
        self,
        key: str,
        how: Writes,
        act: Callable[[float], Awaitable[str]],
        timeout_s: float,
        said: Any,
        understood: str | None,
    ) -> str:
        ctx, call, resolve = self.ctx, self.call, how.resolve
        self.note("write", True)
        self.note("idempotency_key", key)
        current_write.set(key)

        async def ask_upstream() -> str:
            assert resolve is not None  # noqa: S101 - only asked when there is one
            return as_text(await resolve(key, ctx))

        claim = Claim(
            key,
            digest([call.name, _as_written(call)]),
            ctx.identity.tenant_id,
            ctx.identity.thread_id,
            call.name,
            understood,
        )
        write = Write(
            claim,
            timeout_s=timeout_s,
            keyed=how.keyed,
            act=act,
            resolve=None if resolve is None else ask_upstream,
            question=lambda of, doubt: Interrupt(f"{key}:{of}", _payload(call, said, key, doubt)),
            told=lambda of: _told(ctx.answers.given.get(f"{key}:{of}")),
            abandoned=self.abandoned,
        )
        written = await Writer(ctx.claims, write).perform()
        self.note("replayed", written.replayed)
        return written.result


def as_text(answer: object) -> str:
    """As the model reads it: half of a surrogate pair, as in names of files, cannot be sent."""
    if not isinstance(answer, str):
        return pydantic_core.to_json(answer).decode()
    return answer.encode("utf-8", "replace").decode()


def _as_written(call: ToolCall) -> Any:
    """The arguments as JSON, however it is set; as text where they are none."""
    try:
        return json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call.arguments


def _payload(call: ToolCall, said: Any, key: str, doubt: Exception) -> dict[str, Any]:
    """What a human is told about a write that only they can find out about."""
    return {
        "kind": "write_in_doubt",
        "tool": call.name,
        "arguments": said,
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
            return as_text(more.get("result"))
        case {"done": False}:
            raise NotDone("a human found that it was not done")
    return None
