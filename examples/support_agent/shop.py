"""Stands in for the services of a shop: help pages, orders, refunds and a memory of customers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel


class Refund(BaseModel):
    """What is to be paid back."""

    order_id: int


@dataclass
class Books:
    """What the shop knows. `refunds` are what was paid back, by idempotency key."""

    orders: dict[int, int] = field(default_factory=lambda: {1042: 1900, 1043: 12900})
    """Cents that were paid, by order."""
    articles: tuple[str, ...] = (
        "Returns: within 30 days, in any box. Money is back within 5 days.",
        "Delivery: two working days; large furniture by appointment.",
    )
    memory: dict[str, str] = field(default_factory=lambda: {"ada": "prefers short answers"})
    memory_hangs: bool = False
    down: bool = False
    """Every request is answered 500."""
    refunds: dict[str, dict[str, int]] = field(default_factory=dict)
    threads: list[str | None] = field(default_factory=list)
    """Of each request, the thread that it was made for."""


def create_shop(books: Books) -> FastAPI:
    """The services over HTTP."""
    app = FastAPI(title="Shop", telemetry={"tracing": False})

    @app.middleware("http")
    async def fail(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        return Response("out of order", 500) if books.down else await answer(request)

    @app.get("/articles", response_class=PlainTextResponse)
    async def articles(query: str, x_thread_id: Annotated[str | None, Header()] = None) -> str:
        books.threads.append(x_thread_id)
        words = query.lower().split()
        found = [text for text in books.articles if any(word in text.lower() for word in words)]
        return "\n".join(found or books.articles)

    @app.get("/orders/{order_id}")
    async def order(order_id: int) -> dict[str, int]:
        if order_id not in books.orders:
            raise HTTPException(404, f"no order {order_id}")
        return {"order_id": order_id, "cents": books.orders[order_id]}

    @app.post("/refunds")
    async def refund(
        wanted: Refund,
        idempotency_key: Annotated[str, Header()],
        x_thread_id: Annotated[str | None, Header()] = None,
    ) -> dict[str, int]:
        books.threads.append(x_thread_id)
        if wanted.order_id not in books.orders:
            raise HTTPException(404, f"no order {wanted.order_id}")
        paid = {"order_id": wanted.order_id, "cents": books.orders[wanted.order_id]}
        return books.refunds.setdefault(idempotency_key, paid)

    @app.get("/refunds/{key}")
    async def find_refund(key: str) -> dict[str, int]:
        if key not in books.refunds:
            raise HTTPException(404, f"no refund {key}")
        return books.refunds[key]

    @app.get("/memory/{user_id}", response_class=PlainTextResponse)
    async def memory(user_id: str) -> str:
        if books.memory_hangs:
            await asyncio.sleep(60)
        return books.memory.get(user_id, "nothing yet")

    return app
