"""Refusals of providers: status and headers decide, whatever came of the body."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from fastapi.responses import RedirectResponse, StreamingResponse

from agent_runtime import Model, RunResult, Runtime

from .agents import WHO, chatting
from .conftest import Telemetry
from .raw_provider import answering
from .test_anthropic_protocol import START
from .test_anthropic_protocol import stream as events
from .test_openai_protocol import GOOD, run, stream, text

SHORT = b"content-length: 500\r\n\r\n{short"
SPOILT = {
    "short": SHORT,
    "broken": b"transfer-encoding: chunked\r\n\r\n5\r\n{\"err",
    "no gzip": b"content-encoding: gzip\r\ncontent-length: 6\r\n\r\n{short",
}  # fmt: skip


@asynccontextmanager
async def refusing(wire: bytes, *, hangs: bool = False) -> AsyncIterator[tuple[str, list[float]]]:
    """Answers every request with these bytes, and ends or leaves the connection open behind them;
    its URL and when it was asked."""
    asked: list[float] = []
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            asked.append(asyncio.get_running_loop().time())
            writer.write(wire)
            await writer.drain()
            if hangs:
                await over.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        over.set()


def refused(
    wire: bytes, *, hangs: bool = False, attempts: int = 5
) -> tuple[RunResult, list[float]]:
    async def go() -> tuple[RunResult, list[float]]:
        async with refusing(wire, hangs=hangs) as (url, asked):
            model = Model("openai:m", base_url=url, api_key="k", max_attempts=attempts)
            async with Runtime(chatting(model), agent_name="support") as runtime:
                return await runtime.run("hello", thread_id="t", **WHO), asked

    return asyncio.run(asyncio.wait_for(go(), 30))


@pytest.mark.parametrize("body", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized"])
def test_what_people_must_mend_is_asked_once(
    telemetry: Telemetry, status: bytes, body: bytes
) -> None:
    """Also when the body breaks off, or is not what its headers say."""
    result, asked = refused(b"HTTP/1.1 " + status + b"\r\n" + body)
    assert len(asked) == 1
    assert f"answered {status[:3].decode()}" in str(result.outcome.error)


@pytest.mark.parametrize("body", SPOILT.values(), ids=SPOILT)
def test_a_wait_that_was_asked_for_is_kept(telemetry: Telemetry, body: bytes) -> None:
    """Whatever became of the body of the refusal."""
    wire = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n" + body
    _, asked = refused(wire, attempts=2)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 1


def test_a_body_that_does_not_end_is_not_waited_for(telemetry: Telemetry) -> None:
    """The refusal is known before it, and quotes what came."""
    result, asked = refused(b"HTTP/1.1 401 Unauthorized\r\n" + SHORT, hangs=True)
    assert len(asked) == 1
    assert "answered 401: {short" in str(result.outcome.error)


DSN = "redis://app:hunter2-correct-horse@cache.internal:6379/0"


@pytest.mark.parametrize("before", range(250, 300, 7))
def test_a_refusal_is_quoted_without_its_secrets(telemetry: Telemetry, before: int) -> None:
    """Also where the quotation ends within one."""
    wire = f"HTTP/1.1 400 Bad Request\r\n\r\n{'. ' * (before // 2)}{DSN} timed out"
    result, _ = refused(wire.encode())
    assert "hunter2" not in str(result.outcome.error)
    assert "answered 400: . . " in str(result.outcome.error)


@pytest.mark.parametrize(
    "chunk",
    [
        f"data: {{{' ' * 50}{DSN}\n\n".encode(),
        stream({"id": "x", "choices": [{"delta": {"content": [" " * 50, DSN]}}]}),
    ],
)
def test_a_chunk_is_quoted_without_its_secrets(telemetry: Telemetry, chunk: bytes) -> None:
    """Wherever it stopped making sense."""
    with answering(chunk) as (url, _):
        result = run(url, max_attempts=1)
    assert "hunter2" not in str(result.outcome.error)
    assert "has another shape" in str(result.outcome.error)


def test_nobody_is_sent_elsewhere_with_the_key(telemetry: Telemetry) -> None:
    """A redirect is a refusal: prompt and key are for the address that was given."""
    with answering(GOOD) as (elsewhere, given):
        moved = RedirectResponse(f"{elsewhere}/chat/completions", 307)
        with answering(moved) as (url, asked):
            result = run(url)
    assert (len(asked), len(given)) == (1, 0)
    assert "answered 307" in str(result.outcome.error)


FINE = events(
    START,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "fine"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
)  # fmt: skip


@contextmanager
def left_open(wire: bytes) -> Iterator[str]:
    """Sends this, and never ends the body."""

    async def body() -> AsyncIterator[bytes]:
        yield wire
        await asyncio.sleep(60)

    with answering(StreamingResponse(body(), media_type="text/event-stream")) as (url, _):
        yield url


def asked_in_time(url: str, name: str) -> RunResult:
    async def go() -> RunResult:
        model = Model(name, base_url=url, api_key="k", max_attempts=1)
        async with Runtime(chatting(model), agent_name="support") as runtime:
            return await runtime.run("hello", thread_id="t", **WHO)

    return asyncio.run(asyncio.wait_for(go(), 5))


@pytest.mark.parametrize(("name", "wire"), [("openai:m", GOOD), ("anthropic:m", FINE)])
def test_the_end_that_a_provider_says_is_the_end(
    telemetry: Telemetry, name: str, wire: bytes
) -> None:
    """``[DONE]`` or ``message_stop``: a body left open behind it is not waited for."""
    with left_open(wire) as url:
        assert asked_in_time(url, name).text == "fine"


@pytest.mark.parametrize(
    ("name", "wire"),
    [("openai:m", stream(text("fi"))), ("anthropic:m", events(START, {"type": "message_stop"}))],
)
def test_an_end_without_a_finish_is_a_broken_stream(
    telemetry: Telemetry, name: str, wire: bytes
) -> None:
    """And no provider that was too slow."""
    with left_open(wire) as url:
        assert "without a finish reason" in str(asked_in_time(url, name).outcome.error)
