"""OTLP over HTTP, as the specification has it, over real sockets."""

import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import zstandard
from google.protobuf import json_format
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.ingest.batches import (
    journalled_bytes,
    journalled_logs,
    journalled_spans,
    logs,
    span_ids,
    spans,
)
from tests.ingest.running import RunningReceiver

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "otlp").glob("*.pb"))
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def post(
    receiver: RunningReceiver,
    body: bytes | str,
    headers: dict[str, str] = PROTOBUF,
    path: str = "/v1/traces",
) -> httpx.Response:
    return httpx.post(receiver.http + path, content=body, headers=headers, timeout=20)


def status_of(response: httpx.Response) -> Status:
    """The google.rpc.Status of an error, in whichever encoding the request had."""
    if response.headers["content-type"] == "application/json":
        return json_format.Parse(response.content, Status())
    assert response.headers["content-type"] == "application/x-protobuf"
    return Status.FromString(response.content)


@pytest.mark.parametrize("compression", list(Compression))
def test_the_sdk_exports_spans(receiver: RunningReceiver, compression: Compression) -> None:
    """The official exporter's spans are in the journal, with each compression it offers."""
    exporter = OTLPSpanExporter(f"{receiver.http}/v1/traces", compression=compression)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("invoke_agent shop") as span:
        span_id = span.get_span_context().span_id
    provider.shutdown()
    (request,) = journalled_spans(receiver.data)
    assert span_ids(request) == [span_id.to_bytes(8, "big")]


def test_the_sdk_exports_logs(receiver: RunningReceiver) -> None:
    """A log record outside any trace, as the official exporter sends it, is accepted."""
    exporter = OTLPLogExporter(f"{receiver.http}/v1/logs")
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(body="hello", timestamp=1_700_000_000_000_000_000)
    provider.shutdown()
    (request,) = journalled_logs(receiver.data)
    assert request.resource_logs[0].scope_logs[0].log_records[0].body.string_value == "hello"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_what_libraries_really_send_is_stored_as_sent(
    receiver: RunningReceiver, path: Path
) -> None:
    """Recorded requests of agent libraries are accepted whole and journalled byte for byte."""
    signal = "logs" if path.stem.startswith("logs_") else "traces"
    response = post(receiver, path.read_bytes(), path=f"/v1/{signal}")
    assert (response.status_code, response.content) == (200, b"")
    expected = [path.read_bytes()] if path.stat().st_size else []
    assert journalled_bytes(receiver.data, signal) == expected


def test_success_is_200_with_an_empty_response(receiver: RunningReceiver) -> None:
    """Full success leaves `partial_success` unset, in the encoding of the request."""
    response = post(receiver, spans().SerializeToString())
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/x-protobuf"
    response = post(receiver, "{}", JSON)
    assert (response.status_code, response.content) == (200, b"{}")
    assert response.headers["content-type"] == "application/json"


def test_an_empty_request_succeeds_and_stores_nothing(receiver: RunningReceiver) -> None:
    """An empty body, and envelopes without spans, are fine."""
    envelope = spans(0).SerializeToString()
    for body in (b"", envelope):
        assert post(receiver, body).status_code == 200
    assert journalled_spans(receiver.data) == []


def test_json_as_otlp_has_it(receiver: RunningReceiver) -> None:
    """Hex ids in any case, integer enums, 64-bit integers as text or number, unknown fields."""
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1B173",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": 1700000001000000000,
        "fromTheFuture": {"x": 1},
        "attributes": [
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "9007199254740993"}},
            {"key": "blob", "value": {"bytesValue": "aGVsbG8="}},
        ],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175"}],
        "status": {"code": 2},
    }
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    response = post(receiver, json.dumps(document), JSON | {"content-type": "application/json; x"})
    assert (response.status_code, response.content) == (200, b"{}")
    (request,) = journalled_spans(receiver.data)
    stored = request.resource_spans[0].scope_spans[0].spans[0]
    assert stored.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert stored.span_id.hex() == "eee19b7ec3c1b174"
    assert stored.parent_span_id.hex() == "eee19b7ec3c1b173"
    assert stored.links[0].span_id.hex() == "eee19b7ec3c1b175"
    assert (stored.kind, stored.status.code) == (3, 2)
    assert stored.start_time_unix_nano == 1_700_000_000_000_000_000
    assert stored.end_time_unix_nano == 1_700_000_001_000_000_000
    assert stored.attributes[0].value.int_value == 9007199254740993
    assert stored.attributes[1].value.bytes_value == b"hello"


