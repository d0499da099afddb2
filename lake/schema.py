"""The telemetry contract: every column of the lake, in one place.

A column says what it means, in which unit, and from which attributes it is taken, first match
wins. The writer extracts by these tables, the documentation is generated from them, and the SQL
views rest on them. Adding a column is compatible; renaming or retyping one is not.

The columns that both tables share are in `lake.agent_columns`.
"""

import pyarrow as pa

from lake.agent_columns import AGENT_COLUMNS
from lake.column import ATTRIBUTES, COUNT, REAL, TEXT, TIME, Column, TableSchema, record, resource

DAY = Column("day", pa.date32(), "UTC day of the row's time; the partition", "day")

SPANS = TableSchema(
    "spans",
    "One row per OpenTelemetry span",
    "start_time",
    ("trace_id", "span_id"),
    (
        DAY,
        Column("trace_id", TEXT, "Trace, 32 lower-case hex digits"),
        Column("span_id", TEXT, "Span, 16 lower-case hex digits"),
        Column("parent_span_id", TEXT, "Parent span; NULL for a root"),
        Column("name", TEXT, "Span name"),
        Column("kind", TEXT, "internal, server, client, producer, consumer or unspecified"),
        Column("start_time", TIME, "When it began", "UTC"),
        Column("end_time", TIME, "When it ended", "UTC"),
        Column("duration_ms", REAL, "End minus start, from nanoseconds", "ms"),
        Column("status", TEXT, "unset, ok or error"),
        Column("status_message", TEXT, "Status message as sent"),
        Column("service_name", TEXT, "Emitting service", sources=resource("service.name")),
        Column("scope_name", TEXT, "Instrumentation scope"),
        Column("scope_version", TEXT, "Version of the instrumentation scope"),
        *AGENT_COLUMNS,
        Column(
            "attributes", ATTRIBUTES, "Every attribute of the span as text; arrays and maps as JSON"
        ),
        Column("resource_attributes", ATTRIBUTES, "Every attribute of the resource as text"),
        Column(
            "events",
            pa.list_(pa.struct([("time", TIME), ("name", TEXT), ("attributes", ATTRIBUTES)])),
            "Span events, in order",
        ),
        Column(
            "links", pa.list_(pa.struct([("trace_id", TEXT), ("span_id", TEXT)])), "Linked spans"
        ),
        Column("received_at", TIME, "When ingest journalled it", "UTC"),
    ),
)

LOGS = TableSchema(
    "logs",
    "One row per OpenTelemetry log record",
    "time",
    ("log_id",),
    (
        DAY,
        Column("log_id", TEXT, "Digest of the record and its origin; the same record twice is one"),
        Column(
            "time", TIME, "When it happened; when it was observed if the record has no time", "UTC"
        ),
        Column("observed_time", TIME, "When the collector saw it", "UTC"),
        Column("severity", TEXT, "Severity text as sent, lower case"),
        Column("severity_number", COUNT, "OpenTelemetry severity number, 1 to 24"),
        Column("body", TEXT, "Body as text; maps and arrays as JSON"),
        Column("event_name", TEXT, "Event name; the body of a structlog line that has none"),
        Column("trace_id", TEXT, "Trace, 32 lower-case hex digits"),
        Column("span_id", TEXT, "Span, 16 lower-case hex digits"),
        Column("service_name", TEXT, "Emitting service", sources=resource("service.name")),
        Column("scope_name", TEXT, "Instrumentation scope"),
        Column("scope_version", TEXT, "Version of the instrumentation scope"),
        *AGENT_COLUMNS,
        Column(
            "duration_ms", REAL, "How long the logged node or run took", "ms", record("duration_ms")
        ),
        Column(
            "llm_calls",
            COUNT,
            "Model calls of the run, on its summary line",
            "calls",
            record("llm_calls"),
        ),
        Column(
            "tool_calls",
            COUNT,
            "Tool calls of the run, on its summary line",
            "calls",
            record("tool_calls"),
        ),
        Column(
            "tool_errors",
            COUNT,
            "Failed tool calls of the run, on its summary line",
            "calls",
            record("tool_errors"),
        ),
        Column(
            "attributes",
            ATTRIBUTES,
            "Every attribute of the record as text; arrays and maps as JSON",
        ),
        Column("resource_attributes", ATTRIBUTES, "Every attribute of the resource as text"),
        Column("received_at", TIME, "When ingest journalled it", "UTC"),
    ),
)

TABLES: dict[str, TableSchema] = {table.name: table for table in (SPANS, LOGS)}
