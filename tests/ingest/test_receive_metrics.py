"""OTLP metrics over HTTP and gRPC, as the specification has them, over real sockets."""

import json
import re
import time
from collections.abc import Callable

import grpc
import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpExporter,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader

from tests.ingest.batches import journalled_bytes, journalled_metrics, metrics
from tests.ingest.running import RunningReceiver

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def post(
    receiver: RunningReceiver, body: bytes | str, headers: dict[str, str] = PROTOBUF
) -> httpx.Response:
    return httpx.post(f"{receiver.http}/v1/metrics", content=body, headers=headers, timeout=20)


def metric_in(request: ExportMetricsServiceRequest) -> Metric:
    """The first metric of a request."""
    return request.resource_metrics[0].scope_metrics[0].metrics[0]


def in_json(*metrics: object) -> str:
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})


def http_exporter(receiver: RunningReceiver) -> MetricExporter:
    return HttpExporter(f"{receiver.http}/v1/metrics", compression=Compression.Gzip)


def grpc_exporter(receiver: RunningReceiver) -> MetricExporter:
    return GrpcExporter(receiver.grpc, insecure=True)


@pytest.mark.parametrize("exporter", [http_exporter, grpc_exporter])
def test_the_sdk_exports_metrics(
    receiver: RunningReceiver, exporter: Callable[[RunningReceiver], MetricExporter]
) -> None:
    """The official exporter's points are in the journal, over either transport."""
    provider = MeterProvider([PeriodicExportingMetricReader(exporter(receiver))])
    meter = provider.get_meter("agent")
    meter.create_histogram("gen_ai.client.operation.duration", unit="s").record(0.25)
    meter.create_counter("agent.runs").add(2, {"tenant.id": "acme"})
    provider.shutdown()
    (request,) = journalled_metrics(receiver.data)
    duration, runs = request.resource_metrics[0].scope_metrics[0].metrics
    assert duration.histogram.data_points[0].sum == 0.25
    assert runs.sum.data_points[0].as_int == 2


def test_success_is_an_empty_response(receiver: RunningReceiver) -> None:
    """In the encoding of the request; what is stored is what was sent."""
    request = metrics()
    response = post(receiver, request.SerializeToString())
    assert (response.status_code, response.content) == (200, b"")
    assert journalled_metrics(receiver.data) == [request]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", PROTOBUF),
        (metrics(0).SerializeToString(), PROTOBUF),
        ("{}", JSON),
        (in_json({"name": "never.measured"}), JSON),
        (in_json({"gauge": {}}), JSON),
    ],
)
def test_an_empty_request_succeeds_and_stores_nothing(
    receiver: RunningReceiver, body: bytes | str, headers: dict[str, str]
) -> None:
    """No body, no points, a metric without data, one without points or a name: nothing refused."""
    response = post(receiver, body, headers)
    assert response.status_code == 200
    assert response.content in {b"", b"{}"}
    assert journalled_bytes(receiver.data, "metrics") == []


def test_json_as_otlp_has_it(receiver: RunningReceiver) -> None:
    """Hex ids in exemplars, 64-bit integers as text or number, integer enums, special doubles."""
    now = time.time_ns()
    exemplar = {
        "timeUnixNano": str(now), "asDouble": 0.3, "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
    }  # fmt: skip
    counts = {"count": "3", "bucketCounts": ["2", 1], "explicitBounds": [0.5], "sum": 1}
    response = post(
        receiver,
        in_json(
            {"name": "d", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"timeUnixNano": now, "exemplars": [exemplar], **counts}]}},
            {"name": "n", "sum": {"isMonotonic": True, "dataPoints": [
                {"timeUnixNano": str(now), "asInt": "9007199254740993", "fromTheFuture": 1},
                {"timeUnixNano": str(now), "asDouble": "NaN", "exemplars": [exemplar]}]}},
            {"name": "e", "exponentialHistogram": {"dataPoints": [
                {"timeUnixNano": now, "count": 1, "scale": 3, "exemplars": [exemplar],
                 "positive": {"offset": -2, "bucketCounts": ["1"]}}]}},
            {"name": "q", "summary": {"dataPoints": [
                {"timeUnixNano": now, "quantileValues": [{"quantile": 0.5, "value": 2}]}]}},
        ),
        JSON,
    )  # fmt: skip
    assert (response.status_code, response.content) == (200, b"{}")
    (request,) = journalled_metrics(receiver.data)
    duration, numbers, exponential, quantiles = request.resource_metrics[0].scope_metrics[0].metrics
    assert duration.histogram.aggregation_temporality == 2
    assert list(duration.histogram.data_points[0].bucket_counts) == [2, 1]
    for points in (
        duration.histogram.data_points,
        numbers.sum.data_points[1:],
        exponential.exponential_histogram.data_points,
    ):
        (stored,) = points[0].exemplars
        assert stored.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
        assert stored.span_id.hex() == "eee19b7ec3c1b174"
    assert numbers.sum.data_points[0].as_int == 9007199254740993
    assert exponential.exponential_histogram.data_points[0].positive.offset == -2
    assert quantiles.summary.data_points[0].quantile_values[0].value == 2


