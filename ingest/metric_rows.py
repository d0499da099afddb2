"""Decoded metrics into rows of the lake, one per data point.

Each kind of metric has points of its own shape. What a kind does not have is NULL in its rows.
Derived here: whether a point has a value at all, and its identity (`metric_id`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Decoded, attributes_of, to_numpy
from ingest.limits import shortened
from ingest.origin import digests_of, joined, piece_ranges, placed_in_time, table_of
from ingest.promote import pairs_of, promoted
from ingest.senders import Senders
from ingest.vectors import (
    fields_of,
    hex_of,
    list_of,
    names_of,
    offsets_of,
    or_null,
    time_of,
    where,
)
from lake.mapping import AttributeMap
from lake.mapping_file import SHIPPED
from lake.schema import MAPPED, METRICS

_TEMPORALITIES = ("", "delta", "cumulative")
_NO_RECORDED_VALUE = pa.scalar(1, pa.uint32())  # metrics.proto, DataPointFlags
_LONGEST_TEXT = 1024
_LARGEST_COUNT = pa.scalar(2**63 - 1, pa.uint64())
_PROMOTED = tuple(c for c in METRICS.columns if c.name in MAPPED and c.name != "service_name")

Columns = dict[str, pa.Array]


def metric_rows(decoded: Decoded, mapping: AttributeMap = SHIPPED) -> Iterator[pa.Table]:
    """Rows of the lake table `metrics`."""
    for kind in _MEASURED:
        data = pc.struct_field(decoded.rows, kind)
        lists = pc.struct_field(data, "data_points")
        points, metric = lists.flatten(), pa.array(pc.list_parent_indices(lists))
        rows = _as_rows(points, decoded, metric)
        for start, stop in piece_ranges(rows):
            owners = metric.slice(start, stop - start)
            of_metric = _of_metric(decoded.rows, data)
            told = {name: values.take(owners) for name, values in of_metric.items()}
            yield _rows_of(kind, rows.part(start, stop), told, mapping)


def _rows_of(kind: str, decoded: Decoded, of_metric: Columns, mapping: AttributeMap) -> pa.Table:
    points = decoded.rows
    of_metric["kind"] = pa.repeat(kind, len(points))
    measured = _MEASURED[kind](points)
    own = pairs_of(decoded.attributes, mapping)
    senders = Senders(mapping, decoded, of_metric["name"])
    columns = _nothing(len(points)) | promoted(decoded, _PROMOTED, mapping, own, senders)
    columns |= shortened(columns) | of_metric | measured
    columns |= _of_point(points, decoded)
    columns["metric_id"] = _metric_ids(decoded, of_metric, measured)
    return table_of(METRICS.arrow, decoded, columns, mapping)


def _as_rows(points: pa.StructArray, metrics: Decoded, metric: pa.Array) -> Decoded:
    """The points as rows of their own, each with the scope and resource of its metric."""
    index = to_numpy(metric, np.int64)
    return replace(
        metrics,
        rows=points,
        attributes=attributes_of(pc.struct_field(points, "attributes")),
        scope=metrics.scope[index],
        resource=metrics.resource[index],
        received=metrics.received[index],
    )


def _nothing(length: int) -> Columns:
    return {field.name: pa.nulls(length, field.type) for field in METRICS.arrow}


def _of_metric(metrics: pa.StructArray, data: pa.StructArray) -> Columns:
    field = fields_of(metrics)
    columns = {
        "name": _short(field("name")),
        "description": or_null(_short(field("description"))),
        "unit": or_null(_short(field("unit"))),
    }
    if "aggregation_temporality" in data.type.names:
        codes = pc.struct_field(data, "aggregation_temporality")
        columns["temporality"] = or_null(names_of(codes, _TEMPORALITIES))
    if "is_monotonic" in data.type.names:
        columns["monotonic"] = pc.struct_field(data, "is_monotonic")
    return columns


def _short(text: pa.Array) -> pa.Array:
    """Cut to `_LONGEST_TEXT`: it stands beside every point."""
    return pc.utf8_slice_codeunits(text, 0, _LONGEST_TEXT)


def _of_point(points: pa.StructArray, decoded: Decoded) -> Columns:
    """What every point has: its time, its flags, and (but for a summary) exemplars."""
    field = fields_of(points)
    start = time_of(field("start_time_unix_nano"))
    flags = field("flags")
    columns = {
        **placed_in_time(time_of(field("time_unix_nano")), start, decoded),
        "start_time": start,
        "flags": flags,
        "no_recorded_value": pc.not_equal(pc.bit_wise_and(flags, _NO_RECORDED_VALUE), 0),
    }
    if "exemplars" in points.type.names:
        columns["exemplars"] = _exemplars(field("exemplars"))
    return columns


def _number(points: pa.StructArray) -> Columns:
    return {"value": where(_recorded(points), _as_double(points))}


def _histogram(points: pa.StructArray) -> Columns:
    field = fields_of(points)
    return _summed(points, "count", "sum", "min", "max") | {
        "bucket_bounds": field("explicit_bounds"),
        "bucket_counts": _counts(field("bucket_counts")),
    }


def _exponential_histogram(points: pa.StructArray) -> Columns:
    columns = _summed(points, "count", "sum", "min", "max", "zero_count")
    columns["scale"] = pc.struct_field(points, "scale")
    columns["zero_threshold"] = pc.struct_field(points, "zero_threshold")
    for side in ("positive", "negative"):
        columns[f"{side}_offset"] = pc.struct_field(points, [side, "offset"])
        columns[f"{side}_counts"] = _counts(pc.struct_field(points, [side, "bucket_counts"]))
    return columns


def _summary(points: pa.StructArray) -> Columns:
    return _summed(points, "count", "sum") | {
        "quantiles": pc.struct_field(points, "quantile_values")
    }


_MEASURED: dict[str, Callable[[pa.StructArray], Columns]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


def _summed(points: pa.StructArray, *names: str) -> Columns:
    """Numbers about all values of a point. A point without any says 0, which is none of them."""
    recorded = _recorded(points)
    columns = {name: where(recorded, pc.struct_field(points, name)) for name in names}
    return {
        name: _count(values) if pa.types.is_uint64(values.type) else values
        for name, values in columns.items()
    }


def _recorded(points: pa.StructArray) -> pa.Array:
    flags = pc.struct_field(points, "flags")
    return pc.equal(pc.bit_wise_and(flags, _NO_RECORDED_VALUE), 0)


def _as_double(numbers: pa.StructArray) -> pa.Array:
    """The value of number points or exemplars, of whichever type it is."""
    whole = pc.struct_field(numbers, "as_int").cast(pa.float64(), safe=False)
    return pc.coalesce(pc.struct_field(numbers, "as_double"), whole)


def _count(counts: pa.Array) -> pa.Array:
    """Counts as signed numbers, which engines have; NULL beyond 2^63 - 1, where nobody counts."""
    return where(pc.less_equal(counts, _LARGEST_COUNT), counts).cast(pa.int64())


def _counts(lists: pa.ListArray) -> pa.Array:
    return list_of(offsets_of(lists), _count(lists.flatten()))


def _exemplars(lists: pa.ListArray) -> pa.Array:
    """Without the attributes that the metric left out: nobody groups by them, and they may be long.

    The span has them all.
    """
    flat = lists.flatten()
    structs = pa.StructArray.from_arrays(
        [
            time_of(pc.struct_field(flat, "time_unix_nano")),
            _as_double(flat),
            hex_of(pc.struct_field(flat, "trace_id"), 16),
            hex_of(pc.struct_field(flat, "span_id"), 8),
        ],
        fields=list(METRICS.arrow.field("exemplars").type.value_type),
    )
    return list_of(offsets_of(lists), structs)


def _metric_ids(decoded: Decoded, of_metric: Columns, measured: Columns) -> pa.Array:
    """The identity of each point: its series, its interval and what was measured.

    Times and whole numbers are exact here. Two values of one series at one time are two points.
    """
    field = fields_of(decoded.rows)
    scopes = digests_of(
        *(pc.struct_field(decoded.scopes, name) for name in ("name", "version")),
        joined(attributes_of(pc.struct_field(decoded.scopes, "attributes"))),
    )
    resources = digests_of(joined(decoded.resource_attributes))
    exact = ("time_unix_nano", "start_time_unix_nano", "flags", "as_int")
    return digests_of(
        *(_text(field(name)) for name in exact if name in decoded.rows.type.names),
        *(of_metric[name].cast(pa.string()) for name in sorted(of_metric.keys() - {"description"})),
        scopes.take(pa.array(decoded.scope)),
        resources.take(pa.array(decoded.resource)),
        joined(decoded.attributes),
        *(_text(values) for values in measured.values()),
    )


def _text(values: pa.Array) -> pa.Array:
    """Numbers, or lists of numbers or of pairs of them, as text."""
    if not pa.types.is_list(values.type):
        return values.cast(pa.string())
    flat = values.flatten()
    if pa.types.is_struct(flat.type):
        members = [part.cast(pa.string()) for part in flat.flatten()]
        texts = pc.binary_join_element_wise(*members, "=")
    else:
        texts = pc.fill_null(flat.cast(pa.string()), "")
    return pc.binary_join(list_of(offsets_of(values), texts), ",")
