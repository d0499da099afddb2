"""A receiver for the tests to talk to."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import uvloop

from ingest import Endpoints, ReceiverSettings, serve_receiver


class RunningReceiver:
    """A real receiver on real sockets, in a thread of the test process."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self.data = settings.data
        self._ready: Future[Endpoints] = Future()
        self._stop: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, args=(settings,))
        self._thread.start()
        self.endpoints = self._ready.result(timeout=20)

    @property
    def http(self) -> str:
        """The URL of OTLP/HTTP."""
        return self.endpoints.otlp_http

    @property
    def grpc(self) -> str:
        """The address of OTLP/gRPC."""
        return self.endpoints.otlp_grpc

    def begin_to_stop(self) -> None:
        """Ask it to drain."""
        self._stop()

    def stop(self) -> None:
        """Drain and wait for the end."""
        self._stop()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()

    def _run(self, settings: ReceiverSettings) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            self._stop = lambda: loop.is_closed() or loop.call_soon_threadsafe(stop.set)
            await serve_receiver(settings, self._ready.set_result, stop)

        try:
            uvloop.run(serve())
        except BaseException as fault:  # handed to the test, which waits for the endpoints
            if self._ready.done():
                raise
            self._ready.set_exception(fault)
