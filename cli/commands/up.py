"""`quietpager up`: the sidecar."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, Data

if TYPE_CHECKING:
    from cli.config import Config
    from cli.supervise import Child, Ready

ENDPOINTS = Path("state", "endpoints.json")
TITLES = {"otlp_http": "OTLP/HTTP", "otlp_grpc": "OTLP/gRPC", "dashboard": "Dashboard"}


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: quietpager up --data /var/lib/quietpager --dashboard 127.0.0.1:8321"
    )(up)


def up(
    data: Data = None,
    config: ConfigPath = None,
    otlp_http: Annotated[
        str | None,
        typer.Option(
            help="Where OTLP over HTTP is received; 127.0.0.1:4318 by default.",
            metavar="HOST:PORT",
            show_default=False,
        ),
    ] = None,
    otlp_grpc: Annotated[
        str | None,
        typer.Option(
            help="Where OTLP over gRPC is received; 127.0.0.1:4317 by default.",
            metavar="HOST:PORT",
            show_default=False,
        ),
    ] = None,
    dashboard: Annotated[
        str | None,
        typer.Option(
            help="Where the dashboard is served; 127.0.0.1:8321 by default.",
            metavar="HOST:PORT",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the sidecar: receive telemetry, keep it, serve the dashboard, send alerts.

    Prints one line per endpoint when it is ready. SIGTERM or Ctrl-C writes what was received and
    ends it; a second one ends it at once, without loss.
    """
    from cli.load import load_config
    from cli.lock import sole
    from ingest import log_json

    settings = load_config(
        config, data=data, otlp_http=otlp_http, otlp_grpc=otlp_grpc, dashboard=dashboard
    )
    settings = settings.model_copy(update={"data": settings.data.absolute()})
    log_json("supervisor")
    with sole(settings.data, "sidecar"):
        drained = asyncio.run(_supervise(_with_ports(settings)))
    raise typer.Exit(0 if drained else 1)


def _with_ports(settings: "Config") -> "Config":
    """``settings`` with every port known and free, so that a restarted process finds its own."""
    from cli.addresses import Unavailable, reserve
    from cli.failure import Failure

    reserved = {}
    for name in TITLES:
        option = name.replace("_", "-")
        try:
            reserved[name] = reserve(wanted := getattr(settings, name))
        except Unavailable as error:
            raise Failure(
                f"{TITLES[name]} cannot listen on {wanted}: {error}; choose another with "
                f"--{option} HOST:PORT"
            ) from None
        taken = [other for other in TITLES if reserved.get(other) == reserved[name]]
        if taken != [name]:
            raise Failure(
                f"--{option} {wanted}: {TITLES[taken[0]]} listens there; choose another port", 2
            )
    return settings.model_copy(update=reserved)


async def _supervise(settings: "Config") -> bool:
    from cli.supervise import kill, supervise

    children = _children(settings)
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            kill(children)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return await supervise(children, partial(_tell_endpoints, settings.data), stop)


def _children(settings: "Config") -> "list[Child]":
    """The processes in the order in which they drain: what one has written the next can read."""
    from cli.supervise import Child

    whole = settings.model_dump_json(exclude_unset=True)
    # Rules, webhooks and prices are the reader's: the others need not load what checks them.
    plain = settings.model_dump_json(exclude={"alerts", "webhooks", "prices", "slo", "dashboard"})
    return [
        Child(role, (sys.executable, "-m", "cli.process", role), told, drain_seconds)
        for role, told, drain_seconds in (
            ("receiver", plain, 20),
            ("writer", plain, 60),
            ("reader", whole, 20),
        )
    ]


def _tell_endpoints(data: Path, ready: "Mapping[str, Ready]") -> None:
    """Print them, and leave them where `quietpager doctor` finds them."""
    said = {name: url for endpoints in ready.values() for name, url in endpoints.items()}
    (data / ENDPOINTS).write_text(json.dumps(said))
    for name, title in TITLES.items():
        print(f"{title}  {said[name]}", flush=True)