def test_an_id_that_is_not_hexadecimal_is_named(receiver: RunningReceiver) -> None:
    """An exemplar with a base64 id is malformed, and the error says so."""
    point = {"timeUnixNano": 1, "exemplars": [{"traceId": "W47/95gDgQPSabYzgT/GDA=="}]}
    response = post(receiver, in_json({"name": "n", "gauge": {"dataPoints": [point]}}), JSON)
    assert response.status_code == 400
    assert "traceId 'W47/95gDgQPSabYzgT/GDA==' is not hexadecimal" in response.text


def spoilt() -> ExportMetricsServiceRequest:
    """Five histogram points of which two are bad, and a metric of two points without a name."""
    request = metrics(5)
    points = metric_in(request).histogram.data_points
    points[1].time_unix_nano = 0
    points[3].bucket_counts.append(1)
    nameless = request.resource_metrics[0].scope_metrics[0].metrics.add()
    for _ in range(2):
        nameless.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=1)
    return request


def test_partial_success_counts_points(receiver: RunningReceiver) -> None:
    """Points are counted, not metrics; the first refusal is named, the rest is stored."""
    request = spoilt()
    points = metric_in(request).histogram.data_points
    good = [points[0], points[2], points[4]]
    response = post(receiver, request.SerializeToString())
    assert response.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_data_points == 4
    assert partial.error_message == (
        "4 of 7 data points refused; first: data point of histogram "
        "'gen_ai.client.operation.duration': time_unix_nano 0 is before the year 2000; "
        "it must be unix nanoseconds"
    )
    (stored,) = journalled_metrics(receiver.data)
    assert list(metric_in(stored).histogram.data_points) == good
    exposition = httpx.get(receiver.http + "/metrics").text.splitlines()
    for sample in (
        'accepted_records_total{signal="metrics"} 3.0',
        'refused_records_total{reason="buckets",signal="metrics"} 1.0',
        'refused_records_total{reason="names",signal="metrics"} 2.0',
        'refused_records_total{reason="times",signal="metrics"} 1.0',
    ):
        assert f"quietpager_ingest_{sample}" in exposition


def test_partial_success_in_json(receiver: RunningReceiver) -> None:
    """In OTLP's JSON spelling, for a batch of which nothing is kept."""
    response = post(receiver, in_json({"name": "n", "gauge": {"dataPoints": [{}, {}]}}), JSON)
    assert response.status_code == 200
    partial = response.json()["partialSuccess"]
    assert partial["rejectedDataPoints"] == "2"
    assert "2 of 2 data points refused; first: data point of gauge 'n'" in partial["errorMessage"]
    assert journalled_bytes(receiver.data, "metrics") == []


def test_partial_success_over_grpc(receiver: RunningReceiver) -> None:
    """The same over gRPC; a retry gets the same answer and is stored once."""
    request = spoilt()
    with grpc.insecure_channel(receiver.grpc) as channel:
        answers = [MetricsServiceStub(channel).Export(request, timeout=20) for _ in range(2)]
        empty = MetricsServiceStub(channel).Export(ExportMetricsServiceRequest(), timeout=20)
    assert [answer.partial_success.rejected_data_points for answer in answers] == [4, 4]
    assert not empty.HasField("partial_success")
    assert len(journalled_bytes(receiver.data, "metrics")) == 1


def test_malformed_is_refused_by_name(receiver: RunningReceiver) -> None:
    """Over both transports, with the status of a request that is not to be retried."""
    response = post(receiver, b"\xff\xff")
    assert response.status_code == 400
    assert re.search(rb"not a valid ExportMetricsServiceRequest", response.content)
    export = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    with grpc.insecure_channel(receiver.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(export)(b"\xff\xff", timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_no_room_is_for_a_retry(start_receiver: Callable[..., RunningReceiver]) -> None:
    """Back-pressure holds for metrics as for every signal."""
    receiver = start_receiver(journal_budget_bytes=0)
    response = post(receiver, metrics().SerializeToString())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_of_two_kinds_of_data_the_last_is_stored(receiver: RunningReceiver) -> None:
    """Protobuf readers differ on a sender that set both; the journal holds what was counted."""
    first, second = Metric(name="m"), Metric()
    first.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=1)
    second.sum.data_points.add(time_unix_nano=time.time_ns(), as_int=2)
    body = first.SerializeToString() + second.SerializeToString()
    for field in (b"\x12", b"\x12", b"\x0a"):  # metrics, scope_metrics, resource_metrics
        body = field + bytes([len(body)]) + body
    assert post(receiver, body).content == b""
    (stored,) = journalled_bytes(receiver.data, "metrics")
    assert stored == ExportMetricsServiceRequest.FromString(body).SerializeToString()
    assert len(stored) < len(body)
