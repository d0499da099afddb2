"""`quietpager export`: telemetry as plain Parquet files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data, Since, Tenant


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager export --since 2026-11-01 --tenant acme handover/")(
        export
    )


def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the files go; made if need be.")
    ],
    since: Since = "7d",
    until: Annotated[
        str,
        typer.Option(help="Until when: a duration back from now, or a date.", metavar="WHEN"),
    ] = "0s",
    table: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this table; all when left out. May be repeated.",
            metavar="TABLE",
            show_default=False,
        ),
    ] = None,
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
) -> None:
    """Write the rows of a range of time to DIR, one Parquet file per table, each row once.

    All are of one moment of the table, whatever is received meanwhile; a file appears when it is
    whole. The columns are those of the lake (docs/reference/columns.md).
    """
    from cli.load import load_config
    from cli.options import read_when
    from cli.output import say
    from cli.rooms import one_line_errors, open_lake
    from lake import TABLES
    from lake import export as write_range

    now = datetime.now(UTC)
    begin, end = read_when("--since", since, now), read_when("--until", until, now)
    if begin >= end:
        raise Failure(f"--since {since!r} is not before --until {until!r}", 2)
    names = list(dict.fromkeys(table or TABLES))
    for name in names:
        if name not in TABLES:
            raise Failure(f"--table {name!r}: no such table; choose from {', '.join(TABLES)}", 2)
    settings = load_config(config, data=data)
    lake = open_lake(settings)
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = directory / f"{name}.parquet"
        say(f"writing {target}")
        with one_line_errors():
            rows = write_range(lake, name, target, since=begin, until=end, tenant=tenant)
        print(f"{target}  {rows:,} rows, {target.stat().st_size / 1e6:,.1f} MB")