def test_json_logs(receiver: RunningReceiver) -> None:
    """Log records come in JSON too."""
    record = {
        "timeUnixNano": "1700000000000000000",
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "EEE19B7EC3C1B174",
        "body": {"stringValue": "hello"},
    }
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    response = post(receiver, json.dumps(document), JSON, "/v1/logs")
    assert (response.status_code, response.content) == (200, b"{}")
    (request,) = journalled_logs(receiver.data)
    stored = request.resource_logs[0].scope_logs[0].log_records[0]
    assert stored.span_id.hex() == "eee19b7ec3c1b174"


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_content_encodings(receiver: RunningReceiver, encoding: str) -> None:
    """Each encoding is undone; small and large bodies alike."""
    for count in (3, 5000):
        request = spans(count)
        body = ENCODERS[encoding](request.SerializeToString())
        response = post(receiver, body, PROTOBUF | {"content-encoding": encoding})
        assert response.status_code == 200
        assert journalled_spans(receiver.data)[-1] == request


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "words"),
    [
        (b"\xff\xff", PROTOBUF, 400, Code.INVALID_ARGUMENT, "ExportTraceServiceRequest"),
        (b"{", JSON, 400, Code.INVALID_ARGUMENT, "JSON"),
        (b"[]", JSON, 400, Code.INVALID_ARGUMENT, "JSON object"),
        (b'{"resourceSpans": 3}', JSON, 400, Code.INVALID_ARGUMENT, "resourceSpans"),
        (b"x", PROTOBUF | {"content-encoding": "gzip"}, 400, Code.INVALID_ARGUMENT, "gzip"),
        (b"", PROTOBUF | {"content-encoding": "br"}, 415, Code.INVALID_ARGUMENT, "'br'"),
        (b"", {"content-type": "text/plain"}, 415, Code.INVALID_ARGUMENT, "x-protobuf"),
        (b"", {}, 415, Code.INVALID_ARGUMENT, "application/json"),
    ],
)
def test_errors_are_a_status_in_the_encoding_of_the_request(
    receiver: RunningReceiver,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: int,
    words: str,
) -> None:
    """Whatever can never be accepted gets its HTTP status and a google.rpc.Status that says why."""
    response = post(receiver, body, headers)
    assert response.status_code == status
    asked = headers.get("content-type")
    expected = asked if asked == PROTOBUF["content-type"] else "application/json"
    assert response.headers["content-type"] == expected
    assert status_of(response).code == code
    assert words in status_of(response).message
    assert "retry-after" not in response.headers
    assert journalled_spans(receiver.data) == []


def test_an_id_that_is_not_hexadecimal_is_named(receiver: RunningReceiver) -> None:
    """JSON with a base64 id (as plain protobuf JSON has it) is malformed, and the error says so."""
    span = {"traceId": "W47/95gDgQPSabYzgT/GDA==", "spanId": "eee19b7ec3c1b174"}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    response = post(receiver, json.dumps(document), JSON)
    assert response.status_code == 400
    assert "traceId 'W47/95gDgQPSabYzgT/GDA==' is not hexadecimal" in status_of(response).message


def test_a_wrong_method_is_405(receiver: RunningReceiver) -> None:
    """GET on a signal's path names the method to use."""
    response = httpx.get(receiver.http + "/v1/traces")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "use POST" in status_of(response).message


def test_another_path_is_404_and_names_the_supported_ones(receiver: RunningReceiver) -> None:
    """A profiles exporter pointed here learns what is taken."""
    response = post(receiver, b"", path="/v1development/profiles")
    assert response.status_code == 404
    assert status_of(response).message == (
        "/v1development/profiles is not served; this receiver takes traces at /v1/traces, "
        "logs at /v1/logs, metrics at /v1/metrics"
    )
    assert post(receiver, b"", path="/v1/traces/").status_code == 404, "exporters do not redirect"


