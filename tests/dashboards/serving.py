"""The real dashboard on a real socket, over a real lake."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from analytics import Analytics, load_slos
from analytics.alerts import AlertHistory
from dashboards import create_app
from lake import Lake


def dashboard(data: Path) -> FastAPI:
    """The application over a data directory, with the shipped SLOs and prices."""
    return create_app(
        Analytics(Lake(data / "lake")),
        load_slos(None),
        AlertHistory(data / "state" / "alerts.sqlite"),
    )


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve on a free port of the loopback; gives the base URL."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server ended before it was ready"
        assert time.monotonic() < deadline, "the server did not start within 20 s"
        time.sleep(0.01)
    try:
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive(), "the server did not stop within 20 s"
