"""Options that several commands share."""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
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
    return read_when("--since", text, now)


def read_when(option: str, text: str, now: datetime) -> datetime:
    """The point of time that an option means. :raises Failure: when it means none."""
    try:
        return parse_since(text, now)
    except ValueError as error:
        raise Failure(f"{option} {error}", 2) from None


def read_by(text: str, dimensions: Mapping[str, str]) -> list[str]:
    """The dimensions that ``--by`` names, in its order. :raises Failure: when one is unknown."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in dimensions:
            near = get_close_matches(name, dimensions, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"choose from {', '.join(dimensions)}"
            raise Failure(f"--by {text!r}: unknown dimension {name!r}; {remedy}", 2)
    return list(dict.fromkeys(names))
