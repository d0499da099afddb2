"""`quietpager tools`: which tools fail."""

from datetime import UTC, datetime

import typer

from cli.options import ConfigPath, Data, Output, Since, Tenant
from cli.output import Format


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager tools --since 24h --tenant acme")(tools)


def tools(
    since: Since = "7d",
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show how often each tool was called and how often it failed, the worst first."""
    from cli.load import load_config
    from cli.options import read_since
    from cli.output import write
    from cli.rooms import one_line_errors, open_analytics

    settings = load_config(config, data=data)
    now = datetime.now(UTC)
    begin = read_since(since, now)
    with one_line_errors():
        answer = open_analytics(settings).ask(
            "tools/error_rate", since=begin, until=now, tenant=tenant
        )
    write(answer, form, empty="no tool was called")
