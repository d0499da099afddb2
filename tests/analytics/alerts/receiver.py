"""A webhook receiver on a real socket, which answers as a test wants."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request as the receiver got it."""

    body: bytes
    headers: dict[str, str]

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def alert(self) -> dict[str, Any]:
        (alert,) = self.payload["alerts"]
        return alert

    @property
    def seen(self) -> tuple[str, str]:
        """Tenant and status: ``("acme", "firing")``."""
        return self.alert["labels"].get("tenant_id", "overall"), self.payload["status"]


@dataclass
class Receiver:
    """Answers each request by ``answer``: a status, or (status, headers); None: hangs.

    A status of 0 drips an endless header, a byte at a time.
    """

    answer: Callable[[Received], Any] = lambda _: 200
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # the sender was killed as it sent
                received = Received(body, {k.lower(): v for k, v in self.headers.items()})
                receiver.requests.append(received)
                answer = receiver.answer(received)
                if answer is None:
                    receiver.closing.wait(30)
                    return
                if answer == 0:
                    with suppress(ConnectionError):
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
                        while not receiver.closing.wait(0.05):
                            self.wfile.write(b".")
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                if status == 200:
                    receiver.accepted.append(received)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            server.shutdown()
            server.server_close()
            thread.join()


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for something that other threads or processes bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
