"""A provider that answers whatever bytes a test gives it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from .conftest import listening


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@contextmanager
def answering(*answers: bytes | Response) -> Iterator[tuple[str, list[Asked]]]:
    """Gives these answers in turn, the last one for ever; its URL and what it was asked."""
    app, asked = FastAPI(telemetry={"tracing": False}), list[Asked]()

    async def pieces(wire: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(wire), 7):
            yield wire[at : at + 7]

    @app.post("/{path:path}")
    async def answer(path: str, request: Request) -> Response:
        chosen = answers[min(len(asked), len(answers) - 1)]
        asked.append(Asked(f"/{path}", dict(request.headers), await request.json()))
        if isinstance(chosen, Response):
            return chosen
        return StreamingResponse(pieces(chosen), media_type="text/event-stream")

    with listening(app) as url:
        yield url, asked
