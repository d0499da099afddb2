"""OTLP over gRPC: the export service of every signal."""

import asyncio
import socket
from contextlib import suppress

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from ingest.receive.grpc_connection import Answer, Call, Connection
from ingest.receive.grpc_wire import (
    CONTENT_TYPE,
    ENCODINGS,
    HEAD,
    OK,
    Upload,
    framed,
    trailers,
)
from ingest.receive.intake import Intake
from ingest.receive.memory import Held
from ingest.receive.refusal import Refusal, unavailable
from ingest.receive.signals import SIGNALS

_SIGNAL_OF_PATH = {f"/{signal.service}/Export".encode(): signal for signal in SIGNALS}


class _Unwanted(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class GrpcServer:
    """Serves `listener` from `start` to `stop`; belongs to one event loop.

    Connections over `most_connections` are closed as soon as they are made.
    """

    def __init__(self, intake: Intake, listener: socket.socket, most_connections: int) -> None:
        self._most_connections = most_connections
        self._intake = intake
        self._listener = listener
        self._connections: set[Connection] = set()
        self._server: asyncio.Server

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, sock=self._listener
        )

    async def stop(self, patience_seconds: float) -> None:
        """Take no more connections, let the calls in flight be answered, and close the others."""
        self._server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                for connection in list(self._connections):
                    await connection.idle()
        for connection in list(self._connections):
            connection.close()

    def _connection(self) -> asyncio.Protocol:
        if len(self._connections) >= self._most_connections:
            return _Unwanted()
        return Connection(self._begin, self._answer, self._connections)

    def _begin(self, headers: dict[bytes, bytes]) -> Call:
        held = Held(self._intake.memory)
        return Call(headers, Upload(held, self._intake.settings.max_body_bytes))

    async def _answer(self, call: Call) -> Answer:
        if call.headers.get(b":method") != b"POST":
            return Answer(((":status", "405"), ("allow", "POST")))
        if not call.headers.get(b"content-type", b"").startswith(CONTENT_TYPE.encode()):
            return Answer(((":status", "415"),))
        path = call.headers.get(b":path", b"")
        if (signal := _SIGNAL_OF_PATH.get(path)) is None:
            return _failed(Code.UNIMPLEMENTED, f"{path[:80]!r} is not served")
        encoding = call.headers.get(b"grpc-encoding", b"").decode(errors="replace").lower()
        if encoding and encoding not in ENCODINGS:
            wanted = ", ".join(ENCODINGS)
            message = f"grpc-encoding {encoding!r} is not supported; use one of {wanted}"
            return _failed(Code.UNIMPLEMENTED, message)
        intake = self._intake
        try:
            await intake.admit()
            await self._whole(call)
            body, encoding = call.upload.message(encoding)
            held = call.upload.held
            stored = await intake.accept(body, signal, held=held, content_encoding=encoding)
        except Refusal as refusal:
            intake.counts.refused_requests[signal.name, refusal.reason] += 1
            return Answer((*HEAD, *trailers(refusal.status())))
        return Answer(HEAD, framed(stored.SerializeToString()), OK)

    async def _whole(self, call: Call) -> None:
        """Wait for the message. Raises the Refusal that it met on its way."""
        seconds = self._intake.settings.body_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await call.over.wait()
        except TimeoutError:
            message = f"the message did not arrive within {seconds:g} s; retry"
            raise unavailable("slow", message) from None
        if call.refusal is not None:
            raise call.refusal


def _failed(code: int, message: str) -> Answer:
    return Answer((*HEAD, *trailers(Status(code=code, message=message))))
