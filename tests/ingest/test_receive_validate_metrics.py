"""Which data points are refused, and in which words."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from ingest.receive.validate_metrics import check_metrics

NOW = 4_000_000_000 * 10**9  # later than anything these tests send
SECOND = 1_000_000_000
DAY = 24 * 60 * 60 * SECOND
KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def add_point(metric: Metric, kind: str, **fields: Any) -> None:
    """A sound point of now, but for the fields given."""
    sound = {"time_unix_nano": NOW} | ({"as_int": 1} if kind in {"gauge", "sum"} else {})
    getattr(metric, kind).data_points.add(**sound | fields)


def one_point(kind: str, name: str = "m", **fields: Any) -> tuple[int, dict[str, int], str]:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    add_point(metric, kind, **fields)
    verdict = check_metrics(request, NOW)
    assert len(getattr(metric, kind).data_points) == verdict.kept
    return verdict.kept, verdict.reasons, verdict.first_refusal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"time_unix_nano": 0}, "time_unix_nano 0 is before the year 2000"),
        ({"time_unix_nano": 1_700_000_000}, "it must be unix nanoseconds"),
        ({"time_unix_nano": NOW + DAY + 1}, "is more than one day ahead of the receiver's clock"),
        ({"time_unix_nano": 2**64 - 1}, "is more than one day ahead of the receiver's clock"),
        ({"start_time_unix_nano": 5}, "start_time_unix_nano 5 is before the year 2000"),
        ({"start_time_unix_nano": NOW + DAY + 1}, f"start_time_unix_nano {NOW + DAY + 1} is more"),
    ],
)
def test_a_point_with_absurd_times_is_refused(kind: str, times: dict[str, int], words: str) -> None:
    """Never measured, seconds in place of nanoseconds, or from the future; of any kind."""
    kept, reasons, first = one_point(kind, **times)
    assert (kept, reasons) == (0, {"times": 1})
    assert first.startswith(f"data point of {kind} 'm': ")
    assert words in first


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_point_is_kept(kind: str) -> None:
    """With a start, without one (not known), and with one at the point's own time."""
    for start in (0, NOW - 365 * DAY, NOW):
        assert one_point(kind, start_time_unix_nano=start) == (1, {}, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_without_a_name_is_refused(kind: str) -> None:
    """Nobody could ask for its points."""
    kept, reasons, first = one_point(kind, name="")
    assert (kept, reasons) == (0, {"names": 1})
    assert first == f"data point of {kind} '': the metric must have a name"


@pytest.mark.parametrize("kind", ["gauge", "sum"])
def test_a_number_without_a_value_is_refused(kind: str) -> None:
    """Unless its flags say that there is none: that the series ended is worth knowing."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    points = getattr(metric, kind).data_points
    points.add(time_unix_nano=NOW)
    points.add(time_unix_nano=NOW, flags=1)
    points.add(time_unix_nano=NOW, as_double=0)
    verdict = check_metrics(request, NOW)
    assert (verdict.kept, verdict.reasons) == (2, {"values": 1})
    assert "it has no value; set as_double or as_int" in verdict.first_refusal


@pytest.mark.parametrize(
    ("bounds", "counts", "words"),
    [
        ([1, 2], [1, 2], "2 bucket_counts do not fit 2 explicit_bounds; there must be 3, or none"),
        ([1], [1, 2, 3], "3 bucket_counts do not fit 1 explicit_bounds; there must be 2, or none"),
        ([1, 1], [0, 0, 0], "must be strictly increasing; 1.0 is followed by 1.0"),
        ([2, 1], [], "must be strictly increasing; 2.0 is followed by 1.0"),
        ([math.nan], [0, 0], "must be strictly increasing; -inf is followed by nan"),
        ([0, math.nan, 1], [0, 0, 0, 0], "must be strictly increasing; 0.0 is followed by nan"),
    ],
)
def test_buckets_that_do_not_fit_are_refused(
    bounds: list[float], counts: list[int], words: str
) -> None:
    """A count too few or too many, bounds out of order, bounds that are no numbers."""
    kept, reasons, first = one_point("histogram", explicit_bounds=bounds, bucket_counts=counts)
    assert (kept, reasons) == (0, {"buckets": 1})
    assert words in first


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [([], []), ([], [5]), ([1, 2], []), ([-1, 0.5], [1, 2, 3]), ([0, math.inf], [1, 2, 0])],
)
def test_buckets_may_be_left_out(bounds: list[float], counts: list[int]) -> None:
    """No buckets, one for everything, bounds alone, or one more than bounds."""
    assert one_point("histogram", explicit_bounds=bounds, bucket_counts=counts)[0] == 1


def test_a_metric_without_data_has_no_points() -> None:
    """Nothing of it is kept or refused, name or not, and it does not disturb its neighbours."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="unset")
    metrics.add()
    metrics.add().gauge.SetInParent()
    add_point(metrics.add(name="m"), "gauge")
    verdict = check_metrics(request, NOW)
    assert (verdict.kept, verdict.refused, verdict.changed) == (1, 0, False)


good_or_bad = st.lists(st.sampled_from(["good", "times", "buckets"]), max_size=6)


@given(st.lists(st.tuples(st.sampled_from(["m", ""]), good_or_bad), max_size=5))
def test_exactly_the_bad_points_go(batch: list[tuple[str, list[str]]]) -> None:
    """Whatever the order of good and bad, and in whichever metric: counts of points are exact."""
    request = ExportMetricsServiceRequest()
    for name, faults in batch:
        scope = request.resource_metrics.add().scope_metrics.add()
        metric = scope.metrics.add(name=name)
        for number, fault in enumerate(faults):
            bad: dict[str, Any] = {
                "good": {"count": number},
                "times": {"time_unix_nano": 1},
                "buckets": {"bucket_counts": [1, 2]},
            }[fault]
            add_point(metric, "histogram", **bad)
    verdict = check_metrics(request, NOW)
    named = [faults for name, faults in batch if name]
    expected = {
        "names": sum(len(faults) for name, faults in batch if not name),
        "times": sum(faults.count("times") for faults in named),
        "buckets": sum(faults.count("buckets") for faults in named),
    }
    assert verdict.reasons == {reason: count for reason, count in expected.items() if count}
    assert verdict.kept == sum(faults.count("good") for faults in named)
    assert verdict.changed == bool(verdict.refused)
    left = [
        [point.count for point in scope.metrics[0].histogram.data_points]
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
    ]
    assert left == [
        [number for number, fault in enumerate(faults) if name and fault == "good"]
        for name, faults in batch
    ]


def test_a_refusal_does_not_repeat_a_huge_name() -> None:
    """The answer stays small, whatever the metric is called."""
    assert len(one_point("gauge", name="x" * 1_000_000, time_unix_nano=0)[2]) < 300
