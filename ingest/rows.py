"""Decoded OTLP requests into rows of the lake: promoted columns and what is derived from them.

Derived here: what kind of work a span is (`span_class`), how it ended (`outcome`, the error from
its exception event), when it happened, and the identity of a log record (`log_id`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded, Index, attributes_of, text_of, to_numpy
from ingest.origin import digests_of, joined, pieces, placed_in_time, table_of
from ingest.promote import promote, promoted
from ingest.vectors import (
    fields_of,
    hex_of,
    list_of,
    map_of,
    matches,
    names_of,
    nulls,
    offsets_of,
    or_null,
    time_of,
    where,
)
from lake.agent_columns import AGENT_COLUMNS, FIRST_TOKEN_EVENTS, SPAN_CLASSES
from lake.column import Column, Source
from lake.schema import LOGS, SPANS

MAX_ERROR_MESSAGE = 500
"""Characters; longer messages are cut."""

_SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_OUTCOMES = pa.array(["success", "error", "interrupt"])
_WITH_OUTCOME = pa.array(["agent", "llm", "tool", "node"])
_CALLS = pa.array(["llm", "tool"])
_FIRST_TOKEN = pa.array(FIRST_TOKEN_EVENTS)
_EVENT_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$"
_CREDENTIAL = r"(?i)\b(sk-[\w-]{12,}|bearer\s+[\w.~+/-]{12,}|(api[_-]?key|password)\s*[=:]\s*\S+)"

_LOG_NUMBERS = tuple(
    column
    for column in LOGS.columns
    if column.name in {"duration_ms", "llm_calls", "tool_calls", "tool_errors"}
)
_OF_A_CALL = (
    Column("success", pa.bool_(), "", sources=(Source("success"),)),
    Column("error", pa.string(), "", sources=(Source("error"),)),
)
_EXCEPTION = (
    Column("type", pa.string(), "", sources=(Source("exception.type"),)),
    Column("message", pa.string(), "", sources=(Source("exception.message"),)),
)


def span_rows(decoded: Decoded) -> Iterator[pa.Table]:
    """Rows of the lake table `spans`."""
    return map(_span_rows, pieces(decoded))


def log_rows(decoded: Decoded) -> Iterator[pa.Table]:
    """Rows of the lake table `logs`."""
    return map(_log_rows, pieces(decoded))


def _span_rows(decoded: Decoded) -> pa.Table:
    field = fields_of(decoded.rows)
    start, end = field("start_time_unix_nano"), field("end_time_unix_nano")
    status = names_of(pc.struct_field(decoded.rows, ["status", "code"]), _STATUSES)
    status_message = or_null(pc.struct_field(decoded.rows, ["status", "message"]))
    columns = promoted(decoded, AGENT_COLUMNS)
    events = _Events.of(field("events"))
    columns |= _span_class(columns)
    columns |= _span_outcome(columns, status, status_message, events)
    columns["ttfb_ms"] = pc.coalesce(columns["ttfb_ms"], _duration_ms(start, events.first_token))
    columns["input_tokens"] = _with_cached(columns)
    columns |= {
        **placed_in_time(time_of(start), time_of(end), decoded),
        "trace_id": hex_of(field("trace_id"), 16),
        "span_id": hex_of(field("span_id"), 8),
        "parent_span_id": hex_of(field("parent_span_id"), 8),
        "name": field("name"),
        "kind": names_of(field("kind"), _SPAN_KINDS),
        "end_time": time_of(end),
        "duration_ms": _duration_ms(start, end),
        "status": status,
        "status_message": status_message,
        "events": events.lists,
        "links": _links(field("links")),
    }
    columns["start_time"] = columns.pop("time")
    return table_of(SPANS.arrow, decoded, columns)


def _log_rows(decoded: Decoded) -> pa.Table:
    field = fields_of(decoded.rows)
    observed = time_of(field("observed_time_unix_nano"))
    body = text_of(field("body"))
    columns = promoted(decoded, (*AGENT_COLUMNS, *_LOG_NUMBERS))
    named = promote(decoded.attributes, (Column("event", pa.string(), "", sources=(
        Source("event.name"), Source("event"))),))  # fmt: skip
    event = pc.coalesce(
        or_null(field("event_name")), named["event"], where(matches(body, _EVENT_NAME), body)
    )
    columns |= _span_class(columns, event, body)
    columns |= _log_outcome(decoded, columns)
    columns |= {
        **placed_in_time(time_of(field("time_unix_nano")), observed, decoded),
        "observed_time": observed,
        "severity": pc.utf8_lower(or_null(field("severity_text"))),
        "severity_number": where(pc.greater(field("severity_number"), 0), field("severity_number")),
        "body": body,
        "event_name": event,
        "trace_id": hex_of(field("trace_id"), 16),
        "span_id": hex_of(field("span_id"), 8),
    }
    columns["input_tokens"] = _with_cached(columns)
    columns["log_id"] = _log_ids(decoded, columns)
    return table_of(LOGS.arrow, decoded, columns)


def _span_class(columns: Mapping[str, pa.Array], *events: pa.Array) -> dict[str, pa.Array]:
    """From the operation, else what a log record calls itself, else, of a span, whether it names a
    node: a line that was written in a node is not about the node.

    Claude Code puts the short name of an event into its attribute, the full one into the body.
    """
    names, classes = pa.array(list(SPAN_CLASSES)), pa.array(list(SPAN_CLASSES.values()))
    known = [classes.take(pc.index_in(name, names)) for name in (columns["operation"], *events)]
    if not events:
        known.append(where(pc.is_valid(columns["node"]), pa.repeat("node", len(columns["node"]))))
    return {"span_class": pc.coalesce(*known, pa.scalar("other"))}


def _span_outcome(
    columns: Mapping[str, pa.Array], status: pa.Array, status_message: pa.Array, events: "_Events"
) -> dict[str, pa.Array]:
    """Outcome as stated, else interrupt for a graph's interrupt, else from the span's status."""
    failed = pc.equal(status, "error")
    interrupted = pc.fill_null(
        pc.match_substring(events.exception_type, "GraphInterrupt"), fill_value=False
    )
    derived = pc.if_else(interrupted, "interrupt", pc.if_else(failed, "error", "success"))
    stated = where(pc.is_in(columns["outcome"], _OUTCOMES), columns["outcome"])
    counted = pc.is_in(columns["span_class"], _WITH_OUTCOME)
    message = pc.coalesce(
        columns["error_message"], events.exception_message, where(failed, status_message)
    )
    return {
        "outcome": pc.coalesce(stated, where(counted, derived)),
        "error_class": pc.coalesce(columns["error_class"], events.exception_type),
        "error_message": _presentable(message),
    }


def _log_outcome(decoded: Decoded, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Outcome as stated. A call's line may say `success`, or name an `error`, instead."""
    a_call = pc.is_in(columns["span_class"], _CALLS)
    told = promote(decoded.attributes, _OF_A_CALL)
    message = pc.coalesce(columns["error_message"], where(a_call, told["error"]))
    named = pc.or_(pc.is_valid(message), pc.is_valid(columns["error_class"]))
    return {
        "outcome": pc.coalesce(
            where(pc.is_in(columns["outcome"], _OUTCOMES), columns["outcome"]),
            where(a_call, pc.if_else(told["success"], "success", "error")),
            where(pc.and_(a_call, named), pa.repeat("error", len(message))),
        ),
        "error_message": _presentable(message),
    }


