"""`quietpager demo`: the whole pipeline on live agent traffic."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager demo --once")(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the answers are printed.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Keep the data in DIR, which must be empty; a temporary directory when left out.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Watch agents at work for a minute: SLOs, tool errors, cost, and an alert that fires.

    Starts the sidecar, a local model vendor and an agent that serves several tenants, lets one
    tenant's first token become slow and well again, and prints the answers. Needs no network.
    """
    from cli.failure import Failure
    from demo import DemoFailed, run_demo

    try:
        run_demo(data=data, once=once)
    except DemoFailed as error:
        raise Failure(str(error)) from None
