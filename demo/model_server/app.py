"""The vendor's HTTP API."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from demo.model_server import answers, completions, messages, responses
from demo.model_server.ledger import Call, Ledger
from demo.model_server.rules import Behaviour, Rule, Script, ToolCall
from demo.model_server.wire import Asked, Wire, event

STALL_SECONDS = 3600.0
Correlation = Annotated[str | None, Header()]
OVERLOADED = 529


class StreamCut(Exception):  # noqa: N818 - on purpose: the server then drops the connection
    """Ends a response in the middle."""


@dataclass(frozen=True)
class Reply:
    """An answer that is decided and waits to be sent."""

    wire: Wire
    call: Call
    behaviour: Behaviour
    text: str
    calls: Sequence[ToolCall]


def create_app(script: Script, ledger: Ledger) -> FastAPI:
    """The vendor, following `script` and writing its calls into `ledger`."""
    app = FastAPI(title="Scripted model vendor", docs_url=None, redoc_url=None)
    numbers, started = count(), secrets.token_hex(2)  # ids of vendors are unique for ever

    @app.post("/v1/chat/completions")
    async def chat(
        request: completions.ChatRequest,
        traceparent: Correlation = None,
        baggage: Correlation = None,
    ) -> Response:
        return await respond(completions, request.asked(), traceparent, baggage)

    @app.post("/v1/responses")
    async def respond_to(
        request: responses.ResponsesRequest,
        traceparent: Correlation = None,
        baggage: Correlation = None,
    ) -> Response:
        return await respond(responses, request.asked(), traceparent, baggage)

    @app.post("/v1/messages")
    async def message(
        request: messages.MessagesRequest,
        traceparent: Correlation = None,
        baggage: Correlation = None,
    ) -> Response:
        return await respond(messages, request.asked(), traceparent, baggage)

    async def respond(
        wire: Wire, asked: Asked, traceparent: str | None, baggage: str | None
    ) -> Response:
        number = next(numbers)
        call = Call(
            f"{wire.prefix}-{started}{number:04x}", asked.model, asked.user,
            _members(baggage or "") | dict(asked.metadata),
            asked.stream, traceparent, time.time(),
        )  # fmt: skip
        ledger.enter(call)
        behaviour = script.behaviour(asked.model, asked.user)
        if behaviour.status is not None:
            return _refusal(wire, call, behaviour)
        calls = answers.tools_to_call(behaviour, asked.messages, asked.tools)
        call.prompt_tokens = answers.prompt_tokens(asked.messages, asked.tools)
        call.cached_tokens = int(call.prompt_tokens * behaviour.cached_share)
        call.cache_write_tokens = int(call.prompt_tokens * behaviour.cache_write_share)
        call.tool_calls = [tool.name for tool in calls]
        reply = Reply(wire, call, behaviour, answers.answer(behaviour, number), calls)
        if asked.stream:
            usage = behaviour.usage and asked.usage_in_stream
            return StreamingResponse(_stream(reply, usage=usage), media_type="text/event-stream")
        return await _whole(reply)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        known = sorted({call.model for call in ledger.calls()})
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in known]}

    @app.get("/rules")
    async def rules() -> Sequence[Rule]:
        return script.rules

    @app.put("/rules")
    async def replace_rules(rules: list[Rule]) -> dict[str, int]:
        script.replace(rules)
        return {"rules": len(rules)}

    @app.get("/ledger")
    async def book() -> dict[str, Any]:
        return ledger.as_json()

    return app


def _members(baggage: str) -> dict[str, Any]:
    """What a W3C baggage header says, without properties."""
    members = (member.partition(";")[0].partition("=") for member in baggage.split(","))
    return {name.strip(): unquote(value.strip()) for name, equals, value in members if equals}


def _refusal(wire: Wire, call: Call, behaviour: Behaviour) -> Response:
    assert behaviour.status is not None  # noqa: S101 - the caller looked
    _end(call, "refused")
    call.status = behaviour.status
    error = wire.failure(behaviour.status, f"scripted refusal with status {behaviour.status}")
    return JSONResponse(error, behaviour.status, _retry_after(behaviour))


def _retry_after(behaviour: Behaviour) -> dict[str, str]:
    seconds = behaviour.retry_after
    if seconds is None:
        return {}
    match behaviour.retry_after_as:
        case "ms":
            return {"Retry-After-Ms": f"{seconds * 1000:g}"}
        case "date":
            return {"Retry-After": formatdate(math.ceil(time.time() + seconds), usegmt=True)}
        case _:
            return {"Retry-After": f"{seconds:g}"}


async def _whole(reply: Reply) -> Response:
    call, behaviour = reply.call, reply.behaviour
    pieces = sum(1 for _ in reply.wire.pieces(call, reply.text, reply.calls))
    await asyncio.sleep((behaviour.first_token_ms + behaviour.token_ms * (pieces - 1)) / 1000)
    call.first_token_at = time.time()
    call.reasoning_tokens = behaviour.reasoning_tokens
    call.completion_tokens = pieces + behaviour.reasoning_tokens
    _end(call, "completed")
    return JSONResponse(reply.wire.whole(call, reply.text, reply.calls, usage=behaviour.usage))


async def _stream(reply: Reply, *, usage: bool) -> AsyncIterator[bytes]:
    wire, call, behaviour = reply.wire, reply.call, reply.behaviour
    ending = "client_gone"
    try:
        yield wire.opening(call, reply.calls)
        await asyncio.sleep(behaviour.first_token_ms / 1000)
        call.reasoning_tokens = call.completion_tokens = behaviour.reasoning_tokens
        for sent, piece in enumerate(wire.pieces(call, reply.text, reply.calls)):
            if sent == behaviour.cut_after_tokens:
                ending = "cut"
                raise StreamCut(call.id)
            if sent == behaviour.fail_after_tokens:
                ending = "cut"
                yield event(wire.failure(OVERLOADED, "scripted failure"), "error")
                return
            if sent == behaviour.stall_after_tokens:
                await asyncio.sleep(STALL_SECONDS)
            if sent:
                await asyncio.sleep(behaviour.token_ms / 1000)
            call.first_token_at = call.first_token_at or time.time()
            call.completion_tokens += 1
            yield piece
        *before, last = wire.closing(call, reply.text, reply.calls, usage=usage)
        for piece in before:
            yield piece
        ending = "completed"
        yield last
    finally:
        _end(call, ending)


def _end(call: Call, ending: Any) -> None:
    call.ending = ending
    call.ended_at = time.time()
