"""uvicorn's HTTP protocol, which waits for the head of a request only so long, and for so much.

A client that never ends its headers costs a connection, and those are counted: without an end to
its patience some hundred such clients would leave no room for others. And all that it sends is
held in memory, be it one header or a million, before or behind the body. The body has its own
limits, see `ingest.receive.http`.
"""

import asyncio
from typing import Self

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS = 30.0
HEAD_BYTES = 64 * 1024


class TimedProtocol(HttpToolsProtocol):
    """Closes a connection on which no request has begun `HEAD_SECONDS` after its first byte.

    So it does when more than `HEAD_BYTES` in a row brought neither a head to its end nor a byte of
    a body; what is read at once, at most 256 KiB, counts as a whole.
    """

    most_connections: int
    _head_due: asyncio.TimerHandle | None = None
    _fruitless_bytes = 0
    _got_on = False

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
        self._got_on = False
        super().data_received(data)
        self._fruitless_bytes = 0 if self._got_on else self._fruitless_bytes + len(data)
        if self._fruitless_bytes > HEAD_BYTES:
            self._refuse_head()
        if not self._is_between_requests():
            self._stop_waiting()
        elif self._head_due is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._got_on = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse_head(self) -> None:
        if self._is_between_requests():
            told = b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[431] + told)
        self.transport.close()

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
