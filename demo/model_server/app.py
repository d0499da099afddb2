"""The vendor's HTTP API."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from demo.model_server import completions
from demo.model_server.ledger import Call, Ledger
from demo.model_server.rules import Behaviour, Rule, Script, ToolCall

STALL_SECONDS = 3600.0


class StreamCut(Exception):  # noqa: N818 - on purpose: the server then drops the connection
    """Ends a response in the middle."""


class ChatRequest(BaseModel):
    """The part of an OpenAI chat completion request that matters here."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = Field(default_factory=list)
    stream: bool = False
    stream_options: dict[str, Any] = Field(default_factory=dict)
    user: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)


def create_app(script: Script, ledger: Ledger) -> FastAPI:
    """The vendor, following `script` and writing its calls into `ledger`."""
    app = FastAPI(title="Scripted model vendor", docs_url=None, redoc_url=None)
    numbers = count()

    @app.post("/v1/chat/completions")
    async def chat(
        request: ChatRequest, traceparent: Annotated[str | None, Header()] = None
    ) -> Response:
        number = next(numbers)
        call = Call(
            f"chatcmpl-{number:08d}", request.model, request.user, request.metadata,
            request.stream, traceparent, time.time(),
        )  # fmt: skip
        ledger.enter(call)
        behaviour = script.behaviour(request.model, request.user)
        if behaviour.status is not None:
            return _refusal(call, behaviour)
        text = completions.answer(behaviour, number)
        calls = completions.tools_to_call(behaviour, request.messages, request.tools)
        call.prompt_tokens = completions.prompt_tokens(request.messages, request.tools)
        call.cached_tokens = int(call.prompt_tokens * behaviour.cached_share)
        call.tool_calls = [tool.name for tool in calls]
        if request.stream:
            with_usage = behaviour.usage and bool(request.stream_options.get("include_usage"))
            stream = _stream(call, behaviour, text, calls, with_usage=with_usage)
            return StreamingResponse(stream, media_type="text/event-stream")
        return await _whole(call, behaviour, text, calls)

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


async def _whole(
    call: Call, behaviour: Behaviour, text: str, calls: Sequence[ToolCall]
) -> Response:
    pieces = len(list(completions.deltas(text, calls, call)))
    await asyncio.sleep((behaviour.first_token_ms + behaviour.token_ms * (pieces - 1)) / 1000)
    call.first_token_at = time.time()
    call.reasoning_tokens = behaviour.reasoning_tokens
    call.completion_tokens = pieces + behaviour.reasoning_tokens
    _end(call, "completed")
    return JSONResponse(completions.completion(call, text, calls, usage=behaviour.usage))


async def _stream(
    call: Call, behaviour: Behaviour, text: str, calls: Sequence[ToolCall], *, with_usage: bool
) -> AsyncIterator[bytes]:
    ending = "client_gone"
    try:
        yield completions.chunk(call, {"role": "assistant", "content": None if calls else ""})
        await asyncio.sleep(behaviour.first_token_ms / 1000)
        call.reasoning_tokens = call.completion_tokens = behaviour.reasoning_tokens
        for sent, delta in enumerate(completions.deltas(text, calls, call)):
            if sent == behaviour.cut_after_tokens:
                ending = "cut"
                raise StreamCut(call.id)
            if sent == behaviour.stall_after_tokens:
                await asyncio.sleep(STALL_SECONDS)
            if sent:
                await asyncio.sleep(behaviour.token_ms / 1000)
            call.first_token_at = call.first_token_at or time.time()
            call.completion_tokens += 1
            yield completions.chunk(call, delta)
        yield completions.chunk(call, {}, completions.finish_reason(calls))
        if with_usage:
            yield completions.usage_chunk(call)
        ending = "completed"
        yield b"data: [DONE]\n\n"
    finally:
        _end(call, ending)


def _end(call: Call, ending: Any) -> None:
    call.ending = ending
    call.ended_at = time.time()
