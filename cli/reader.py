"""The reading side of the sidecar: the dashboard, and the pager in a thread beside it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import structlog
import uvicorn

from analytics import Analytics
from analytics.alerts import AlertHistory, AlertStore, Channel, LogChannel, run_pager
from cli.config import Config
from cli.failure import Failure
from cli.rooms import alert_store, load_objectives, one_line_errors, open_analytics
from dashboards import Endpoints, create_app

DRAIN_SECONDS = 5
POLL_SECONDS = 0.5

log = structlog.get_logger()


def serve_reader(
    config: Config, say_ready: Callable[[Mapping[str, str]], None], stop: threading.Event
) -> None:
    """Serve the dashboard and evaluate the alerts of ``config`` until ``stop`` is set.

    :raises Failure: when an objective cannot be read, or when the pager ended by itself: better
        to be started again than to look well while nobody would be told.
    """
    with one_line_errors():
        objectives = load_objectives(config)
        analytics = open_analytics(config)
    listener = _listen(config)
    url = f"http://{config.dashboard}"
    app = create_app(
        analytics,
        objectives,
        AlertHistory(alert_store(config)),
        endpoints=Endpoints(str(config.otlp_http), str(config.otlp_grpc)),
    )
    server = _Server(
        uvicorn.Config(
            app,
            # It bounds the head of a request, which httptools does not.
            http="h11",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        ),
        partial(say_ready, {"dashboard": url}),
    )
    pager = threading.Thread(
        target=_page, args=(config, analytics, url, stop), name="pager", daemon=True
    )
    pager.start()
    threading.Thread(target=_end_with, args=(server, stop, pager), daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))
    if not stop.is_set():
        raise Failure("the pager ended by itself; see its log line")
    pager.join()


class _Server(uvicorn.Server):
    """uvicorn, told when to stop by us and not by signals, and saying when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.dashboard.host else socket.AF_INET
    try:
        return socket.create_server((config.dashboard.host, config.dashboard.port), family=family)
    except OSError as error:
        raise Failure(f"cannot listen on {config.dashboard}: {error.strerror}") from error


def _page(config: Config, analytics: Analytics, url: str, stop: threading.Event) -> None:
    rules = config.alert_rules()
    if not rules:
        stop.wait()
        return
    channels: list[Channel] = [LogChannel(), *(webhook.channel() for webhook in config.webhooks)]
    try:
        store = AlertStore(alert_store(config))
        with analytics.in_passing() as passing:
            run_pager(passing, rules, channels, store, stop, dashboard_url=url)
    except Exception:
        log.exception("pager.failed")


def _end_with(server: uvicorn.Server, stop: threading.Event, pager: threading.Thread) -> None:
    """End the server when it is told to, and also when the pager has ended."""
    while pager.is_alive() and not stop.wait(POLL_SECONDS):
        pass
    server.should_exit = True
