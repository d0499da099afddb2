"""A payment service on this machine, with a ledger: what agents did to the world.

`POST /charges` with an `Idempotency-Key` header takes money; `GET /charges/{key}` says what became
of a key. It can do what it was asked and then lose its reply, or keep the caller waiting.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from .conftest import listening

Fault = Literal["lose the reply", "answer too late", "refuse", "still at it", "fail first"]


@dataclass
class Payments:
    """The service's books."""

    keyed: bool
    """Whether a key that was charged answers as before, instead of being charged again."""
    url: str = ""
    effects: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Key and body of each charge that was made."""
    requests: list[str] = field(default_factory=list)
    """Key of each request."""
    faults: list[Fault] = field(default_factory=list)
    """What happens to the next requests, one each; then all goes well."""
    late_s: float = 1.0

    @property
    def keys(self) -> Sequence[str]:
        """The keys that were charged."""
        return [key for key, _ in self.effects]

    def charge(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        if not (self.keyed and key in self.keys):
            self.effects.append((key, body))
        return {"charge": self.keys.index(key), "cents": body["cents"]}


def payment_routes(books: Payments) -> APIRouter:
    """The service, for an application."""
    service = APIRouter()

    @service.post("/charges")
    async def charge(request: Request) -> Response:
        key, body = request.headers["idempotency-key"], await request.json()
        books.requests.append(key)
        fault = books.faults.pop(0) if books.faults else None
        if fault == "refuse":
            raise HTTPException(402, "card declined")
        if fault == "still at it":
            books.charge(key, body)
            raise HTTPException(409, "a request with this key is being carried out")
        if fault == "fail first":
            raise HTTPException(500, "try again")
        made = books.charge(key, body)
        if fault == "answer too late":
            await asyncio.sleep(books.late_s)
        if fault == "lose the reply":
            # Promises more than it sends, so that the connection is closed in the middle.
            return StreamingResponse(_nothing(), headers={"content-length": "100"})
        return Response(orjson.dumps(made), media_type="application/json")

    @service.get("/charges/{key}")
    async def find(key: str) -> dict[str, Any]:
        for number, (charged, body) in enumerate(books.effects):
            if charged == key:
                return {"charge": number, "cents": body["cents"]}
        raise HTTPException(404, "no such charge")

    return service


@contextmanager
def payments(*, keyed: bool = True) -> Iterator[Payments]:
    """The service by itself."""
    books, app = Payments(keyed), FastAPI(telemetry={"tracing": False})
    app.include_router(payment_routes(books))
    with listening(app) as books.url:
        yield books


async def _nothing() -> Any:
    return
    yield b""
