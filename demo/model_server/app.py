"""The vendor's HTTP API."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from demo.model_server import answers, completions, messages, responses
from demo.model_server.ledger import Call, Ledger
from demo.model_server.rules import Behaviour, Rule, Script, ToolCall
from demo.model_server.wire import Asked, Wire

STALL_SECONDS = 3600.0
Traceparent = Annotated[str | None, Header()]


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
    async def chat(request: completions.ChatRequest, traceparent: Traceparent = None) -> Response:
        return await respond(completions, request.asked(), traceparent)

    @app.post("/v1/responses")
    async def respond_to(
        request: responses.ResponsesRequest, traceparent: Traceparent = None
    ) -> Response:
        return await respond(responses, request.asked(), traceparent)

    @app.post("/v1/messages")
    async def message(
        request: messages.MessagesRequest, traceparent: Traceparent = None
    ) -> Response:
        return await respond(messages, request.asked(), traceparent)

    async def respond(wire: Wire, asked: Asked, traceparent: str | None) -> Response:
        number = next(numbers)
        call = Call(
            f"{wire.prefix}-{started}{number:04x}", asked.model, asked.user, dict(asked.metadata),
            asked.stream, traceparent, time.time(),
        )  # fmt: skip
        ledger.enter(call)
        behaviour = script.behaviour(asked.model, asked.user)
        if behaviour.status is not None:
            return _refusal(call, behaviour)
        calls = answers.tools_to_call(behaviour, asked.messages, asked.tools)
        call.prompt_tokens = answers.prompt_tokens(asked.messages, asked.tools)
        call.cached_tokens = int(call.prompt_tokens * behaviour.cached_share)
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


def _refusal(call: Call, behaviour: Behaviour) -> Response:
    assert behaviour.status is not None  # noqa: S101 - the caller looked
    _end(call, "refused")
    call.status = behaviour.status
    kind = "rate_limit_exceeded" if behaviour.status == 429 else "scripted"
    message = f"scripted refusal with status {behaviour.status}"
    headers = {}
    if behaviour.retry_after is not None:
        headers["Retry-After"] = f"{behaviour.retry_after:g}"
    error = {"message": message, "type": kind, "code": kind, "param": None}
    return JSONResponse({"error": error}, behaviour.status, headers)


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
