"""`quietpager doctor`: what is wrong, and what to do about it."""

from typing import Annotated

import typer

from cli.options import ConfigPath, Data, Output
from cli.output import Format

MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
PROBLEMS = 1


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager doctor || quietpager doctor --format json")(doctor)


def doctor(
    data: Data = None,
    config: ConfigPath = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every unknown attribute, not only ten.")
    ] = False,
    form: Output = Format.table,
) -> None:
    """Look at sidecar, disk, journal, accounts, telemetry and alerts, and say what to do.

    Exit code 0: no problem, perhaps notes. 1: at least one problem.
    """
    import pyarrow as pa

    from cli.checks import examine
    from cli.load import load_config
    from cli.output import Column, write

    findings = list(examine(load_config(config, data=data), every=every))
    fields = ("check", "state", "found", "remedy")
    answer = pa.table(
        {name: pa.array([getattr(each, name) for each in findings], pa.string()) for name in fields}
    )
    shown = [
        Column("check", [each.check for each in findings]),
        Column("state", [MARKS[each.state] for each in findings]),
        Column("found", [each.found for each in findings]),
        Column("what to do", [each.remedy for each in findings]),
    ]
    write(answer, form, shown=shown)
    if any(each.state == "problem" for each in findings):
        raise typer.Exit(PROBLEMS)
