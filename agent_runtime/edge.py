"""Measures time to first token where it is decided: at the server's edge.

From the moment a request is accepted (the first call of the ASGI application) until `send` returns
for the first body chunk that holds a token. Waiting, retries and fallbacks are all inside; headers,
keep-alives and other events do not count.
"""

import sys
import time
from collections.abc import Callable

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from agent_runtime.errors import StoreError
from agent_runtime.sse import TOKEN_LINE

SCOPE_KEY = "agent_runtime.edge"


class Edge:
    """When a request was accepted, and when its first token was sent.

    ``drop`` gives its connection up at once, with all that is still to be sent.
    """

    def __init__(self, drop: Callable[[], None] = lambda: None) -> None:
        self.drop = drop
        self.accepted_unix_nano = time.time_ns()
        self._accepted = time.perf_counter()
        self.ttfb_ms: float | None = None
        """Milliseconds until the first token was sent; None while none was."""
        self.send_blocked_ms = 0.0
        """Milliseconds that sending took: long when the client reads slower than is written."""

    def elapsed_ms(self) -> float:
        """Milliseconds since the request was accepted."""
        return (time.perf_counter() - self._accepted) * 1000

    def sent(self, body: bytes, began: float) -> None:
        """A part of the answer has been sent, which began at a moment of `time.perf_counter`."""
        self.send_blocked_ms += (time.perf_counter() - began) * 1000
        # A line of its own: inside of an event's data, which is JSON, there is no line break.
        if self.ttfb_ms is None and TOKEN_LINE in body:
            self.token_sent()

    def token_sent(self) -> None:
        """A token has been sent; only the first one counts."""
        if self.ttfb_ms is None:
            self.ttfb_ms = self.elapsed_ms()


class EdgeApp(FastAPI):
    """An application that puts an `Edge` into the scope of a request, before any middleware.

    When it cannot start because of its store, it says so in a line.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            scope[SCOPE_KEY] = Edge(_drop_of(send))
        elif scope["type"] == "lifespan":
            send = _briefly(send)
        await super().__call__(scope, receive, send)


def _briefly(send: Send) -> Send:
    """Starlette tells the server a traceback, which says nothing about a store that is down."""

    async def send_briefly(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            error = sys.exc_info()[1]
            if isinstance(error, StoreError):
                said = " ".join(str(error).split())
                remedy = "AGENT_RUNTIME_STORE, or Runtime(store=...), says which store it is"
                message = {**message, "message": f"the store cannot be used: {said} ({remedy})"}
        await send(message)

    return send_briefly


def _drop_of(send: Send) -> Callable[[], None]:
    """uvicorn closes a connection when all is sent, which is never if the other end takes nothing
    and lives; what it sends with knows the connection. Of another server, it does nothing."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    drop: Callable[[], None] = getattr(transport, "abort", lambda: None)
    return drop
