"""Decoded OTLP requests into rows of the lake: promoted columns and what is derived from them.

Derived here: what kind of work a span is (`span_class`), when it happened and how long it took,
and the identity of a log record (`log_id`).
"""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ingest.bodies import in_bodies, named_id, with_lines
from ingest.decode import Decoded, text_of
from ingest.events import SpanEvents
from ingest.limits import shortened
from ingest.origin import digests_of, joined, pieces, placed_in_time, table_of
from ingest.outcome import class_in, log_outcome, presentable, span_outcome
from ingest.pairs import Pairs
from ingest.promote import pairs_of, promote, promoted
from ingest.senders import Senders
from ingest.usage import whole_counts
from ingest.vectors import (
    elapsed_ms,
    fields_of,
    hex_of,
    list_of,
    matches,
    names_of,
    nulls,
    offsets_of,
    or_null,
    time_of,
    where,
)
from lake.agent_columns import AGENT_COLUMNS
from lake.mapping import AttributeMap
from lake.mapping_file import SHIPPED
from lake.schema import LOG_NUMBERS, LOGS, MAPPED, SPANS

_SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_EVENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$"
_LAST_STEP = r"\.(?P<last>[A-Za-z0-9_]+)$"
_LONGEST_TTFB_MS = 86_400_000.0
"""A day; what took longer is no measurement."""

_AGENT = tuple(column for column in AGENT_COLUMNS if column.name in MAPPED)
_HINTS = (MAPPED["reported_outcome"], MAPPED["total_tokens"], MAPPED["tool_use_tokens"])
_OF_SPANS = (*_AGENT, *_HINTS, MAPPED["http_status"], MAPPED["first_token_time"])
_OF_LOGS = (*_AGENT, *_HINTS, *LOG_NUMBERS)


def span_rows(decoded: Decoded, mapping: AttributeMap = SHIPPED) -> Iterator[pa.Table]:
    """Rows of the lake table `spans`."""
    return (_span_rows(piece, mapping) for piece in pieces(decoded))


def log_rows(decoded: Decoded, mapping: AttributeMap = SHIPPED) -> Iterator[pa.Table]:
    """Rows of the lake table `logs`."""
    return (_log_rows(piece, mapping) for piece in pieces(decoded))


def _span_rows(decoded: Decoded, mapping: AttributeMap) -> pa.Table:
    field = fields_of(decoded.rows)
    start, end = field("start_time_unix_nano"), field("end_time_unix_nano")
    status = names_of(pc.struct_field(decoded.rows, ["status", "code"]), _STATUSES)
    status_message = or_null(pc.struct_field(decoded.rows, ["status", "message"]))
    kind = names_of(field("kind"), _SPAN_KINDS)
    own, senders = pairs_of(decoded.attributes, mapping), Senders(mapping, decoded, field("name"))
    events = SpanEvents.of(field("events"), mapping)
    columns = promoted(decoded, _OF_SPANS, mapping, own, senders, of_events=events.columns)
    columns |= shortened(columns)
    columns["provider"] = _renamed(columns["provider"], mapping)
    columns["span_class"] = _span_class(columns, field("name"), mapping, _a_node(columns))
    columns["span_class"] = _without_askers(columns, status, mapping, senders)
    columns |= _errors(columns, where(pc.equal(status, "error"), status_message))
    columns |= span_outcome(columns, status, kind, mapping, senders)
    columns["ttfb_ms"] = _first_token_ms(columns, start, events)
    columns["streaming"] = _streaming(columns)
    columns |= whole_counts(columns, own, mapping, senders)
    columns |= {
        **placed_in_time(time_of(start), time_of(end), decoded),
        "trace_id": hex_of(field("trace_id"), 16),
        "span_id": hex_of(field("span_id"), 8),
        "parent_span_id": hex_of(field("parent_span_id"), 8),
        "name": field("name"),
        "kind": kind,
        "end_time": time_of(end),
        "duration_ms": _known_duration(elapsed_ms(start, end), mapping, senders),
        "status": status,
        "status_message": status_message,
        "events": events.lists,
        "links": _links(field("links")),
    }
    columns["start_time"] = columns.pop("time")
    return table_of(SPANS.arrow, decoded, columns, mapping)


