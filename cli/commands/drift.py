"""`quietpager drift`: where spans and log lines do not tell the same."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.options import ConfigPath, Data, Output, Since, Tenant
from cli.output import Format

DRIFT = 1
CANNOT_SAY = 2
FIGURES = {
    "run_id": "run",
    "tenant_id": "tenant",
    "agent_name": "agent",
    "started_at": "started (UTC)",
    "seen_in": "seen in",
    "reason": "why",
}


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager drift --since 1h || echo 'look at the collector'")(
        drift
    )


def drift(
    since: Since = "24h",
    tenant: Tenant = None,
    tolerance: Annotated[
        str,
        typer.Option(help="How much durations of a run may differ.", metavar="DURATION"),
    ] = "1s",
    limit: Annotated[int, typer.Option(min=1, help="How many runs, newest first.")] = 100,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show runs that only one of spans and log lines tell of, and runs they tell differently.

    An agent may send both: a run is counted once, by its spans where they came. Seen in logs only:
    the trace was sampled away or lost, or the agent does not trace. Seen in spans only: lines were
    lost, or the agent writes none. Seen in both: outcome, duration, model calls or tokens differ.

    Where no run at all left lines, or none spans, there is nothing to compare: it says so, and that
    is no drift.

    Exit code 0: no drift. 1: drift was found. 2: cannot be said, as when there was no run.
    """
    from cli.failure import Failure

    try:
        found, runs = _compare(since, tenant, tolerance, limit, data, config, form)
    except Failure as failure:
        raise Failure(str(failure), CANNOT_SAY) from None
    if found:
        raise typer.Exit(DRIFT)
    if not runs:
        raise Failure(f"there was no run since {since}, so nothing to compare", CANNOT_SAY)


def _compare(
    since: str,
    tenant: str | None,
    tolerance: str,
    limit: int,
    data: Data,
    config: ConfigPath,
    form: Format,
) -> tuple[int, int]:
    """How many runs drift, and how many there are; writes the answer."""
    import pyarrow as pa

    from cli.load import load_config
    from cli.options import read_since
    from cli.output import columns_of, say, write
    from cli.rooms import one_line_errors, open_analytics

    now = datetime.now(UTC)
    window = {"since": read_since(since, now), "until": now}
    allowed = _tolerance(tolerance)
    settings = load_config(config, data=data)
    with one_line_errors():
        analytics = open_analytics(settings).pinned()
        sides = [
            analytics.ask("drift/one_sided", tenant=tenant, **window),
            analytics.ask(
                "drift/disagreeing",
                tenant=tenant,
                tolerance_ms=allowed / timedelta(milliseconds=1),
                **window,
            ),
        ]
        (seen,) = analytics.ask("drift/runs", tenant=tenant, **window).to_pylist()
    answer = pa.concat_tables(sides, promote_options="default")
    answer = answer.sort_by([("started_at", "descending"), ("run_id", "ascending")])
    if alone := _only_source(seen, since):
        answer = answer.slice(0, 0)
        if form is not Format.table:
            say(alone)
    shown = answer.slice(0, limit)
    empty = alone or "spans and logs tell the same"
    write(shown, form, shown=columns_of(shown, FIGURES), empty=empty)
    if len(shown) < len(answer):
        say(f"{len(answer) - len(shown)} more runs drift; see them with --limit {len(answer)}")
    return len(answer), seen["runs"]


def _only_source(seen: Mapping[str, Any], since: str) -> str:
    """What is there where only one source is; empty where both are, or neither."""
    if seen["with_spans"] == seen["with_lines"]:
        return ""
    here, missing = ("spans", "line") if seen["with_spans"] else ("lines", "span")
    return f"only {here} came since {since}, no {missing} of any run: there is nothing to compare"


def _tolerance(text: str) -> timedelta:
    from cli.durations import parse_duration
    from cli.failure import Failure

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Failure(f"--tolerance {error}", CANNOT_SAY) from None
