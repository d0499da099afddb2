"""Receiver and writer for the time of one command, for a data directory that no sidecar serves."""

import asyncio
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TextIO

from cli.addresses import Address, reserve
from cli.config import Config
from cli.lock import sole
from cli.supervise import Child, Ready, supervise

ROLES = ("receiver", "writer")

_PATIENCE_SECONDS = 60.0
_DRAIN_SECONDS = 3600.0
"""What is acknowledged should be in the lake when the command ends, however much it is."""


@contextmanager
def own_sidecar(settings: Config, log: TextIO) -> Iterator[str]:
    """Run receiver and writer on ``settings.data`` while the block lasts; yields the OTLP/HTTP URL.

    They listen on free ports of this host and log into ``log``. At the end they are drained: what
    was acknowledged is in the lake then. :raises Failure: when they cannot start.
    """
    for role in ROLES:
        with sole(settings.data, role, _PATIENCE_SECONDS):
            pass  # that of a command that was killed may still be draining
    local = Address("127.0.0.1", 0)
    settings = settings.model_copy(
        update={"otlp_http": reserve(local), "otlp_grpc": reserve(local)}
    )
    told = settings.model_dump_json(exclude={"alerts", "webhooks", "prices", "slo", "dashboard"})
    children = [
        Child(role, (sys.executable, "-m", "cli.process", role), told, _DRAIN_SECONDS, log.fileno())
        for role in ROLES
    ]
    running = _Running(children)
    try:
        yield running.url()
    finally:
        running.drain()


class _Running:
    """The supervisor in a thread of its own, so that the command can go on in the main thread."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._ready: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """Where the receiver listens, once both are ready; raises what kept them from it."""
        return self._ready.result()

    def drain(self) -> None:
        """End both in order and wait for it."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        def on_ready(said: Mapping[str, Ready]) -> None:
            self._ready.set_result(said["receiver"]["otlp_http"])

        try:
            self._loop.run_until_complete(supervise(self._children, on_ready, self._stop))
        except BaseException as fault:  # noqa: BLE001 - handed to who waits for the URL
            if not self._ready.done():
                self._ready.set_exception(fault)
        finally:
            self._loop.close()
