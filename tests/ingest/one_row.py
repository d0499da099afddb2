"""One record as a library sends it, and the row it becomes."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decode import decode
from ingest.rows import log_rows, span_rows
from tests.ingest.batches import whole
from tests.ingest.values import RECEIVED, START, any_value, pairs

CLAUDE = "com.anthropic.claude_code"


Row = dict[str, Any]


def span(
    scope: str, attributes: Mapping[str, Any], *, name: str = "s", events: Any = (),
    resource: Mapping[str, Any] | None = None, seconds: float = 1.0, version: str = "",
    **fields: Any,
) -> Row:  # fmt: skip
    """The row of one span of a library."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    under = group.scope_spans.add()
    under.scope.name, under.scope.version = scope, version
    sent = under.spans.add(
        trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\2", name=name,
        start_time_unix_nano=START, end_time_unix_nano=START + int(seconds * 1e9), **fields,
    )  # fmt: skip
    sent.attributes.extend(pairs(attributes))
    for event, said in events:
        sent.events.add(name=event, time_unix_nano=START + 10**8).attributes.extend(pairs(said))
    table = whole(span_rows(decode("traces", [request.SerializeToString()], [RECEIVED])), "spans")
    table.validate(full=True)
    [row] = table.to_pylist()
    return row  # type: ignore[no-any-return] # read from data


def line(
    scope: str, attributes: Mapping[str, Any], body: Any = "", event: str = "",
    resource: Mapping[str, Any] | None = None,
) -> Row:  # fmt: skip
    """The row of one log record of a library."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs(resource or {}))
    under = group.scope_logs.add()
    under.scope.name = scope
    record = under.log_records.add(time_unix_nano=START, event_name=event)
    record.body.CopyFrom(any_value(body))
    record.attributes.extend(pairs(attributes))
    table = whole(log_rows(decode("logs", [request.SerializeToString()], [RECEIVED])), "logs")
    table.validate(full=True)
    [row] = table.to_pylist()
    return row  # type: ignore[no-any-return] # read from data


def told(row: Row, **wanted: Any) -> None:
    """The row says exactly this of these columns."""
    assert {name: row[name] for name in wanted} == wanted


FAILED = {"status": {"code": 2, "message": "boom"}}
EXCEPTION = "exception"
