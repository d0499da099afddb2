"""The OTLP signals that are received, and what differs between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ingest.receive.validate import Verdict, check_logs, check_spans


@dataclass(frozen=True)
class Signal:
    """One OTLP signal. `name` is also its journal directory."""

    name: str
    path: str
    service: str
    request: type[Message]
    response: type[Message]
    rejected_field: str
    noun: str
    check: Callable[[Any, int], Verdict]

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
SIGNALS = (TRACES, LOGS)
