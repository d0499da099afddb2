"""The telemetry contract: every column of the lake, in one place.

A column says what it means and in which unit; `mapping.toml` says from which attributes it is
taken. The documentation is generated from both, and the SQL views rest on these tables. Adding a
column is compatible; renaming or retyping one is not.

The columns that spans and logs share, and data points in part, are in `lake.agent_columns`.
"""

import pyarrow as pa

from lake.agent_columns import AGENT_COLUMNS
from lake.column import (
    ATTRIBUTES,
    COUNT,
    FLAG,
    REAL,
    TEXT,
    TIME,
    Column,
    TableSchema,
)

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
        Column("service_name", TEXT, "Emitting service"),
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
        Column("service_name", TEXT, "Emitting service"),
        Column("scope_name", TEXT, "Instrumentation scope"),
        Column("scope_version", TEXT, "Version of the instrumentation scope"),
        *AGENT_COLUMNS,
        Column("duration_ms", REAL, "How long the logged node or run took", "ms"),
        Column("llm_calls", COUNT, "Model calls of the run, on its summary line", "calls"),
        Column("tool_calls", COUNT, "Tool calls of the run, on its summary line", "calls"),
        Column("tool_errors", COUNT, "Failed tool calls of the run, on its summary line", "calls"),
        Column(
            "attributes",
            ATTRIBUTES,
            "Every attribute of the record as text; arrays and maps as JSON",
        ),
        Column("resource_attributes", ATTRIBUTES, "Every attribute of the resource as text"),
        Column("received_at", TIME, "When ingest journalled it", "UTC"),
    ),
)

# What of a request a data point can be about: it sums up many.
_OF_A_POINT = {
    "tenant_id",
    "user_id",
    "thread_id",
    "agent_name",
    "feature",
    "node",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "tool_name",
    "streaming",
    "error_class",
}

METRICS = TableSchema(
    "metrics",
    "One row per data point of an OpenTelemetry metric. What a metric counts is counted from spans "
    "too, so the two are never added together",
    "time",
    ("metric_id",),
    (
        DAY,
        Column(
            "metric_id", TEXT, "Digest of the point and its origin; the same point twice is one"
        ),
        Column("time", TIME, "When it was measured; the end of the interval it covers", "UTC"),
        Column("start_time", TIME, "Begin of the interval it covers; NULL if not known", "UTC"),
        Column("name", TEXT, "Metric name"),
        Column("description", TEXT, "What the sender says the metric is"),
        Column("unit", TEXT, "Unit of the values as sent, in UCUM: s, By, {token}"),
        Column("kind", TEXT, "gauge, sum, histogram, exponential_histogram or summary"),
        Column(
            "temporality",
            TEXT,
            "delta: since the point before; cumulative: since start_time; NULL for a gauge or "
            "summary, or if not stated",
        ),
        Column("monotonic", FLAG, "Whether a sum only grows; NULL for other kinds"),
        Column(
            "value",
            REAL,
            "Value of a gauge or sum; integers beyond 2^53 are rounded to the next double",
            "the metric's",
        ),
        Column("count", COUNT, "How many values a histogram or summary is made of", "values"),
        Column("sum", REAL, "Sum of these values; NULL if not sent", "the metric's"),
        Column("min", REAL, "Smallest of these values; NULL if not sent", "the metric's"),
        Column("max", REAL, "Largest of these values; NULL if not sent", "the metric's"),
        Column(
            "bucket_bounds",
            pa.list_(REAL),
            "Upper bounds of a histogram's buckets, inclusive; the last bucket has none",
            "the metric's",
        ),
        Column(
            "bucket_counts",
            pa.list_(COUNT),
            "Values in each bucket, one bucket more than bounds",
            "values",
        ),
        Column(
            "scale",
            COUNT,
            "Resolution of an exponential histogram: bucket i is (b^i, b^(i+1)], b = 2^(2^-scale)",
        ),
        Column("zero_count", COUNT, "Values of at most zero_threshold in magnitude", "values"),
        Column("zero_threshold", REAL, "Largest magnitude that counts as zero", "the metric's"),
        Column("positive_offset", COUNT, "Index of the first positive exponential bucket"),
        Column(
            "positive_counts",
            pa.list_(COUNT),
            "Values in each positive exponential bucket",
            "values",
        ),
        Column("negative_offset", COUNT, "Index of the first negative exponential bucket"),
        Column(
            "negative_counts",
            pa.list_(COUNT),
            "Values in each negative exponential bucket",
            "values",
        ),
        Column(
            "quantiles",
            pa.list_(pa.struct([("quantile", REAL), ("value", REAL)])),
            "Quantiles of a summary, 0 to 1, as the sender computed them",
        ),
        Column(
            "exemplars",
            pa.list_(
                pa.struct([("time", TIME), ("value", REAL), ("trace_id", TEXT), ("span_id", TEXT)])
            ),
            "Single values among those measured, and the spans they were measured in",
        ),
        Column("flags", COUNT, "OpenTelemetry data point flags"),
        Column(
            "no_recorded_value",
            FLAG,
            "The series says that it has no value at this time: value, count, sum, min, max and "
            "zero_count are NULL",
        ),
        Column("service_name", TEXT, "Emitting service"),
        Column("scope_name", TEXT, "Instrumentation scope"),
        Column("scope_version", TEXT, "Version of the instrumentation scope"),
        *(column for column in AGENT_COLUMNS if column.name in _OF_A_POINT),
        Column(
            "token_type",
            TEXT,
            "Which tokens a usage metric counts, as sent: input, output; prompt, completion",
        ),
        Column(
            "attributes",
            ATTRIBUTES,
            "Every attribute of the point as text; arrays and maps as JSON",
        ),
        Column("resource_attributes", ATTRIBUTES, "Every attribute of the resource as text"),
        Column("received_at", TIME, "When ingest journalled it", "UTC"),
    ),
)

TABLES: dict[str, TableSchema] = {table.name: table for table in (SPANS, LOGS, METRICS)}

LOG_NUMBERS: tuple[Column, ...] = tuple(
    c for c in LOGS.columns if c.name in {"duration_ms", "llm_calls", "tool_calls", "tool_errors"}
)
"""Numbers that only a log record says: a span has its own duration and children."""

SERVICE_NAME = next(column for column in SPANS.columns if column.name == "service_name")

HINTS: tuple[Column, ...] = (
    Column("event", TEXT, "Event of a log record that has no OpenTelemetry event name"),
    Column("reported_outcome", TEXT, "How it ended, in words of the sender's own"),
    Column("http_status", TEXT, "With which HTTP status a server answered"),
    Column("first_token_time", TIME, "When the first token came", "UTC"),
    Column("total_tokens", COUNT, "All tokens of a call: shows what its parts leave out", "tokens"),
    Column(
        "tool_use_tokens", COUNT, "Part of the input that its source counts beside it", "tokens"
    ),
)
"""What is taken from attributes as columns are, and from which others follow; not in the lake."""

_DERIVED = {"span_class", "hearsay"}

MAPPED: dict[str, Column] = {
    column.name: column
    for column in (
        SERVICE_NAME,
        *(c for c in AGENT_COLUMNS if c.name not in _DERIVED),
        *LOG_NUMBERS,
        *(c for c in METRICS.columns if c.name == "token_type"),
        *HINTS,
    )
}
"""The columns that are taken from attributes, by name."""
