"""Rows of the lake table `metrics` equal what was measured, kind by kind."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from ingest.decode import decode
from ingest.metric_rows import metric_rows
from tests.ingest.batches import whole

RECEIVED = 1_795_000_000_000_000_000
NOW = 1_794_000_000_123_456_789
START = NOW - 60 * 10**9
KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
NUMBERS = (
    "value", "count", "sum", "min", "max", "bucket_bounds", "bucket_counts", "scale", "zero_count",
    "zero_threshold", "positive_offset", "positive_counts", "negative_offset", "negative_counts",
    "quantiles", "temporality", "monotonic",
)  # fmt: skip


def rows_of(*requests: ExportMetricsServiceRequest) -> list[dict[str, Any]]:
    encoded = [request.SerializeToString() for request in requests]
    table = whole(metric_rows(decode("metrics", encoded, [RECEIVED] * len(encoded))), "metrics")
    table.validate(full=True)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def pairs(attributes: Mapping[str, str]) -> Iterator[KeyValue]:
    for key, value in attributes.items():
        pair = KeyValue(key=key)
        pair.value.string_value = value
        yield pair


def one_point(
    kind: str, *, attributes: Mapping[str, str] | None = None,
    resource: Mapping[str, str] | None = None, temporality: int = 0, monotonic: bool = False,
    name: str = "m", **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    """The row of one point."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(pairs(resource or {}))
    metric = group.scope_metrics.add().metrics.add(name=name)
    data = getattr(metric, kind)
    if temporality:
        data.aggregation_temporality = temporality
    if monotonic:
        data.is_monotonic = True
    point = data.data_points.add(**{"time_unix_nano": NOW} | fields)
    point.attributes.extend(pairs(attributes or {}))
    [row] = rows_of(request)
    return row


def measured(row: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a row that are not NULL."""
    return {name: row[name] for name in NUMBERS if row[name] is not None}


def at(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)


def test_a_point_has_its_times_name_and_origin() -> None:
    """Times in microseconds UTC, day, unit, description, service, scope, attributes, receipt."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(pairs({"service.name": "shop", "team.id": "acme"}))
    scope = group.scope_metrics.add()
    scope.scope.name, scope.scope.version = "agent", "1.2"
    metric = scope.metrics.add(name="queue.length", unit="{request}", description="Waiting")
    metric.gauge.data_points.add(
        time_unix_nano=NOW, start_time_unix_nano=START, as_int=7, flags=256
    ).attributes.extend(pairs({"queue": "fast"}))
    [row] = rows_of(request)
    assert (row["name"], row["unit"], row["description"]) == (
        "queue.length",
        "{request}",
        "Waiting",
    )
    assert (row["time"], row["start_time"]) == (at(NOW), at(START))
    assert row["day"] == at(NOW).date()
    assert (row["service_name"], row["scope_name"], row["scope_version"]) == (
        "shop",
        "agent",
        "1.2",
    )
    assert row["tenant_id"] == "acme"
    assert row["attributes"] == [("queue", "fast")]
    assert row["resource_attributes"] == [("service.name", "shop"), ("team.id", "acme")]
    assert (row["flags"], row["no_recorded_value"]) == (256, False)
    assert row["received_at"] == at(RECEIVED)
    assert len(row["metric_id"]) == 32


def test_what_was_not_sent_is_null() -> None:
    """No start, no unit, no description, no scope; an empty text is none."""
    row = one_point("gauge", as_int=1)
    names = ("start_time", "unit", "description", "scope_name", "service_name", "token_type")
    assert {name: row[name] for name in names} == dict.fromkeys(names)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"as_int": 7}, 7.0),
        ({"as_int": -(2**63)}, -(2.0**63)),
        ({"as_int": 2**53 + 1}, 2.0**53),
        ({"as_double": 0.1}, 0.1),
        ({"as_double": 0}, 0.0),
        ({"as_double": math.inf}, math.inf),
    ],
)
def test_a_number_is_a_double(fields: dict[str, Any], value: float) -> None:
    """Integers too; beyond 2^53 they are rounded, as documented."""
    assert measured(one_point("gauge", **fields)) == {"value": value}