def test_bad_spans_are_refused_and_the_rest_is_stored(receiver: RunningReceiver) -> None:
    """Partial success gives the exact count and names the first refused span and why."""
    request = spans(5)
    batch = request.resource_spans[0].scope_spans[0].spans
    good = [batch[0].span_id, batch[2].span_id, batch[4].span_id]
    batch[1].name = "backwards"
    batch[1].end_time_unix_nano = batch[1].start_time_unix_nano - 1
    batch[3].trace_id = bytes(16)
    response = post(receiver, request.SerializeToString())
    assert response.status_code == 200
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_spans == 2
    assert re.search(
        r"2 of 5 spans refused; first: span 'backwards' \(span_id [0-9a-f]{16}\): "
        r"end_time_unix_nano \d+ is before start_time_unix_nano \d+",
        partial.error_message,
    )
    (stored,) = journalled_spans(receiver.data)
    assert span_ids(stored) == good


def test_partial_success_in_json(receiver: RunningReceiver) -> None:
    """A span without ids is refused in JSON too, in OTLP's JSON spelling."""
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "chat"}]}]}]}
    response = post(receiver, json.dumps(document), JSON)
    assert response.status_code == 200
    partial = response.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "trace_id (empty) must be 16 bytes" in partial["errorMessage"]
    assert journalled_spans(receiver.data) == []


def test_a_retried_batch_gets_the_same_answer_and_is_stored_once(
    receiver: RunningReceiver,
) -> None:
    """Also when part of it is refused."""
    request = spans(2)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    answers = {post(receiver, request.SerializeToString()).content for _ in range(3)}
    (answer,) = answers
    assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    assert len(journalled_spans(receiver.data)) == 1


def test_a_log_record_without_any_time_is_observed_now(receiver: RunningReceiver) -> None:
    """The log data model lets the collecting side say when it saw a record."""
    request = logs(1)
    request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = 0
    response = post(receiver, request.SerializeToString(), path="/v1/logs")
    assert (response.status_code, response.content) == (200, b"")
    (stored,) = journalled_logs(receiver.data)
    assert stored.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano > 1.7e18


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_a_body_over_the_limit_is_413(
    start_receiver: Callable[..., RunningReceiver], announced: bool
) -> None:
    """Whether its size is announced or found out on the way."""
    receiver = start_receiver(max_body_bytes=10_000)
    body = bytes(10_001)
    response = httpx.post(
        receiver.http + "/v1/traces",
        content=body if announced else iter([body[:6000], body[6000:]]),
        headers=PROTOBUF,
    )
    assert response.status_code == 413
    assert status_of(response).code == Code.RESOURCE_EXHAUSTED
    assert "10000 bytes" in status_of(response).message
    assert "retry-after" not in response.headers


def test_a_client_that_sends_all_before_it_reads_gets_the_answer(
    start_receiver: Callable[..., RunningReceiver],
) -> None:
    """A large refused body does not end in a broken connection, from which nobody learns."""
    receiver = start_receiver(max_body_bytes=8 * 2**20, max_in_flight_bytes=16 * 2**20)
    address = httpx.URL(receiver.http)
    with socket.create_connection((address.host, address.port), timeout=30) as connection:
        body = bytes(24 * 2**20)
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: here\r\nconnection: close\r\n"
            b"content-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        connection.sendall(body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_that_expands_over_the_limit_is_413(
    start_receiver: Callable[..., RunningReceiver], encoding: str
) -> None:
    """The limit holds after decompression too."""
    receiver = start_receiver(max_body_bytes=10_000)
    body = ENCODERS[encoding](bytes(10_001))
    response = post(receiver, body, PROTOBUF | {"content-encoding": encoding})
    assert response.status_code == 413


def test_what_operators_ask(receiver: RunningReceiver) -> None:
    """Health, readiness and metrics; refusals and duplicates are counted."""
    request = spans(4)
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    for _ in range(2):
        post(receiver, request.SerializeToString())
    post(receiver, b"\xff")
    assert httpx.get(receiver.http + "/healthz").text == "ok\n"
    assert httpx.get(receiver.http + "/readyz").json() == {"ready": True}
    exposition = httpx.get(receiver.http + "/metrics").text
    for sample in (
        'quietpager_ingest_accepted_records_total{signal="traces"} 3.0',
        'quietpager_ingest_duplicate_batches_total{signal="traces"} 1.0',
        'quietpager_ingest_refused_records_total{reason="ids",signal="traces"} 2.0',
        'quietpager_ingest_refused_requests_total{reason="malformed",signal="traces"} 1.0',
    ):
        assert sample in exposition.splitlines()
    assert exposition.endswith("# EOF\n")
