"""`quietpager cost`: who spent the money."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import ConfigPath, Data, Output, Since, Tenant
from cli.output import Format

DIMENSIONS = {
    "tenant": "tenant_id",
    "user": "user_id",
    "agent": "agent_name",
    "feature": "feature",
    "provider": "provider",
    "model": "model",
    "day": "day",
}
FIGURES = {
    "runs": "runs",
    "calls": "calls",
    "input_tokens": "input tokens",
    "cache_read_tokens": "of these cached",
    "output_tokens": "output tokens",
    "cost_usd": "cost",
    "unpriced_calls": "unpriced calls",
}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager cost --by tenant,model --since 7d --format csv")(cost)


def cost(
    by: Annotated[
        str,
        typer.Option(
            help=f"What to break it down by, in this order: any of {', '.join(DIMENSIONS)}.",
            metavar="DIMENSION,...",
        ),
    ] = "tenant,model",
    since: Since = "7d",
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show what model calls cost, the dearest first.

    Calls of a model without a known price are counted as unpriced, and their cost is not shown as
    zero. Tell prices of your own in quietpager.toml; they hold for past days, too.
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
            "cost/by", since=begin, until=now, tenant=tenant, by=",".join(dimensions)
        )
    named = {DIMENSIONS[name]: name for name in dimensions}
    figures = [column for column in answer.column_names if column not in DIMENSIONS.values()]
    answer = answer.select([*named, *figures])
    write(answer, form, shown=columns_of(answer, named | FIGURES), empty="no model was called")
