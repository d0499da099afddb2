"""`quietpager slo` and `quietpager slo check`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, SupportsFloat

import typer

from cli.options import ConfigPath, Data, Output, Tenant
from cli.output import Format

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from analytics import SloReport
    from cli.output import Column

BREACHED = 1
CANNOT_BE_EVALUATED = 2

Window = Annotated[
    str, typer.Option(help="How far back to look, e.g. 30m, 24h or 30d.", metavar="DURATION")
]

EXAMPLES = """Examples:

quietpager slo --window 7d --tenant acme

quietpager slo check --window 1h || echo "not now" """


def register(app: typer.Typer) -> None:
    commands = typer.Typer(invoke_without_command=True)
    commands.callback(epilog=EXAMPLES)(slo)
    commands.command("check", epilog="Example: quietpager slo check --window 1h --tenant acme")(
        check
    )
    app.add_typer(commands, name="slo")


def slo(
    context: typer.Context,
    window: Window = "24h",
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show each objective: where it stands, what is left of its error budget, on how many events.

    State: met (enough events are good and the value keeps its limit), breached, too few (fewer
    events than the objective asks for), unknown (nothing to count).
    """
    if context.invoked_subcommand is None:
        _report(window, tenant, data, config, form)


def check(
    window: Window = "24h",
    tenant: Tenant = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show the objectives and answer in the exit code.

    0: all are met. 1: at least one is breached. 2: none is breached, but not all can be evaluated.
    """
    from cli.failure import Failure
    from cli.output import say

    try:
        reports = _report(window, tenant, data, config, form)
    except Failure as failure:
        raise Failure(str(failure), CANNOT_BE_EVALUATED) from None
    breached = [r.slo.title for r in reports if r.state == "breached"]
    unsure = [r.slo.title for r in reports if r.state not in ("met", "breached")]
    if breached:
        say(f"breached: {'; '.join(breached)}")
        raise typer.Exit(BREACHED)
    if unsure or not reports:
        say(f"cannot be evaluated: {'; '.join(unsure) or 'there is no objective'}")
        raise typer.Exit(CANNOT_BE_EVALUATED)


def _report(
    window: str,
    tenant: str | None,
    data: "Path | None",
    config: "Path | None",
    form: Format,
) -> "Sequence[SloReport]":
    from analytics import evaluate_slo
    from cli.durations import parse_duration
    from cli.failure import Failure
    from cli.load import load_config
    from cli.output import write
    from cli.rooms import load_objectives, one_line_errors, open_analytics

    settings = load_config(config, data=data)
    try:
        length = parse_duration(window)
    except ValueError as error:
        raise Failure(f"--window {error}", 2) from None
    if not length:
        raise Failure(f"--window {window!r} is no time at all; write e.g. 24h", 2)
    now = datetime.now(UTC)
    with one_line_errors():
        objectives = load_objectives(settings)
        analytics = open_analytics(settings)
        reports = [
            evaluate_slo(analytics, objective, window=length, now=now, tenant=tenant)
            for objective in objectives
        ]
    write(_answer(reports), form, shown=_shown(reports), empty="no objective is defined")
    return reports


def _answer(reports: "Sequence[SloReport]") -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, tuple[list[object], pa.DataType]] = {
        "slo": ([r.slo.name for r in reports], pa.string()),
        "title": ([r.slo.title for r in reports], pa.string()),
        "tenant_id": ([r.tenant for r in reports], pa.string()),
        "window_seconds": ([r.window.total_seconds() for r in reports], pa.float64()),
        "state": ([r.state for r in reports], pa.string()),
        "value": ([_number(r.value) for r in reports], pa.float64()),
        "unit": ([r.unit for r in reports], pa.string()),
        "threshold": ([_number(r.threshold) for r in reports], pa.float64()),
        "better": ([r.better for r in reports], pa.string()),
        "target": ([_number(r.target) for r in reports], pa.float64()),
        "sli": ([_number(r.sli) for r in reports], pa.float64()),
        "good": ([r.good for r in reports], pa.int64()),
        "total": ([r.total for r in reports], pa.int64()),
        "excluded": ([r.excluded for r in reports], pa.int64()),
        "missing": ([r.missing for r in reports], pa.int64()),
        "budget_spent": ([_number(r.budget_spent) for r in reports], pa.float64()),
        "budget_left": ([_number(r.budget_left) for r in reports], pa.float64()),
        "burn_rate": ([_number(r.burn_rate) for r in reports], pa.float64()),
        "coverage": ([_number(r.coverage) for r in reports], pa.float64()),
    }
    return pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})


def _number(value: SupportsFloat | None) -> float | None:
    return None if value is None else float(value)


def _shown(reports: "Sequence[SloReport]") -> "list[Column]":
    from cli.figures import percent, plain
    from cli.output import Column

    return [
        Column("objective", [r.slo.title for r in reports]),
        Column("state", [r.state.replace("_", " ") for r in reports]),
        Column("value", [_value(r.value, r.unit) for r in reports], right=True),
        Column("limit", [_limit(r) for r in reports], right=True),
        Column("good", [percent(r.sli) for r in reports], right=True),
        Column("target", [percent(r.target) for r in reports], right=True),
        Column("budget left", [percent(r.budget_left) for r in reports], right=True),
        Column("events", [plain(r.total) for r in reports], right=True),
        Column("coverage", [percent(r.coverage) for r in reports], right=True),
    ]


def _limit(report: "SloReport") -> str:
    sign = "<" if report.better == "lower" else "≥"
    return f"{sign} {_value(report.threshold, report.unit)}"


def _value(value: float | None, unit: str) -> str:
    from cli.figures import milliseconds, money, percent

    match unit:
        case "ms":
            return milliseconds(value)
        case "USD":
            return money([value])[0]
    return percent(value)
