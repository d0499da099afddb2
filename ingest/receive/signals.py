"""The OTLP signals that are received, and what differs between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ingest.receive.validate import Verdict, check_logs, check_spans
from ingest.receive.validate_metrics import check_metrics


@dataclass(frozen=True)
class Signal:
    """One OTLP signal. `name` is also its journal directory.

    `rewritten` says that protobuf is journalled as the official classes write it, not as it was
    sent: where a sender sets two members of a oneof, they keep the last, and the writer's decoder
    would take both.
    """

    name: str
    path: str
    service: str
    request: type[Message]
    response: type[Message]
    rejected_field: str
    noun: str
    check: Callable[[Any, int], Verdict]
    rewritten: bool = False

    def answer(self, refused: int, message: str) -> Message:
        """The export response: empty for full success, with `partial_success` otherwise."""
        if not refused:
            return self.response()
        partial = {self.rejected_field: refused, "error_message": message}
        return self.response(partial_success=partial)


TRACES = Signal(
    name="traces",
    path="/v1/traces",
    service="opentelemetry.proto.collector.trace.v1.TraceService",
    request=ExportTraceServiceRequest,
    response=ExportTraceServiceResponse,
    rejected_field="rejected_spans",
    noun="spans",
    check=check_spans,
)
LOGS = Signal(
    name="logs",
    path="/v1/logs",
    service="opentelemetry.proto.collector.logs.v1.LogsService",
    request=ExportLogsServiceRequest,
    response=ExportLogsServiceResponse,
    rejected_field="rejected_log_records",
    noun="log records",
    check=check_logs,
)
METRICS = Signal(
    name="metrics",
    path="/v1/metrics",
    service="opentelemetry.proto.collector.metrics.v1.MetricsService",
    request=ExportMetricsServiceRequest,
    response=ExportMetricsServiceResponse,
    rejected_field="rejected_data_points",
    noun="data points",
    check=check_metrics,
    rewritten=True,
)
SIGNALS = (TRACES, LOGS, METRICS)
