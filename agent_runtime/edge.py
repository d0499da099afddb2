"""Measures time to first token where it is decided: at the server's edge.

From the moment a request is accepted (the first call of the ASGI application) until `send` returns
for the first body chunk that holds a token. Waiting, retries and fallbacks are all inside; headers,
keep-alives and other events do not count.
"""

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from agent_runtime.sse import TOKEN_LINE

SCOPE_KEY = "agent_runtime.edge"


class Edge:
    """When a request was accepted, and when its first token was sent."""

    def __init__(self) -> None:
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


class EdgeMiddleware:
    """Pure ASGI middleware that puts an `Edge` into the scope of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            scope[SCOPE_KEY] = Edge()
        await self._app(scope, receive, send)