def _with_cached(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Input tokens with the cached ones.

    OpenTelemetry includes them, Anthropic's API counts them apart and some instrumentations pass
    that on. A part cannot exceed its whole: where it does, the source left it out.
    """
    whole = columns["input_tokens"]
    read, written = (columns[name] for name in ("cache_read_tokens", "cache_write_tokens"))
    cached = pc.add(pc.fill_null(read, 0), pc.fill_null(written, 0))
    return pc.if_else(pc.greater(cached, whole), pc.add(whole, cached), whole)


@dataclass(frozen=True)
class _Events:
    """A batch's span events, and what they say of each span.

    The type and message of its last exception, and when its first token came (unix ns).
    """

    lists: pa.Array
    exception_type: pa.Array
    exception_message: pa.Array
    first_token: pa.Array

    @classmethod
    def of(cls, lists: pa.ListArray) -> "_Events":
        flat = lists.flatten()
        offsets = offsets_of(lists)
        names = pc.struct_field(flat, "name")
        attributes = attributes_of(pc.struct_field(flat, "attributes"))
        structs = pa.StructArray.from_arrays(
            [time_of(pc.struct_field(flat, "time_unix_nano")), names, map_of(attributes)],
            fields=list(SPANS.arrow.field("events").type.value_type),
        )
        span = to_numpy(pc.list_parent_indices(lists), np.int64)
        exceptions = np.flatnonzero(to_numpy(pc.equal(names, "exception"), np.bool_))
        tokens = np.flatnonzero(to_numpy(pc.is_in(names, _FIRST_TOKEN), np.bool_))
        last_exception = _last(len(lists), span, exceptions)
        told = promote(attributes, _EXCEPTION) if len(exceptions) else {}
        kind, message = (
            told[name].take(last_exception) if told else nulls(len(lists))
            for name in ("type", "message")
        )
        first_token = _last(len(lists), span, tokens[::-1])
        return cls(
            list_of(offsets, structs),
            kind,
            message,
            pc.struct_field(flat, "time_unix_nano").take(first_token),
        )


def _last(spans: int, span_of_event: Index, events: Index) -> pa.Array:
    """For each span, the last of the given events that is its own; NULL if none is."""
    last = np.full(spans, -1)
    last[span_of_event[events]] = events
    return pa.array(last, mask=last < 0)


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


def _duration_ms(start: pa.Array, end: pa.Array) -> pa.Array:
    began, ended = (part.cast(pa.int64(), safe=False) for part in (start, end))
    nanoseconds = where(pc.greater_equal(ended, began), pc.subtract(ended, began))
    return pc.divide(nanoseconds.cast(pa.float64(), safe=False), 1e6)


def _log_ids(decoded: Decoded, columns: Mapping[str, pa.Array]) -> pa.Array:
    """The identity of each log record: its content and origin, not when it was observed.

    A collector that reads a file again after a crash observes the same line at another time, and
    has its attributes in another order.
    """
    time = columns["time"].cast(pa.int64()).cast(pa.string())
    told = [columns[c] for c in ("trace_id", "span_id", "severity", "event_name", "body")]
    resources = joined(decoded.resource_attributes).take(pa.array(decoded.resource))
    return digests_of(time, *told, joined(decoded.attributes), resources)


def _presentable(message: pa.Array) -> pa.Array:
    """Secrets masked, then cut to `MAX_ERROR_MESSAGE`."""
    if message.null_count == len(message):
        return message
    masked = pc.replace_substring_regex(message, _CREDENTIAL, "[masked]")
    return pc.utf8_slice_codeunits(masked, 0, MAX_ERROR_MESSAGE)
