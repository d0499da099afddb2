"""Export requests for the tests, built with the official protobuf classes."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.journal import closed_segments, read_records
from lake import TABLES


def spans(
    count: int = 3, *, name: str = "chat gpt-5", start: int | None = None
) -> ExportTraceServiceRequest:
    """A batch of `count` sound spans with fresh ids, one second long, ending now."""
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    begin = time.time_ns() - 1_000_000_000 if start is None else start
    for _ in range(count):
        scope_spans.spans.add(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name=name,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + 1_000_000_000,
        )
    return request


def logs(count: int = 3) -> ExportLogsServiceRequest:
    """A batch of `count` sound log records of now."""
    request = ExportLogsServiceRequest()
    scope_logs = request.resource_logs.add().scope_logs.add()
    for number in range(count):
        record = scope_logs.log_records.add(
            time_unix_nano=time.time_ns(), trace_id=os.urandom(16), span_id=os.urandom(8)
        )
        record.body.string_value = f"line {number} {os.urandom(4).hex()}"
    return request


def metrics(count: int = 3) -> ExportMetricsServiceRequest:
    """A batch of one histogram with `count` sound points of now, each of another series."""
    request = ExportMetricsServiceRequest()
    scope_metrics = request.resource_metrics.add().scope_metrics.add()
    metric = scope_metrics.metrics.add(name="gen_ai.client.operation.duration", unit="s")
    metric.histogram.aggregation_temporality = 1
    for _ in range(count):
        point = metric.histogram.data_points.add(
            time_unix_nano=time.time_ns(),
            count=3,
            sum=1.5,
            explicit_bounds=[0.5, 1.0],
            bucket_counts=[2, 1, 0],
        )
        point.attributes.add(key="series").value.string_value = os.urandom(8).hex()
    return request


def span_ids(request: ExportTraceServiceRequest) -> list[bytes]:
    """The span ids of a batch, in order."""
    return [
        span.span_id
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def journalled_bytes(data: Path, signal: str) -> list[bytes]:
    """The requests in a journal, open segment included."""
    directory = data / "journal" / signal
    paths = [segment.path for segment in closed_segments(directory)]
    paths += sorted(directory.glob("*.open"))
    return [bytes(record.request) for path in paths for record in read_records(path)]


def journalled_spans(data: Path) -> list[ExportTraceServiceRequest]:
    """The trace requests in the journal."""
    return [ExportTraceServiceRequest.FromString(b) for b in journalled_bytes(data, "traces")]


def journalled_logs(data: Path) -> list[ExportLogsServiceRequest]:
    """The log requests in the journal."""
    return [ExportLogsServiceRequest.FromString(b) for b in journalled_bytes(data, "logs")]


def journalled_metrics(data: Path) -> list[ExportMetricsServiceRequest]:
    """The metric requests in the journal."""
    return [ExportMetricsServiceRequest.FromString(b) for b in journalled_bytes(data, "metrics")]


def unnoted(
    sequence: int,
    accepted: Mapping[int, int],
    retried: Mapping[int, int],
    uncounted_bytes: int = 0,
    /,
) -> None:
    """For journals whose ledger does not matter."""


def whole(parts: Iterable[pa.Table], table: str) -> pa.Table:
    """All rows together; of the right columns where there are none."""
    return pa.concat_tables([TABLES[table].arrow.empty_table(), *parts])
