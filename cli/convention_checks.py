"""What `quietpager doctor` sees of the conventions that the telemetry follows, or does not."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.config import Config
from cli.figures import length
from cli.finding import WINDOW, Finding
from cli.rooms import open_analytics

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 10
"""Names and services that are told one by one."""


def content(config: Config) -> Iterator[Finding]:
    """Whether prompts and answers came as far as ingest, which dropped them."""
    from ingest import dropped_content

    hours = int(WINDOW.total_seconds()) // 3600
    dropped = dropped_content(config.data, hours)
    if not dropped:
        yield Finding("content", "ok", f"none came as far as ingest in {length(WINDOW)}")
    for service, count in list(dropped.items())[:SHOWN]:
        found = f"content was dropped {count:,} times from {service!r} in {length(WINDOW)}"
        remedy = "switch off content capture in it, or send through the collector"
        yield Finding("content", "note", found, remedy)
    if len(dropped) > SHOWN:
        yield Finding("content", "note", f"and from {len(dropped) - SHOWN} more services")


def corrected(config: Config) -> Iterator[Finding]:
    """Sources whose cached tokens are not part of their input tokens; ingest added them."""
    sources = config.attribute_map().placed("input_tokens", "record")
    names = [source.attribute for source in sources if not source.member]
    for row in _asked(config, "doctor/corrected_input", input_names=names).to_pylist():
        found = (
            f"{row['corrected']:,} calls of {_scope(row)} state more cached tokens than input, "
            f"e.g. {row['span_name']!r}: they were added to it"
        )
        remedy = "compare with the provider's bill; report it if the input had them already"
        yield Finding("tokens", "note", found, remedy)


def unknown(config: Config, *, every: bool = False) -> Iterator[Finding]:
    """Attributes of agent telemetry that no column is taken from and nobody has looked at."""
    from ingest import known_names

    known = known_names(config.attribute_map())
    prefixes = list(known.prefixes)
    rows = _asked(
        config, "doctor/unknown_attributes", prefixes=prefixes, known=known.pattern
    ).to_pylist()
    if not rows:
        yield Finding("attributes", "ok", "every name of agent telemetry is known")
    shown = rows if every else rows[:SHOWN]
    for row in shown:
        found = (
            f"{row['attribute']!r} is unknown: {_where(row)}"
            f"{', e.g. ' + repr(row['example']) if row['example'] else ''}"
        )
        remedy = "it is kept in attributes; report it, or map it to a column"
        yield Finding("attributes", "note", found, remedy)
    if len(rows) > len(shown):
        found = f"{len(rows) - len(shown)} more names are unknown"
        yield Finding("attributes", "note", found, "quietpager doctor --all lists them")


def _asked(config: Config, question: str, **params: object) -> "pa.Table":
    now = datetime.now(UTC)
    return open_analytics(config).ask(question, since=now - WINDOW, until=now, **params)


_PLACES = {
    "span": "on {} spans",
    "span event": "on {} events of spans",
    "log record": "on {} log records",
    "log body": "in the bodies of {} log records",
    "data point": "on {} data points",
    "resource": "on the resource of {} records",
}


def _where(row: dict[str, Any]) -> str:
    """How often it was met, and of whom."""
    place = _PLACES[row["place"]].format(f"{row['records']:,}")
    return place if row["place"] == "resource" else f"{place} of {_scope(row)}"


def _scope(row: dict[str, object]) -> str:
    return repr(row["scope_name"]) if row["scope_name"] else "a scope without a name"
