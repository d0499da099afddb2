"""`quietpager tools`: which tools fail."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import ConfigPath, Data, Output, Since, Tenant
from cli.output import Format

DIMENSIONS = {
    "tool": "tool_name",
    "tenant": "tenant_id",
    "agent": "agent_name",
    "error": "error_class",
}
FIGURES = {
    "calls": "calls",
    "errors": "errors",
    "error_rate": "error rate",
    "runs": "runs",
    "surfaced": "reached the user",
    "surfaced_rate": "of runs",
}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager tools --by tool,tenant --since 24h")(tools)


def tools(
    by: Annotated[
        str,
        typer.Option(
            help=f"What to break it down by, in this order: any of {', '.join(DIMENSIONS)}.",
            metavar="DIMENSION,...",
        ),
    ] = "tool",
    since: Since = "7d",
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show how often tools were called and failed, the most errors first.

    An error reached the user when the last call of the tool in a run failed: the agent did not
    make up for it.
    """
    from cli.load import load_config
    from cli.options import read_by, read_since
    from cli.output import columns_of, write
    from cli.rooms import one_line_errors, open_analytics

    dimensions = read_by(by, DIMENSIONS)
    now = datetime.now(UTC)
    begin = read_since(since, now)
    settings = load_config(config, data=data)
    with one_line_errors():
        answer = open_analytics(settings).ask(
            "tools/error_rate", since=begin, until=now, tenant=tenant, by=",".join(dimensions)
        )
    named = {DIMENSIONS[name]: name for name in dimensions}
    figures = [column for column in answer.column_names if column not in DIMENSIONS.values()]
    answer = answer.select([*named, *figures])
    write(answer, form, shown=columns_of(answer, named | FIGURES), empty="no tool was called")
