"""What a data directory holds: records of tenants that were accepted, written, and counted."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import HourAccount, WriterSettings, run_writer, verify
from lake import Lake
from tests.ingest.batches import spans
from tests.ingest.running import RunningReceiver

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
PROTOBUF = {"content-type": "application/x-protobuf"}
StartReceiver = Callable[..., RunningReceiver]


def of_tenant(
    tenant: str | None, *, count: int = 2, trace: bytes | None = None, at: datetime = NOW
) -> ExportTraceServiceRequest:
    """Spans of a tenant, or of nobody; all of one trace if it is given."""
    request = spans(count, start=int(at.timestamp() * 1e9) - 2 * 10**9)
    for span in request.resource_spans[0].scope_spans[0].spans:
        if trace:
            span.trace_id = trace
        if tenant:
            span.attributes.add(key="tenant.id").value.string_value = tenant
    return request


def accept(receiver: RunningReceiver, *requests: object) -> None:
    for request in requests:
        path = "traces" if isinstance(request, ExportTraceServiceRequest) else "logs"
        body = request.SerializeToString()  # type: ignore[attr-defined]
        answer = httpx.post(f"{receiver.http}/v1/{path}", content=body, headers=PROTOBUF)
        assert answer.status_code == 200


def write(data: Path) -> None:
    """One pass of the writer."""
    stop = threading.Event()
    stop.set()
    run_writer(WriterSettings(data=data), stop)


def tenants(data: Path) -> Counter[str | None]:
    with duckdb.connect() as connection:
        Lake(data / "lake").snapshot().attach(connection)
        found = connection.execute("SELECT tenant_id FROM lake_spans").fetchall()
    return Counter(tenant for (tenant,) in found)


def total(data: Path, signal: str = "traces") -> HourAccount:
    """The accounts of all hours of a signal together; nothing may be missing in any."""
    hours = [each for each in verify(data) if each.signal == signal]
    assert hours
    assert {each.missing for each in hours} == {0}, hours
    counts = {
        name: sum(getattr(each, name) for each in hours)
        for name in HourAccount.__dataclass_fields__
        if name not in {"signal", "hour"}
    }
    return HourAccount(signal=signal, hour=hours[0].hour, **counts)
