"""OTLP over gRPC, as the specification has it, over real sockets."""

import zlib
from collections.abc import Callable

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.ingest.batches import journalled_logs, journalled_spans, logs, span_ids, spans
from tests.ingest.running import RunningReceiver

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def send_bytes(receiver: RunningReceiver, body: bytes) -> bytes:
    """Call the trace export with any bytes as the request."""
    with grpc.insecure_channel(
        receiver.grpc, options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        return channel.unary_unary(EXPORT)(body, timeout=20)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_sdk_exports_spans(receiver: RunningReceiver, compression: grpc.Compression) -> None:
    """The official exporter's spans are in the journal, with and without gzip."""
    exporter = OTLPSpanExporter(receiver.grpc, insecure=True, compression=compression)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("invoke_agent shop") as span:
        span_id = span.get_span_context().span_id
    provider.shutdown()
    (request,) = journalled_spans(receiver.data)
    assert span_ids(request) == [span_id.to_bytes(8, "big")]


def test_the_sdk_exports_logs(receiver: RunningReceiver) -> None:
    """Log records come over gRPC too."""
    provider = LoggerProvider()
    exporter = OTLPLogExporter(receiver.grpc, insecure=True)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(body="hello", timestamp=1_700_000_000_000_000_000)
    provider.shutdown()
    (request,) = journalled_logs(receiver.data)
    assert request.resource_logs[0].scope_logs[0].log_records[0].body.string_value == "hello"


def test_both_transports_fill_one_journal(receiver: RunningReceiver) -> None:
    """A batch retried over the other transport is the same batch."""
    request = spans()
    with grpc.insecure_channel(receiver.grpc) as channel:
        assert TraceServiceStub(channel).Export(request) == ExportTraceServiceResponse()
    httpx.post(
        f"{receiver.http}/v1/traces",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert journalled_spans(receiver.data) == [request]


def test_malformed_is_invalid_argument(receiver: RunningReceiver) -> None:
    """Clients do not retry it; the message says what it should have been."""
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(receiver, b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in caught.value.details()


def test_bad_records_are_a_partial_success(receiver: RunningReceiver) -> None:
    """The rest of the batch is stored."""
    request = logs(3)
    request.resource_logs[0].scope_logs[0].log_records[1].trace_id = b"short"
    with grpc.insecure_channel(receiver.grpc) as channel:
        response = LogsServiceStub(channel).Export(request)
    assert response.partial_success.rejected_log_records == 1
    assert "trace_id 73686f7274 must be 16 bytes" in response.partial_success.error_message
    (stored,) = journalled_logs(receiver.data)
    assert len(stored.resource_logs[0].scope_logs[0].log_records) == 2


def test_a_large_batch_is_taken(receiver: RunningReceiver) -> None:
    """gRPC's own default of 4 MiB does not apply."""
    request = spans(1, name="x" * 9_000_000)
    assert send_bytes(receiver, request.SerializeToString()) == b""
    assert journalled_spans(receiver.data) == [request]


def test_a_batch_over_the_limit_is_resource_exhausted(
    start_receiver: Callable[..., RunningReceiver],
) -> None:
    """Without RetryInfo, so that clients do not send it again."""
    receiver = start_receiver(max_body_bytes=10_000)
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(receiver, bytes(10_001))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not rpc_status.from_call(caught.value).details


def test_a_compressed_batch_over_the_limit_is_resource_exhausted(
    start_receiver: Callable[..., RunningReceiver],
) -> None:
    """The limit holds after decompression: a small gzip message may not become a large one."""
    receiver = start_receiver(max_body_bytes=100_000)
    bomb = bytes(50_000_000)
    assert len(zlib.compress(bomb)) < 100_000
    with grpc.insecure_channel(
        receiver.grpc,
        compression=grpc.Compression.Gzip,
        options=[("grpc.max_send_message_length", -1)],
    ) as channel:
        call = channel.unary_unary(EXPORT)
        with pytest.raises(grpc.RpcError) as caught:
            call(bomb, timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_no_room_is_unavailable_with_a_delay(
    start_receiver: Callable[..., RunningReceiver],
) -> None:
    """Back-pressure is what clients retry, and RetryInfo says when."""
    receiver = start_receiver(journal_budget_bytes=0)
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(receiver, spans().SerializeToString())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    status = rpc_status.from_call(caught.value)
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 1
    assert "the writer is behind" in status.message


def test_profiles_are_unimplemented(receiver: RunningReceiver) -> None:
    """A signal that is not taken is refused for good."""
    service = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    with grpc.insecure_channel(receiver.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(service)(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
