"""`quietpager up`: the sidecar."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, Data

if TYPE_CHECKING:
    from cli.config import Config


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
    from cli.sidecar import become

    settings = load_config(
        config, data=data, otlp_http=otlp_http, otlp_grpc=otlp_grpc, dashboard=dashboard
    )
    settings = settings.model_copy(update={"data": settings.data.absolute()})
    with sole(settings.data, "sidecar"):
        settings = _with_ports(settings)
    # Rules, webhooks and prices are the reader's: the others need not load what checks them.
    plain = settings.model_dump_json(exclude={"alerts", "webhooks", "prices", "slo", "dashboard"})
    whole = settings.model_dump_json(exclude_unset=True)
    become(settings.data, {"receiver": plain, "writer": plain, "reader": whole})


def _with_ports(settings: "Config") -> "Config":
    """``settings`` with every port known and free, so that a restarted process finds its own."""
    from cli.addresses import Unavailable, reserve
    from cli.failure import Failure
    from cli.sidecar import TITLES

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