@pytest.mark.parametrize(("code", "name"), [(0, None), (1, "delta"), (2, "cumulative")])
def test_a_sum_says_what_it_adds_up(code: int, name: str | None) -> None:
    """Temporality and monotonicity; one that is not stated is NULL."""
    row = one_point("sum", as_int=1, temporality=code, monotonic=code == 1)
    assert (row["kind"], row["temporality"], row["monotonic"]) == ("sum", name, code == 1)


def test_a_histogram_has_its_buckets() -> None:
    """Bounds and counts as lists; sum, min and max only where they were sent."""
    row = one_point(
        "histogram", temporality=1, count=4, sum=3.5, min=0.0, max=2.5,
        explicit_bounds=[0.5, 1], bucket_counts=[2, 1, 1],
    )  # fmt: skip
    assert measured(row) == {
        "temporality": "delta", "count": 4, "sum": 3.5, "min": 0.0, "max": 2.5,
        "bucket_bounds": [0.5, 1.0], "bucket_counts": [2, 1, 1],
    }  # fmt: skip
    bare = one_point("histogram", count=0)
    assert measured(bare) == {"count": 0, "bucket_bounds": [], "bucket_counts": []}


def test_an_exponential_histogram_has_both_sides() -> None:
    """Scale, zero bucket, and each side's offset and counts; a side that was not sent has none."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    points = metric.exponential_histogram.data_points
    whole = points.add(
        time_unix_nano=NOW, count=6, sum=-1, scale=-2, zero_count=1, zero_threshold=0.5, min=-3
    )
    whole.positive.offset, whole.negative.offset = -3, 4
    whole.positive.bucket_counts.extend([1, 2])
    whole.negative.bucket_counts.extend([2])
    points.add(time_unix_nano=NOW).positive.bucket_counts.extend([3])
    both, one = rows_of(request)
    assert measured(both) == {
        "count": 6, "sum": -1.0, "min": -3.0, "scale": -2, "zero_count": 1, "zero_threshold": 0.5,
        "positive_offset": -3, "positive_counts": [1, 2],
        "negative_offset": 4, "negative_counts": [2],
    }  # fmt: skip
    assert (one["positive_offset"], one["positive_counts"]) == (0, [3])
    assert (one["negative_offset"], one["negative_counts"]) == (None, [])


def test_a_summary_has_its_quantiles() -> None:
    """As the sender computed them."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    point = metric.summary.data_points.add(time_unix_nano=NOW, count=2, sum=3)
    for quantile, value in ((0.5, 1.0), (0.99, 2.0)):
        point.quantile_values.add(quantile=quantile, value=value)
    [row] = rows_of(request)
    quantiles = [{"quantile": 0.5, "value": 1.0}, {"quantile": 0.99, "value": 2.0}]
    assert measured(row) == {"count": 2, "sum": 3.0, "quantiles": quantiles}


@pytest.mark.parametrize("kind", KINDS)
def test_no_recorded_value_is_null_and_not_zero(kind: str) -> None:
    """A series that ended says so by a flag; whatever number stands beside it is none."""
    fields = {"as_double": 0} if kind in {"gauge", "sum"} else {"count": 0, "sum": 0}
    row = one_point(kind, flags=1, **fields)
    assert row["no_recorded_value"]
    numbers = ("value", "count", "sum", "min", "max", "zero_count")
    assert {name: row[name] for name in numbers} == dict.fromkeys(numbers)


def test_a_count_that_no_engine_holds_is_null() -> None:
    """2^63 and more do not become negative."""
    row = one_point(
        "histogram", count=2**64 - 1, explicit_bounds=[1], bucket_counts=[2**63, 2**63 - 1]
    )
    assert (row["count"], row["bucket_counts"]) == (None, [None, 2**63 - 1])


