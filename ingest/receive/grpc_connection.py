"""One HTTP/2 connection of a gRPC client, which says what of it is held in memory.

The usual gRPC server reads each message as a whole before anybody is asked, however many come at a
time. Here a byte is accounted for when it arrives, and a call that goes over what all of them
together may hold is answered at once, while the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import structlog
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from ingest.receive.grpc_wire import HEAD, Headers, Upload, trailers
from ingest.receive.refusal import Refusal, unavailable

_log = structlog.get_logger()

_WINDOW_BYTES = 1024 * 1024
_CONNECTION_WINDOW_BYTES = 16 * _WINDOW_BYTES
_FRAME_BYTES = 64 * 1024  # what of a connection is not accounted for; fewer are less work
_SETTINGS = {
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
    SettingCodes.MAX_FRAME_SIZE: _FRAME_BYTES,
    SettingCodes.MAX_CONCURRENT_STREAMS: 10_000,  # some are opened before the client knows it
    SettingCodes.MAX_HEADER_LIST_SIZE: 64 * 1024,
}
_UNREAD_BYTES = 1024 * 1024
GREETING_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What a call is answered: a body between two blocks of headers, or the first block alone."""

    head: Headers
    body: bytes = b""
    trailers: Headers = ()


@dataclass(eq=False)
class Call:
    """A call while it is received. `over` is set when its message is whole, or was refused."""

    headers: dict[bytes, bytes]
    upload: Upload
    over: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: Refusal | None = None
    ended: bool = False

    def take(self, chunk: bytes) -> None:
        """The next bytes of the message; they are dropped once it is refused."""
        if self.refusal is None:
            try:
                self.upload.add(chunk)
            except Refusal as refusal:
                self.refusal = refusal
                self.upload.drop()
                self.over.set()

    def end(self) -> None:
        """No more is coming."""
        self.ended = True
        self.over.set()


class Connection(asyncio.Protocol):
    """Reads calls, has each answered by `answer`, and writes what that returns."""

    def __init__(
        self,
        begin: Callable[[dict[bytes, bytes]], Call],
        answer: Callable[[Call], Awaitable[Answer]],
        connections: set["Connection"],
    ) -> None:
        self._begin = begin
        self._answer = answer
        self._connections = connections
        self._calls: dict[int, Call] = {}
        self._tasks: dict[int, asyncio.Task[Answer]] = {}
        self._unsent: dict[int, Answer] = {}
        self._greeted = False
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._http.local_settings = Settings(client=False, initial_values=_SETTINGS)
        self._http.max_inbound_frame_size = _FRAME_BYTES  # it is looked at before the ACK
        self._transport: asyncio.Transport

    async def idle(self) -> None:
        """Wait until every call has its answer."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        self._connections.add(self)
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_CONNECTION_WINDOW_BYTES)
        self._flush()
        asyncio.get_running_loop().call_later(GREETING_SECONDS, self._drop_stranger)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self._connections.discard(self)
        for number in list(self._calls):
            self._forget(number)

    def pause_writing(self) -> None:
        """Our answers are short: who leaves so many of them unread never reads."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http.receive_data(data):
                self._on_event(event)
        except ProtocolError as fault:  # what it says to the client about it is in the buffer
            _log.debug("grpc.protocol_error", error=str(fault))
            self.close()
        else:
            self._flush()

    def close(self) -> None:
        """Say goodbye, and end the connection once that is written."""
        try:
            self._http.close_connection()
        except ProtocolError:
            _log.debug("grpc.closed_by_peer")
        self._flush()
        self._transport.close()

    def _drop_stranger(self) -> None:
        if not self._greeted:
            self._transport.abort()

    def _on_event(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                self._start(number, dict(headers))
            case DataReceived(stream_id=int(number), data=data, flow_controlled_length=length):
                self._http.acknowledge_received_data(length or 0, number)
                if (call := self._calls.get(number)) is not None:
                    call.take(data or b"")
            case StreamEnded(stream_id=int(number)):
                if (call := self._calls.get(number)) is not None:
                    call.end()
            case StreamReset(stream_id=int(number)):
                self._forget(number)
            case WindowUpdated() | RemoteSettingsChanged():
                self._greeted = True
                for number, answer in list(self._unsent.items()):
                    self._send(number, answer)

    def _start(self, number: int, headers: dict[bytes, bytes]) -> None:
        call = self._calls[number] = self._begin(headers)
        task = asyncio.ensure_future(self._answer(call))
        self._tasks[number] = task
        task.add_done_callback(partial(self._answered, number, call))

    def _forget(self, number: int) -> None:
        """Nobody waits for the answer. What came as a whole is stored nevertheless."""
        self._unsent.pop(number, None)
        call = self._calls.pop(number, None)
        if call is not None and not call.ended:
            self._tasks[number].cancel()

    def _answered(self, number: int, call: Call, task: "asyncio.Future[Answer]") -> None:
        del self._tasks[number]
        call.upload.drop()
        if number in self._calls and not task.cancelled():
            self._send(number, _result(task))
            self._flush()

    def _send(self, number: int, answer: Answer) -> None:
        """Write the answer, if there is room for it; else when the client makes some."""
        try:
            if len(answer.body) > self._http.local_flow_control_window(number):
                self._unsent[number] = answer
                return
            self._http.send_headers(number, answer.head, end_stream=not answer.trailers)
            if answer.trailers:
                self._http.send_data(number, answer.body)
                self._http.send_headers(number, answer.trailers, end_stream=True)
            if not self._calls[number].ended:
                self._http.reset_stream(number, ErrorCodes.NO_ERROR)  # the rest is not wanted
        except ProtocolError as fault:
            _log.debug("grpc.answer_not_taken", error=str(fault))
        self._unsent.pop(number, None)
        del self._calls[number]

    def _flush(self) -> None:
        if (data := self._http.data_to_send()) and not self._transport.is_closing():
            self._transport.write(data)


def _result(task: "asyncio.Future[Answer]") -> Answer:
    """A fault of our own is one that the client retries."""
    if (fault := task.exception()) is None:
        return task.result()
    _log.error("grpc.failed", exc_info=fault)
    status = unavailable("internal", "the receiver failed; retry").status()
    return Answer((*HEAD, *trailers(status)))
