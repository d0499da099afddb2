"""`quietpager alerts`: what fires and what fired."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, Data, Output
from cli.output import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.alerts import Incident
    from cli.output import Column


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager alerts --limit 20")(alerts)


def alerts(
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """Show the latest alerts, those that fire among them, newest first."""
    import pyarrow as pa

    from analytics.alerts import AlertHistory
    from cli.load import load_config
    from cli.output import write
    from cli.rooms import alert_store, one_line_errors

    settings = load_config(config, data=data)
    with one_line_errors():
        incidents = AlertHistory(alert_store(settings)).history(limit)
    time = pa.timestamp("us", tz="UTC")
    answer = pa.table(
        {
            "fingerprint": pa.array([i.fingerprint for i in incidents], pa.string()),
            "rule": pa.array([i.rule for i in incidents], pa.string()),
            "tenant_id": pa.array([i.tenant_id for i in incidents], pa.string()),
            "condition": pa.array([i.condition for i in incidents], pa.string()),
            "severity": pa.array([i.severity for i in incidents], pa.string()),
            "started_at": pa.array([i.started_at for i in incidents], time),
            "resolved_at": pa.array([i.resolved_at for i in incidents], time),
            "summary": pa.array([i.summary for i in incidents], pa.string()),
            "resolution": pa.array([i.resolution for i in incidents], pa.string()),
        }
    )
    write(answer, form, shown=_shown(incidents, datetime.now(UTC)), empty="no alert has fired")


def _shown(incidents: "Sequence[Incident]", now: datetime) -> "list[Column]":
    from cli.figures import length
    from cli.output import Column

    def lasted(incident: "Incident") -> timedelta:
        return (incident.resolved_at or now) - incident.started_at

    return [
        Column("alert", [i.rule for i in incidents]),
        Column("tenant", [i.tenant_id or "all" for i in incidents]),
        Column("state", ["resolved" if i.resolved_at else "firing" for i in incidents]),
        Column("fired (UTC)", [f"{i.started_at:%Y-%m-%d %H:%M:%S}" for i in incidents]),
        Column("for", [length(lasted(i)) for i in incidents], right=True),
        Column("summary", [i.summary for i in incidents]),
    ]