@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "exponential_histogram"])
def test_exemplars_lead_to_spans(kind: str) -> None:
    """Time, value and ids are kept; the attributes that the metric left out are not."""
    whole = Exemplar(time_unix_nano=NOW, as_double=0.5, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    whole.filtered_attributes.extend(pairs({"gen_ai.prompt": "the secret plan"}))
    bare = Exemplar(time_unix_nano=NOW, as_int=3)
    row = one_point(kind, exemplars=[whole, bare])
    assert row["exemplars"] == [
        {"time": at(NOW), "value": 0.5, "trace_id": "01" * 16, "span_id": "02" * 8},
        {"time": at(NOW), "value": 3.0, "trace_id": None, "span_id": None},
    ]
    assert "secret" not in str(row)


def test_agent_attributes_become_columns() -> None:
    """Those of the GenAI conventions, old and new, by the sources that spans have."""
    row = one_point(
        "histogram",
        attributes={
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "user.id": "u",
            "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.token.type": "input", "error.type": "timeout", "gen_ai.agent.name": "helper",
        },
        resource={"tenant.id": "acme"},
    )  # fmt: skip
    found = {
        "operation": "chat", "provider": "openai", "request_model": "gpt-4o", "user_id": "u",
        "response_model": "gpt-4o-2024-08-06", "token_type": "input", "error_class": "timeout",
        "agent_name": "helper", "tenant_id": "acme",
    }  # fmt: skip
    assert {name: row[name] for name in found} == found
    assert one_point("sum", attributes={"llm.usage.token_type": "prompt"})["token_type"] == "prompt"


def id_of(kind: str = "histogram", **changes: Any) -> str:
    fields = {"count": 1, "sum": 1.5, "explicit_bounds": [1.0], "bucket_counts": [0, 1]}
    fields = fields if kind == "histogram" else {}
    return str(one_point(kind, **fields | changes)["metric_id"])


@pytest.mark.parametrize(
    "change",
    [
        {"time_unix_nano": NOW + 1}, {"start_time_unix_nano": START}, {"name": "n"}, {"count": 2},
        {"sum": 1.25}, {"explicit_bounds": [1.5]}, {"bucket_counts": [1, 0]}, {"temporality": 1},
        {"attributes": {"a": "1"}}, {"resource": {"a": "1"}}, {"min": 0.0}, {"flags": 2},
    ],
    ids=str,
)  # fmt: skip
def test_another_point_has_another_id(change: dict[str, Any]) -> None:
    """Whatever differs: the interval by a nanosecond, the series, or what was measured."""
    assert id_of(**change) != id_of()


@pytest.mark.parametrize(
    "scope", [{"name": "n"}, {"version": "1"}, {"attributes": list(pairs({"a": "1"}))}], ids=str
)
def test_another_scope_is_another_series(scope: dict[str, Any]) -> None:
    """By name, by version, or by an attribute of the scope."""
    request = ExportMetricsServiceRequest()
    for given in ({}, scope):
        metrics = request.resource_metrics.add().scope_metrics.add(scope=given).metrics
        metrics.add(name="m").gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    assert len({row["metric_id"] for row in rows_of(request)}) == 2


def test_large_integers_keep_their_ids_apart() -> None:
    """Two counts that are the same as doubles are two points."""
    assert id_of("sum", as_int=2**53) != id_of("sum", as_int=2**53 + 1)


def test_the_same_point_has_the_same_id() -> None:
    """In whichever request and place among others it comes, and whenever."""
    alone, among = ExportMetricsServiceRequest(), ExportMetricsServiceRequest()
    metric = Metric(name="m")
    metric.gauge.data_points.add(time_unix_nano=NOW, as_double=1.5)
    alone.resource_metrics.add().scope_metrics.add().metrics.append(metric)
    among.resource_metrics.add().scope_metrics.add().metrics.add(name="other").sum.SetInParent()
    metrics = among.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="m").gauge.data_points.add(time_unix_nano=NOW, as_double=2.5)
    metrics.append(metric)
    [first] = rows_of(alone)
    same = [row for row in rows_of(among, alone) if row["value"] == 1.5]
    assert [row["metric_id"] for row in same] == [first["metric_id"]] * 2


