"""uvicorn's HTTP protocol, which waits for the head of a request only so long.

A client that never ends its headers costs a connection, and those are counted: without an end to
its patience some hundred such clients would leave no room for others. What comes after the head has
its own limit, see `ingest.receive.http`.
"""

import asyncio
from typing import Self

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0


class TimedProtocol(HttpToolsProtocol):
    """Closes a connection on which no request has begun `HEAD_SECONDS` after its first byte."""

    most_connections: int
    _head_due: asyncio.TimerHandle | None = None

    @classmethod
    def limited_to(cls, most_connections: int) -> type[Self]:
        """The protocol, which closes connections over that number as soon as they are made."""
        return type(cls.__name__, (cls,), {"most_connections": most_connections})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as there
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > self.most_connections:
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_between_requests():
            self._stop_waiting()
        elif self._head_due is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._head_due = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self._head_due = None
        if self._is_between_requests():
            self.transport.close()
