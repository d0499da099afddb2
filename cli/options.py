"""Options that several commands share."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.durations import parse_since
from cli.failure import Failure
from cli.output import Format

Data = Annotated[
    Path | None,
    typer.Option(
        help="Data directory; else QUIETPAGER_DATA, else the configuration, else .quietpager.",
        metavar="DIR",
        show_default=False,
    ),
]
ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Configuration file; else QUIETPAGER_CONFIG, else quietpager.toml if it is there.",
        metavar="FILE",
        show_default=False,
    ),
]
Output = Annotated[Format, typer.Option("--format", help="How the answer is written.")]
Tenant = Annotated[
    str | None,
    typer.Option(help="Only this tenant; all when left out.", metavar="TENANT", show_default=False),
]
Since = Annotated[
    str,
    typer.Option(help="From when: a duration back from now, or a date.", metavar="WHEN"),
]


def read_since(text: str, now: datetime) -> datetime:
    """The point of time that ``--since`` means. :raises Failure: when it means none."""
    try:
        return parse_since(text, now)
    except ValueError as error:
        raise Failure(f"--since {error}", 2) from None
