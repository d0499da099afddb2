"""A gRPC client that one can stop at any byte: the official one sends each message as a whole."""

import socket
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from google.rpc.status_pb2 import Status
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
)
from h2.settings import SettingCodes

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Caller:
    """One connection with one call on it."""

    def __init__(self, address: str, window: int | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._http.initiate_connection()
        if window is not None:
            self._http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._socket.close()

    def begin(self, headers: Iterable[tuple[str, str]] = (), path: str = TRACES) -> None:
        """Open the call; `headers` replace the usual ones of their names."""
        usual = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "here",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        self._http.send_headers(1, list((usual | dict(headers)).items()))
        self._write()

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Send as much of the call's body as the server takes before it answers."""
        while data and not self.ended:
            room = min(self._http.local_flow_control_window(1), self._http.max_outbound_frame_size)
            if not room:
                self._read()
                continue
            self._http.send_data(1, data[:room])
            self._write()
            data = data[room:]
        if last and not self.ended:
            self._http.end_stream(1)
            self._write()

    def make_room(self) -> None:
        """Let the server send its answer."""
        self._http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        self._write()

    def answer(self) -> Self:
        """Wait for the end of the call."""
        while not self.ended:
            self._read()
        return self

    def is_answered(self, within_seconds: float) -> bool:
        """Whether the call has ended, or does so soon."""
        self._socket.settimeout(within_seconds)
        with suppress(TimeoutError):
            self.answer()
        self._socket.settimeout(20)
        return self.ended

    @property
    def code(self) -> int:
        return int(self.headers["grpc-status"])

    @property
    def message(self) -> str:
        return unquote(self.headers["grpc-message"])

    @property
    def status(self) -> Status:
        details = self.headers["grpc-status-details-bin"]
        return Status.FromString(b64decode(details + "=" * (-len(details) % 4)))

    def _read(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the server has closed the connection")
        for event in self._http.receive_data(data):
            match event:
                case ResponseReceived() | TrailersReceived():
                    self.headers |= dict(event.headers or ())  # type: ignore[arg-type] # as decoded
                case DataReceived():
                    self.body += event.data or b""
                case StreamEnded():
                    self.ended = True
                case ConnectionTerminated():
                    raise ConnectionError(f"the server ended the connection: {event.error_code}")
        if not self.ended:
            self._write()

    def _write(self) -> None:
        self._socket.sendall(self._http.data_to_send())


def framed(message: bytes, *, flag: int = 0) -> bytes:
    """A message as it stands in the body of a call."""
    return bytes([flag]) + len(message).to_bytes(4, "big") + message