def test_points_keep_to_their_own_metric_and_resource() -> None:
    """Kinds, resources and scopes mixed in one request never cross."""
    request = ExportMetricsServiceRequest()
    expected = set()
    for tenant in ("a", "b"):
        group = request.resource_metrics.add()
        group.resource.attributes.extend(pairs({"tenant.id": tenant}))
        for scope_name in ("x", "y"):
            scope = group.scope_metrics.add()
            scope.scope.name = scope_name
            scope.metrics.add(name="empty")
            for kind in reversed(KINDS):
                data = getattr(scope.metrics.add(name=f"{kind} {tenant}{scope_name}"), kind)
                for series in ("1", "2"):
                    point = data.data_points.add(time_unix_nano=NOW)
                    point.attributes.extend(pairs({"series": series}))
                    expected.add((f"{kind} {tenant}{scope_name}", kind, tenant, scope_name, series))
    rows = rows_of(request)
    assert len(rows) == len(expected)
    assert {
        (r["name"], r["kind"], r["tenant_id"], r["scope_name"], dict(r["attributes"])["series"])
        for r in rows
    } == expected


@pytest.mark.parametrize("requests", [[], [b""], [b"", b""]])
def test_empty_requests_have_no_rows(requests: list[bytes]) -> None:
    """A sender with nothing to say is no error."""
    table = whole(metric_rows(decode("metrics", requests, [RECEIVED] * len(requests))), "metrics")
    assert isinstance(table, pa.Table)
    assert table.num_rows == 0


def test_what_the_sdk_measures_arrives() -> None:
    """Points of the OpenTelemetry SDK: a token histogram, a duration, a counter and a gauge."""
    reader = InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})
    provider = MeterProvider(
        [reader],
        resource=Resource({"service.name": "shop"}),
        exemplar_filter=AlwaysOnExemplarFilter(),
        views=[
            View(
                instrument_name="gen_ai.client.operation.duration",
                aggregation=ExponentialBucketHistogramAggregation(),
            )
        ],
    )
    meter = provider.get_meter("agent", "1.0")
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    tokens = meter.create_histogram(
        "gen_ai.client.token.usage", unit="{token}", explicit_bucket_boundaries_advisory=[10, 100]
    )
    with TracerProvider().get_tracer("agent").start_as_current_span("chat") as span:
        for count in (5, 50, 500):
            tokens.record(count, call | {"gen_ai.token.type": "input"})
    duration = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
    for seconds in (0.25, 0.5):
        duration.record(seconds, call)
    meter.create_counter("agent.runs").add(2, {"tenant.id": "acme"})
    meter.create_up_down_counter("agent.active").add(-1)
    meter.create_gauge("queue.length").set(3)
    rows = {row["name"]: row for row in rows_of(encode_metrics(reader.get_metrics_data()))}
    provider.shutdown()

    used = rows["gen_ai.client.token.usage"]
    assert measured(used) == {
        "temporality": "delta", "count": 3, "sum": 555.0, "min": 5.0, "max": 500.0,
        "bucket_bounds": [10.0, 100.0], "bucket_counts": [1, 1, 1],
    }  # fmt: skip
    assert (used["request_model"], used["token_type"]) == ("gpt-4o", "input")
    assert (used["unit"], used["service_name"], used["scope_version"]) == ("{token}", "shop", "1.0")
    assert used["start_time"] < used["time"]
    assert {exemplar["span_id"] for exemplar in used["exemplars"]} == {
        trace.format_span_id(span.get_span_context().span_id)
    }
    took = rows["gen_ai.client.operation.duration"]
    assert took["kind"] == "exponential_histogram"
    assert (took["count"], took["sum"], sum(took["positive_counts"])) == (2, 0.75, 2)
    base = 2 ** (2 ** -took["scale"])
    assert base ** took["positive_offset"] < 0.25 <= base ** (took["positive_offset"] + 1)
    assert measured(rows["agent.runs"]) == {
        "value": 2.0, "temporality": "cumulative", "monotonic": True
    }  # fmt: skip
    assert rows["agent.runs"]["tenant_id"] == "acme"
    assert measured(rows["agent.active"]) == {
        "value": -1.0, "temporality": "cumulative", "monotonic": False
    }  # fmt: skip
    assert measured(rows["queue.length"]) == {"value": 3.0}
