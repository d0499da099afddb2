"""Journal records into flat Arrow rows, one per span, log record or metric.

`ptars` decodes protobuf into nested Arrow in Rust. It cannot express `AnyValue`, which contains
itself, so the descriptors it is given declare the two recursive fields as `bytes` (the same on
the wire). Those rare values are read by the official classes, once per distinct value.

What comes out keeps the shape of OTLP: rows point at their scope and resource by index, and each
level's attributes stay a ragged list of (key, text), so that nothing is copied until it is needed.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ptars
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

Signal = Literal["traces", "logs", "metrics"]
Index = npt.NDArray[np.int64]

_FILES: tuple[Any, ...] = (
    common_pb2,
    resource_pb2,
    trace_pb2,
    logs_pb2,
    metrics_pb2,
    trace_service_pb2,
    logs_service_pb2,
    metrics_service_pb2,
)
_RECURSIVE = {"array_value", "kvlist_value"}
_REQUEST = {
    "traces": "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    "logs": "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
    "metrics": "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
}
_LEVELS = {
    "traces": ("resource_spans", "scope_spans", "spans", "attributes"),
    "logs": ("resource_logs", "scope_logs", "log_records", "attributes"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics", "metadata"),
}


@dataclass(frozen=True)
class Attributes:
    """The attributes of `len(offsets) - 1` owners: owner i has pairs offsets[i] to offsets[i+1].

    `values` are text; null where the sender gave a key without a value.
    """

    offsets: Index
    keys: pa.Array
    values: pa.Array

    def owners(self) -> Index:
        """For every pair, the index of its owner."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def part(self, start: int, stop: int) -> "Attributes":
        """Those of the owners from `start` to `stop`."""
        first, last = self.offsets[start], self.offsets[stop]
        return Attributes(
            self.offsets[start : stop + 1] - first,
            self.keys.slice(first, last - first),
            self.values.slice(first, last - first),
        )


@dataclass(frozen=True)
class Decoded:
    """The rows of some journal records: the struct array of spans, log records or metrics.

    A metric's attributes are its metadata; its points have their own. `scope` and `resource` give
    each row's index into `scopes` and the resources; `received` is when its request was journalled
    (unix ns).
    """

    rows: pa.StructArray
    attributes: Attributes
    scope: Index
    scopes: pa.StructArray
    resource: Index
    resource_attributes: Attributes
    received: Index

    def part(self, start: int, stop: int) -> "Decoded":
        """The rows from `start` to `stop`, with the scopes and resources of all."""
        return replace(
            self,
            rows=self.rows.slice(start, stop - start),
            attributes=self.attributes.part(start, stop),
            scope=self.scope[start:stop],
            resource=self.resource[start:stop],
            received=self.received[start:stop],
        )


def decode(signal: Signal, requests: Sequence[bytes], received_unix_nano: Sequence[int]) -> Decoded:
    """Decode OTLP export requests; raises ValueError when one is not what it was validated as."""
    resources_name, scopes_name, rows_name, attributes_name = _LEVELS[signal]
    batch = _handler(signal).list_to_record_batch(list(requests))
    resources, request_of_resource = _flatten(batch.column(resources_name))
    scopes, resource_of_scope = _flatten(pc.struct_field(resources, scopes_name))
    rows, scope_of_row = _flatten(pc.struct_field(scopes, rows_name))
    resource_of_row = resource_of_scope[scope_of_row]
    received = np.asarray(received_unix_nano, dtype=np.int64)
    return Decoded(
        rows=rows,
        attributes=attributes_of(pc.struct_field(rows, attributes_name)),
        scope=scope_of_row,
        scopes=pc.struct_field(scopes, "scope"),
        resource=resource_of_row,
        resource_attributes=attributes_of(pc.struct_field(resources, ["resource", "attributes"])),
        received=received[request_of_resource[resource_of_row]],
    )


def attributes_of(lists: pa.ListArray) -> Attributes:
    """The attributes held by a list array of KeyValue, one list per owner."""
    pairs, _ = _flatten(lists)
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = np.concatenate(([0], np.cumsum(to_numpy(lengths, np.int64))))
    return Attributes(
        offsets, pc.struct_field(pairs, "key"), text_of(pc.struct_field(pairs, "value"))
    )


def text_of(values: pa.StructArray) -> pa.Array:
    """Each AnyValue as text: numbers in decimal, true/false, bytes in base64, the rest as JSON."""
    text = pc.struct_field(values, "string_value")
    for kind in ("int_value", "double_value", "bool_value"):
        text = _or_else(text, pc.struct_field(values, kind), lambda part: part.cast(pa.string()))
    for kind, plain in (
        ("array_value", _array_as_json),
        ("kvlist_value", _map_as_json),
        ("bytes_value", _base64),
    ):
        text = _or_else(text, pc.struct_field(values, kind), _once_per_value(plain))
    return text


def to_numpy(values: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The values of an array without nulls."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=dtype)


def _flatten(lists: pa.ListArray) -> tuple[pa.Array, Index]:
    """The elements of all lists, and for each the index of its list."""
    return lists.flatten(), to_numpy(pc.list_parent_indices(lists), np.int64)


def _or_else(text: pa.Array, part: pa.Array, as_text: Any) -> pa.Array:
    """`text`, filled from `part` where that has a value; most parts of most batches have none."""
    return text if part.null_count == len(part) else pc.coalesce(text, as_text(part))


def _once_per_value(plain: Any) -> Any:
    """Converts an array by its distinct values: finish reasons and the like repeat."""

    def convert(part: pa.Array) -> pa.Array:
        encoded = part.dictionary_encode()
        distinct = [plain(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(distinct, pa.string()).take(encoded.indices)

    return convert


def _array_as_json(wire: bytes) -> str:
    return _json(_plain(common_pb2.AnyValue(array_value=common_pb2.ArrayValue.FromString(wire))))


def _map_as_json(wire: bytes) -> str:
    value = common_pb2.AnyValue(kvlist_value=common_pb2.KeyValueList.FromString(wire))
    return _json(_plain(value))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _plain(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        pairs = sorted(value.kvlist_value.values, key=lambda pair: pair.key)  # it has no order
        return {pair.key: _plain(pair.value) for pair in pairs}
    if kind == "bytes_value":
        return _base64(value.bytes_value)
    return None if kind is None else getattr(value, kind)


@cache
def _handler(signal: Signal) -> Any:
    pool = _flat_pool()
    request: Descriptor = pool.FindMessageTypeByName(_REQUEST[signal])
    return ptars.HandlerPool([request.file]).get_for_message(request)


@cache
def _flat_pool() -> descriptor_pool.DescriptorPool:
    """The OTLP descriptors with the recursive fields of AnyValue declared as bytes."""
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field if message.name == "AnyValue" else ():
                if field.name in _RECURSIVE:
                    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
        pool.Add(file)
    return pool
