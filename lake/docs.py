"""The columns of the lake as Markdown: `python -m lake.docs > docs/reference/columns.md`."""

import sys
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from lake.agent_columns import INHERITED
from lake.column import ATTRIBUTES, Column, TableSchema
from lake.mapping import ANY, MEMBER, AttributeMap, Cached, Sender, Source
from lake.mapping_file import SHIPPED
from lake.schema import HINTS, TABLES

_PREAMBLE = """\
# Columns of the lake

The tables behind the views `spans`, `logs` and `metrics`, and where their columns come from. The
mapping is data: `lake/mapping.toml`, which this page is written from. Rows of your own in
`quietpager.toml` ([configuration](configuration.md)) come before it.

A value that does not fit the type is NULL; the attribute itself stays in `attributes`.
"""
_SOURCES = """\
## Sources

For each column in the order in which they are tried; the first that has a value wins. Without a
place it is an attribute of the span, log record or data point. An attribute and `→` is a member of
the JSON object in it.
"""
_WHOSE = """\
Whose a record is (%s): what it says itself comes first, then what a span above it says, then its
resource, then what is marked as hearsay. There %s name nobody, nor does a text that is
empty or all space.
"""
_KINDS = """\
## Kinds of work

`span_class` by the operation, or by the name of a span or the event of a log record. What is not
here is `node` if it names a node, and `other` if not.
"""
_SENDERS = """\
## Senders

Libraries of which a name means something else than from others, by instrumentation scope or name.
"""
_ENDINGS = """\
## Endings

Believed in this order: `outcome` as stated, in a word that is here, in upper or lower case; an
interrupt or a success, by the class of the error without its module; a finish reason that is here;
of a server's span the HTTP status it answered with (`http_status`), if that is here as the class of
an interrupt or one of the 500s; what the sender says in words of its own (`reported_outcome`); the
status of the span, unless its sender says OK before the end; an error that a model or tool call
without a status tells, and nothing of an answer. A model call without the signs that its sender
gives of every whole response, a finish reason, usage or a status of OK, was cut: `incomplete`, and
an error unless only its caller can have left.
"""
_PARTS = {
    "first": ", the first",
    "head": " up to its first slash",
    "json": " as JSON",
    "stem": " up to its last dot",
    "tail": " after its first slash",
}
_COUNTS: Mapping[Cached, str] = {
    "inclusive": "",
    "exclusive": " (without {})",
    "by_total": " (without {}, unless the total is the sum of both)",
}


def reference(mapping: AttributeMap = SHIPPED) -> str:
    """The whole page, generated from contract and mapping alone."""
    parts = [
        _PREAMBLE,
        *(_table(table) for table in TABLES.values()),
        _SOURCES,
        _WHOSE % (_codes(INHERITED), _codes(sorted(mapping.not_names))),
        *_sources(mapping),
        _KINDS,
        _grid(("what", "by", "is", "dialect"), _kind_rows(mapping)),
        _SENDERS,
        _grid(("sender", "recognised by", "peculiar"), map(_sender, mapping.senders)),
        _ENDINGS,
        _grid(
            ("outcome", "reason", "stated as", "error class", "finish reason", "only of", "whose"),
            _ending_rows(mapping),
        ),
        "## Providers\n",
        f"Frameworks that are none: {_codes(sorted(mapping.not_providers))}. Renamed are:\n",
        _grid(
            ("sent", "stored"), ([f"`{a}`", f"`{b}`"] for a, b in mapping.provider_names.items())
        ),
        "## First token\n",
        "Span events that mark a token; the first is the first token of its span.\n",
        _grid(("event", "dialect"), ([f"`{e}`", d] for e, d in mapping.first_token_events)),
        "## Dialects\n",
        _grid(("dialect", "where its names come from"), map(list, mapping.dialects.items())),
    ]
    return "\n".join(parts)


def _table(table: TableSchema) -> str:
    head = f"## {table.name}\n\n{table.meaning}. Rows are placed in a day by `{table.time}`.\n"
    rows = ([f"`{c.name}`", _type(c.type), c.unit, c.meaning] for c in table.columns)
    return f"{head}\n{_grid(('column', 'type', 'unit', 'meaning'), rows)}"