def _log_rows(decoded: Decoded, mapping: AttributeMap) -> pa.Table:
    field = fields_of(decoded.rows)
    observed = time_of(field("observed_time_unix_nano"))
    body = text_of(field("body"))
    own = pairs_of(decoded.attributes, mapping)
    event = _event(field("event_name"), own, body, mapping)
    if (told := with_lines(own, body, event, mapping)) is not own:
        own, event = told, _event(field("event_name"), told, body, mapping)
    senders = Senders(mapping, decoded, event)
    columns = promoted(decoded, _OF_LOGS, mapping, own, senders)
    for name, values in in_bodies(body, event, mapping).items():
        columns[name] = pc.coalesce(columns[name], values)
    columns |= shortened(columns)
    columns["provider"] = _renamed(columns["provider"], mapping)
    columns["span_class"] = _span_class(columns, event, mapping, nulls(len(event)))
    columns |= log_outcome(columns, event, mapping)
    columns |= {
        **placed_in_time(time_of(field("time_unix_nano")), observed, decoded),
        "observed_time": observed,
        "severity": pc.utf8_lower(or_null(field("severity_text"))),
        "severity_number": where(pc.greater(field("severity_number"), 0), field("severity_number")),
        "body": body,
        "event_name": event,
        "trace_id": pc.coalesce(hex_of(field("trace_id"), 16), named_id(own, "trace_id", 32)),
        "span_id": pc.coalesce(hex_of(field("span_id"), 8), named_id(own, "span_id", 16)),
        "error_message": presentable(columns["error_message"]),
        "ttfb_ms": _plausible(columns["ttfb_ms"]),
        **whole_counts(columns, own, mapping, senders),
    }
    columns["log_id"] = _log_ids(decoded, columns)
    return table_of(LOGS.arrow, decoded, columns, mapping)


def _event(sent: pa.Array, own: Pairs, body: pa.Array, mapping: AttributeMap) -> pa.Array:
    """OpenTelemetry's event name, else the attribute, else a body that is a dotted name or one
    that the user says the kind of.

    Of an attribute and a body that ends with it the body is the whole name: Claude Code sends both.
    """
    attribute = promote(own, (MAPPED["event"],), mapping)["event"]
    a_name = pc.or_(matches(body, _EVENT_NAME), pc.is_in(body, mapping.own_names))
    named = where(a_name, body)
    if attribute.null_count < len(attribute):
        whole = pc.equal(pc.struct_field(pc.extract_regex(named, _LAST_STEP), "last"), attribute)
        attribute = pc.if_else(pc.fill_null(whole, fill_value=False), named, attribute)
    return pc.coalesce(or_null(sent), attribute, named)


def _renamed(provider: pa.Array, mapping: AttributeMap) -> pa.Array:
    """Providers by the names of OpenTelemetry's registry, which are in lower case."""
    encoded = provider.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    lower = [name.lower() for name in names]
    renamed = pa.array([mapping.provider_names.get(name, name) for name in lower], pa.string())
    if renamed.equals(encoded.dictionary):
        return provider
    return renamed.take(encoded.indices)


def _span_class(
    columns: Mapping[str, pa.Array], name: pa.Array, mapping: AttributeMap, otherwise: pa.Array
) -> pa.Array:
    """From the operation, else the name."""
    said = {"operation": columns["operation"], "name": name}
    found = [classes.take(pc.index_in(said[by], names)) for by, names, classes in mapping.classes]
    return pc.coalesce(*found, otherwise, pa.scalar("other"))


