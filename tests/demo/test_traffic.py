"""The demo's users: they ask when they ask, however slow the agents are."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse

from demo.traffic import AGENTS, TENANTS, Traffic, ask, flowing


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def one_answer(text: str) -> FastAPI:
    """An agent that answers every request with this stream."""
    app = FastAPI()

    @app.post("/{agent}/threads/{thread}/runs")
    async def run(x_tenant_id: str = Header(), x_user_id: str = Header()) -> StreamingResponse:
        if x_tenant_id == "refused" or not x_user_id:
            raise HTTPException(503)

        async def events() -> Iterator[bytes]:
            yield text.encode()

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


RUN = """\
event: run.start
data: {"run_id": "r-1"}

event: token
data: {"text": "Hello"}

event: run.end
data: {"outcome": "success"}

"""


@pytest.mark.parametrize(
    ("stream", "tenant", "expected"),
    [
        (RUN, "acme", ("r-1", "success", True)),
        (RUN.partition("event: run.end")[0], "acme", ("r-1", "broken", True)),
        (RUN, "refused", (None, "broken", False)),
    ],
)
def test_answer(stream: str, tenant: str, expected: tuple[str | None, str, bool]) -> None:
    """A user knows the outcome when told; a stream that breaks off or is refused is broken."""

    async def ask_once(url: str) -> tuple[str | None, str, bool]:
        async with httpx.AsyncClient(base_url=url) as client:
            answer = await ask(client, tenant, "u", "support", "t", "?")
        return answer.run_id, answer.outcome, answer.first_token_ms is not None

    with serving(one_answer(stream)) as url:
        assert asyncio.run(ask_once(url)) == expected


def test_open_loop() -> None:
    """Requests keep coming while none is answered, however many wait."""
    waiting = 0
    many, answer = threading.Event(), threading.Event()
    app = FastAPI()

    @app.post("/{agent}/threads/{thread}/runs")
    async def run(agent: str, x_tenant_id: str = Header()) -> StreamingResponse:
        nonlocal waiting
        assert agent in AGENTS
        assert x_tenant_id in TENANTS
        waiting += 1
        if waiting > 120:
            many.set()
        while not answer.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.05)
        return StreamingResponse(iter([RUN.encode()]), media_type="text/event-stream")

    traffic = Traffic()
    with serving(app) as url:
        with flowing(url, traffic, per_second=100):
            try:
                assert many.wait(20)
                assert traffic.answers == []
            finally:
                answer.set()
        assert len(traffic.answers) == traffic.asked


def test_summary() -> None:
    """The summary counts what was asked, answered, and answered badly."""
    assert Traffic(asked=3).summary().startswith("3 requests, 0 answered, 0 badly")
