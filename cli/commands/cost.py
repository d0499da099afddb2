"""`quietpager cost`: who spent the money."""

from typing import Annotated

import typer

from cli.options import ConfigPath, Data, Output
from cli.output import Format


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager cost --by tenant,model --since 7d --format csv")(cost)


def cost(
    by: Annotated[
        str,
        typer.Option(
            help="What to break it down by, in this order: tenant, user, agent, feature, "
            "provider, model, day.",
            metavar="DIMENSION,...",
        ),
    ] = "tenant,model",
    since: Annotated[
        str,
        typer.Option(help="From when: a duration back from now, or a date.", metavar="WHEN"),
    ] = "7d",
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show what model calls cost.

    A model without a known price costs nothing that can be told: it is counted as unpriced.
    """