def _sources(mapping: AttributeMap) -> Iterator[str]:
    columns: dict[str, Column] = {}
    for each in (*(c for table in TABLES.values() for c in table.columns), *HINTS):
        columns.setdefault(each.name, each)
    for name, column in columns.items():
        if sources := mapping.of(name):
            unit = f", in {column.unit}" if column.unit else ""
            yield f"### {name}\n\n{column.meaning}{unit}.\n"
            yield _grid(("source", "only", "dialect", "note"), map(_source, sources))


def _source(source: Source) -> list[str]:
    places = {
        "resource": "resource ", "name": "the span's ", "event": f"event {source.event} ",
        "body": f"event {source.event}'s ",
    }  # fmt: skip
    place = places.get(source.on, "")
    member = f" → `{source.member}`" if source.member else ""
    unit = f", {source.unit}" if source.unit else ""
    part = _PARTS.get(source.take, "")
    values = ", ".join(f"{_any_or(said)} = {meant or 'nothing'}" for said, meant in source.values)
    said = [
        f" ({values})" if values else "",
        _COUNTS[source.cached].format("cached"),
        _COUNTS[source.reasoning].format("reasoning"),
    ]
    name = f"{place}`{source.attribute}`{member}{unit}{part}{''.join(said)}"
    return [name, "; ".join(_conditions(source)), source.dialect, source.note]


def _any_or(value: str) -> str:
    return "any" if value == ANY else value


def _conditions(source: Source) -> Iterator[str]:
    if source.sender:
        yield f"from {source.sender}"
    if source.unless:
        yield f"not from {source.unless}"
    for key, pattern in source.when:
        attribute, _, member = key.partition(MEMBER)
        name = f"`{attribute}`" + (f" → `{member}`" if member else "")
        yield f"{name} is given" if pattern == "*" else f"{name} is `{pattern}`"
    if source.hearsay:
        yield "hearsay"
    if source.ignore:
        yield f"not {_codes(source.ignore)}"


def _kind_rows(mapping: AttributeMap) -> Iterator[list[str]]:
    for kind in mapping.kinds:
        yield [f"`{kind.name}`", kind.by or "operation or name", kind.span_class, kind.dialect]


def _sender(sender: Sender) -> list[str]:
    by = (
        " and ".join(f"{what} `{pattern}`" for what, pattern in
                     (("scope", match.scope), ("name", match.name),
                      ("version before", match.before), ("version from", match.since)) if pattern)
        for match in sender.match
    )  # fmt: skip
    peculiar = [] if sender.knows_durations else ["a duration of 0 is unknown"]
    if sender.rest_is_reasoning:
        peculiar.append("what its total has beside input and output is reasoning")
    if sender.answers_apart:
        peculiar.append(f"tells a streamed answer of {_codes(sender.answers_apart)} apart")
    if not sender.ok_is_final:
        peculiar.append("says OK before the end: an error that it tells with it is one")
    if sender.finishes:
        peculiar.append(
            f"tells a whole response of {_codes(sender.finishes)} by {_codes(sender.tells)}; "
            f"else {sender.cut}"
        )
    return [sender.name, " or ".join(by), "; ".join(peculiar)]


def _ending_rows(mapping: AttributeMap) -> Iterator[list[str]]:
    for each in mapping.endings:
        yield [
            each.outcome, each.reason, _codes(each.said), _codes(each.errors),
            _codes(each.finishes), _codes(each.span_class), each.note,
        ]  # fmt: skip


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _grid(head: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _type(kind: pa.DataType) -> str:
    """As DuckDB calls it."""
    names = {
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        ATTRIBUTES: "MAP(VARCHAR, VARCHAR)",
    }
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"STRUCT({', '.join(_fields(kind))})"
    return names[kind]


def _fields(struct: pa.StructType) -> Iterator[str]:
    return (f'"{field.name}" {_type(field.type)}' for field in struct)


if __name__ == "__main__":
    sys.stdout.write(reference())
