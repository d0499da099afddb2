"""Which data points of metrics are refused, and why. The rest of their batch is kept."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf
from operator import lt
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DataPointFlags,
    HistogramDataPoint,
    NumberDataPoint,
)

from ingest.receive.validate import (
    EARLIEST_UNIX_NANO,
    MAX_AHEAD_NANO,
    SHOWN_CHARACTERS,
    Faults,
    Verdict,
    absurd_time,
    remove_at,
)

_NO_RECORDED_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def check_metrics(request: ExportMetricsServiceRequest, received_unix_nano: int) -> Verdict:
    """Remove from `request` the data points that say nothing one could rely on.

    What is counted are points, not metrics. A point's metric has a name; its time is not before
    2000 nor a day ahead of the receiver's clock, and its start, if it has one, is neither. A
    gauge's or sum's point has a value unless its flags say that there is none, and a histogram's
    has one bucket more than it has bounds, in order, or no buckets (OTLP metrics.proto). A metric
    whose `data` is not set has no points: nothing is kept or refused of it.
    """
    latest = received_unix_nano + MAX_AHEAD_NANO
    kept = 0
    faults = Faults()
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if (kind := metric.WhichOneof("data")) is None:
                    continue
                points = getattr(metric, kind).data_points
                bad = _bad(points, kind, latest) if metric.name else set(range(len(points)))
                for index in sorted(bad):
                    faults.add(_fault(metric.name, kind, points[index], latest))
                kept += len(points) - len(bad)
                remove_at(points, bad)
    return faults.verdict(kept, changed=bool(faults.reasons))


def _bad(points: Sequence[Any], kind: str, latest: int) -> set[int]:
    """The indices of those points of a named metric that are refused."""
    is_measured = _IS_MEASURED[kind]
    return {
        index
        for index, point in enumerate(points)
        if not (
            EARLIEST_UNIX_NANO <= point.time_unix_nano <= latest
            and (not (start := point.start_time_unix_nano) or EARLIEST_UNIX_NANO <= start <= latest)
            and is_measured(point)
        )
    }


def _has_value(point: NumberDataPoint) -> bool:
    return (
        point.HasField("as_double")
        or point.HasField("as_int")
        or bool(point.flags & _NO_RECORDED_VALUE)
    )


def _has_fitting_buckets(point: HistogramDataPoint) -> bool:
    return _fit(point) and _increase(point.explicit_bounds[:])  # a list, as it is read often


def _fit(point: HistogramDataPoint) -> bool:
    counts = len(point.bucket_counts)
    return not counts or counts == len(point.explicit_bounds) + 1


def _increase(bounds: Sequence[float]) -> bool:
    """Whether each is above the one before; NaN is above nothing."""
    return not bounds or (bounds[0] == bounds[0] and all(map(lt, bounds, bounds[1:])))


_IS_MEASURED: dict[str, Callable[[Any], bool]] = {
    "gauge": _has_value,
    "sum": _has_value,
    "histogram": _has_fitting_buckets,
    "exponential_histogram": lambda _: True,
    "summary": lambda _: True,
}


def _fault(name: str, kind: str, point: Any, latest: int) -> tuple[str, str]:
    """The kind of a refused point's fault, and its words."""
    who = f"data point of {kind} {name[:SHOWN_CHARACTERS]!r}"
    if not name:
        return "names", f"{who}: the metric must have a name"
    times = [("time_unix_nano", point.time_unix_nano)]
    if point.start_time_unix_nano:
        times.append(("start_time_unix_nano", point.start_time_unix_nano))
    if not all(EARLIEST_UNIX_NANO <= time <= latest for _, time in times):
        return "times", f"{who}: {absurd_time(times, latest)}"
    if not isinstance(point, HistogramDataPoint):
        return "values", (
            f"{who}: it has no value; set as_double or as_int, or the flag NO_RECORDED_VALUE"
        )
    bounds, counts = point.explicit_bounds, len(point.bucket_counts)
    if not _fit(point):
        return "buckets", (
            f"{who}: {counts} bucket_counts do not fit {len(bounds)} explicit_bounds; "
            f"there must be {len(bounds) + 1}, or none"
        )
    low, high = next((pair for pair in pairwise(bounds) if not lt(*pair)), (-inf, bounds[0]))
    return "buckets", (
        f"{who}: explicit_bounds must be strictly increasing; {low} is followed by {high}"
    )
