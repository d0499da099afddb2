"""Which data points of metrics are refused, and why. The rest of their batch is kept."""

from itertools import pairwise
from math import inf
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
    Verdict,
    absurd_time,
    verdict,
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
    faults: list[tuple[str, str]] = []
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if (kind := metric.WhichOneof("data")) is None:
                    continue
                points = getattr(metric, kind).data_points
                bad = []
                for index, point in enumerate(points):
                    fault = _fault(metric.name, kind, point, latest)
                    if fault is not None:
                        bad.append(index)
                        faults.append(fault)
                kept += len(points) - len(bad)
                for index in reversed(bad):
                    del points[index]
    return verdict(kept, faults, changed=bool(faults))


def _fault(name: str, kind: str, point: Any, latest: int) -> tuple[str, str] | None:
    """The kind of fault and its words; None for a sound point."""
    who = f"data point of {kind} {name[:SHOWN_CHARACTERS]!r}"
    if not name:
        return "names", f"{who}: the metric must have a name"
    time, start = point.time_unix_nano, point.start_time_unix_nano
    if not (
        EARLIEST_UNIX_NANO <= time <= latest
        and (not start or EARLIEST_UNIX_NANO <= start <= latest)
    ):
        times = [("time_unix_nano", time)]
        if start:
            times.append(("start_time_unix_nano", start))
        return "times", f"{who}: {absurd_time(times, latest)}"
    if isinstance(point, NumberDataPoint) and _lacks_value(point):
        return "values", (
            f"{who}: it has no value; set as_double or as_int, or the flag NO_RECORDED_VALUE"
        )
    if isinstance(point, HistogramDataPoint) and (what := _bucket_fault(point)):
        return "buckets", f"{who}: {what}"
    return None


def _lacks_value(point: NumberDataPoint) -> bool:
    return point.WhichOneof("value") is None and not point.flags & _NO_RECORDED_VALUE


def _bucket_fault(point: HistogramDataPoint) -> str:
    """What is wrong with a histogram's buckets; empty if nothing is."""
    bounds, counts = point.explicit_bounds, len(point.bucket_counts)
    if counts not in {0, len(bounds) + 1}:
        return (
            f"{counts} bucket_counts do not fit {len(bounds)} explicit_bounds; "
            f"there must be {len(bounds) + 1}, or none"
        )
    for low, high in pairwise((-inf, *bounds)):
        if not low < high:  # NaN is not above anything either
            return f"explicit_bounds must be strictly increasing; {low} is followed by {high}"
    return ""
