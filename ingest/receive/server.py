"""The receiver process: journals, transports, and an orderly end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import structlog
import uvicorn

from ingest.journal import Journal
from ingest.known_sequence import known_sequence
from ingest.ledger import Ledger
from ingest.lock import sole
from ingest.receive.connections import allowed_connections
from ingest.receive.grpc import GrpcServer
from ingest.receive.http import create_app
from ingest.receive.http_protocol import TimedProtocol
from ingest.receive.intake import Intake
from ingest.receive.settings import ReceiverSettings
from ingest.receive.signals import SIGNALS

_log = structlog.get_logger()

_LOCK_PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Endpoints:
    """Where the receiver really listens: a URL for HTTP, host:port for gRPC."""

    otlp_http: str
    otlp_grpc: str


async def serve_receiver(
    settings: ReceiverSettings, on_ready: Callable[[Endpoints], None], stop: asyncio.Event
) -> None:
    """Receive until `stop` is set, then drain and return.

    `on_ready` is called once both transports take requests. Draining answers new requests with
    503 / UNAVAILABLE, finishes those in flight and closes the journal's segments for the writer.
    Raises DirectoryInUse when another receiver holds the data directory (after about 3 s) and
    OSError when an address cannot be bound. Runs best under uvloop.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(sole(settings.data, "receiver", _LOCK_PATIENCE_SECONDS))
        ledger = stack.enter_context(closing(Ledger(settings.data)))
        journals = {
            signal.name: await stack.enter_async_context(_journal(settings, ledger, signal.name))
            for signal in SIGNALS
        }
        intake = Intake(settings, journals)
        grpc_address = await stack.enter_async_context(_grpc_server(settings, intake))
        http_address = await stack.enter_async_context(_http_server(settings, intake))
        endpoints = Endpoints(f"http://{http_address}", grpc_address)
        _log.info("receive.ready", http=endpoints.otlp_http, grpc=endpoints.otlp_grpc)
        on_ready(endpoints)
        await stop.wait()
        intake.draining = True
        _log.info("receive.draining", in_flight_bytes=intake.memory.held)
    _log.info("receive.stopped")


@asynccontextmanager
async def _journal(settings: ReceiverSettings, ledger: Ledger, name: str) -> AsyncIterator[Journal]:
    journal = Journal(
        settings.data / "journal" / name,
        partial(ledger.close_segment, name),
        max_age_seconds=settings.segment_seconds,
        max_bytes=settings.segment_bytes,
        above=known_sequence(settings.data, ledger, name),
    )
    for damage in journal.damage:
        _log.warning("journal.recovered", signal=name, found=str(damage))
    try:
        yield journal
    finally:
        await journal.close()


@asynccontextmanager
async def _grpc_server(settings: ReceiverSettings, intake: Intake) -> AsyncIterator[str]:
    listener = _listen("OTLP/gRPC", settings.grpc_host, settings.grpc_port)
    server = GrpcServer(intake, listener, allowed_connections())
    await server.start()
    try:
        yield _address(settings.grpc_host, listener.getsockname()[1])
    finally:
        await server.stop(settings.drain_timeout_seconds)


@asynccontextmanager
async def _http_server(settings: ReceiverSettings, intake: Intake) -> AsyncIterator[str]:
    listener = _listen("OTLP/HTTP", settings.http_host, settings.http_port)
    server = _Server(
        uvicorn.Config(
            create_app(intake),
            http=TimedProtocol.limited_to(allowed_connections()),
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(settings.drain_timeout_seconds),
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.accepting
    try:
        yield _address(settings.http_host, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn, told when to stop by us and not by signals, and saying when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except BaseException as fault:
            self.accepting.set_exception(fault)
            raise
        self.accepting.set_result(None)


def _listen(what: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as fault:
        address = _address(host, port)
        raise OSError(f"cannot listen on {address} for {what}: {fault.strerror}") from fault


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