def _a_node(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Spans that name a node are about it; a line may just have been written in it."""
    return where(pc.is_valid(columns["node"]), pa.repeat("node", len(columns["node"])))


def _without_askers(
    columns: Mapping[str, pa.Array], status: pa.Array, mapping: AttributeMap, senders: Senders
) -> pa.Array:
    """Classes, but none for a span that only asks, whose sender tells a streamed answer apart."""
    classes = columns["span_class"]
    for sender in mapping.senders:
        if sender.answers_apart and (ours := senders.of(sender.name)) is not None:
            call = pc.is_in(columns["operation"], pa.array(sender.answers_apart))
            answer = pc.coalesce(columns["response_id"], columns["output_tokens"].cast(pa.string()))
            silent = pc.and_(pc.is_null(answer), pc.not_equal(status, "error"))
            asks = pc.and_(pa.array(ours), pc.and_(call, silent))
            classes = pc.if_else(asks, "other", classes)
    return classes


def _errors(columns: Mapping[str, pa.Array], status_message: pa.Array) -> dict[str, pa.Array]:
    """Class and message; without a message what the status of a failed span says."""
    message = pc.coalesce(columns["error_message"], status_message)
    return {
        "error_class": class_in(columns["error_class"], message),
        "error_message": presentable(message),
    }


def _first_token_ms(
    columns: Mapping[str, pa.Array], start: pa.Array, events: SpanEvents
) -> pa.Array:
    """From an attribute, else from the time of the first token, as an attribute or as an event.

    NULL of what was not streamed: OpenLIT and LiteLLM tell when the whole answer was there.
    """
    moment = columns["first_token_time"]
    by_time = (
        nulls(len(moment)).cast(pa.float64())
        if moment.null_count == len(moment)
        else pc.divide(
            pc.subtract(moment.cast(pa.int64()), time_of(start).cast(pa.int64())).cast(
                pa.float64(), safe=False
            ),
            1e3,
        )
    )
    stated, by_event = columns["ttfb_ms"], elapsed_ms(start, events.first_token)
    first = pc.coalesce(_plausible(stated), _plausible(by_time), _plausible(by_event))
    return where(pc.fill_null(columns["streaming"], fill_value=True), first)


def _plausible(milliseconds: pa.Array) -> pa.Array:
    """NULL for 0, which says that nobody measured, for less, and for more than a day."""
    if milliseconds.null_count == len(milliseconds):
        return milliseconds
    measured = pc.and_(pc.greater(milliseconds, 0.0), pc.less_equal(milliseconds, _LONGEST_TTFB_MS))
    return where(measured, milliseconds)


def _streaming(columns: Mapping[str, pa.Array]) -> pa.Array:
    """As said; else a model call with a first token was streamed."""
    streamed = pc.and_(pc.is_valid(columns["ttfb_ms"]), pc.equal(columns["span_class"], "llm"))
    return pc.coalesce(columns["streaming"], where(streamed, streamed))


def _known_duration(milliseconds: pa.Array, mapping: AttributeMap, senders: Senders) -> pa.Array:
    """NULL where begin and end are the same because the sender knows neither."""
    for sender in mapping.senders:
        if not sender.knows_durations and (ours := senders.of(sender.name)) is not None:
            lie = pc.and_(pa.array(ours), pc.equal(milliseconds, 0.0))
            milliseconds = where(pc.invert(pc.fill_null(lie, fill_value=False)), milliseconds)
    return milliseconds


def _links(lists: pa.ListArray) -> pa.Array:
    flat = lists.flatten()
    structs = pa.StructArray.from_arrays(
        [
            hex_of(pc.struct_field(flat, "trace_id"), 16),
            hex_of(pc.struct_field(flat, "span_id"), 8),
        ],
        names=["trace_id", "span_id"],
    )
    return list_of(offsets_of(lists), structs)


def _log_ids(decoded: Decoded, columns: Mapping[str, pa.Array]) -> pa.Array:
    """The identity of each log record: its content and origin, not when it was observed.

    A collector that reads a file again after a crash observes the same line at another time, and
    has its attributes in another order. Of a record that came without any time only the day counts:
    sent again among others it is received at another time.
    """
    time = pc.if_else(
        _without_time(decoded),
        columns["day"].cast(pa.string()),
        columns["time"].cast(pa.int64()).cast(pa.string()),
    )
    told = [columns[c] for c in ("trace_id", "span_id", "severity", "event_name", "body")]
    resources = digests_of(joined(decoded.resource_attributes)).take(pa.array(decoded.resource))
    return digests_of(time, *told, joined(decoded.attributes), resources)


def _without_time(decoded: Decoded) -> pa.Array:
    """Which log records have no time but that of their receipt, which the receiver gave them."""
    field = fields_of(decoded.rows)
    observed = field("observed_time_unix_nano")
    received = pa.array(decoded.received).cast(pa.uint64())
    here = pc.or_(pc.equal(observed, 0), pc.equal(observed, received))
    return pc.and_(pc.equal(field("time_unix_nano"), 0), here)
