"""What rows of every table have in common: when they are from, who sent them, what they are."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Decoded, Index, to_numpy
from ingest.promote import pairs_of, promote
from ingest.vectors import hex_of_bytes, list_of, map_of, or_null, order_of, time_of
from lake.mapping import AttributeMap
from lake.schema import SERVICE_NAME

_PIECE_BYTES = 64 * 1024 * 1024


def pieces(decoded: Decoded) -> Iterator[Decoded]:
    """The rows in pieces that are small also once each has its resource and scope beside it.

    OTLP says those once for many rows, a table says them in every row. There is one piece unless
    they are very long.
    """
    for start, stop in piece_ranges(decoded):
        yield decoded if stop - start == len(decoded.rows) else decoded.part(start, stop)


def piece_ranges(decoded: Decoded) -> Iterator[tuple[int, int]]:
    """The first row of each piece, and the first after it."""
    return _ranges(_repeated_bytes(decoded))


def _repeated_bytes(decoded: Decoded) -> Index:
    """For each row, the bytes that it shares with others and gets a copy of."""
    attributes = decoded.resource_attributes
    pairs = pc.add(*(_lengths(part) for part in (attributes.keys, attributes.values)))
    ends = np.concatenate(([0], np.cumsum(to_numpy(pairs, np.int64))))
    of_resource = ends[attributes.offsets[1:]] - ends[attributes.offsets[:-1]]
    scopes = pc.add(*(_lengths(pc.struct_field(decoded.scopes, n)) for n in ("name", "version")))
    repeated: Index = of_resource[decoded.resource] + to_numpy(scopes, np.int64)[decoded.scope]
    return repeated


def _lengths(texts: pa.Array) -> pa.Array:
    return pc.fill_null(pc.binary_length(texts), 0).cast(pa.int64())


def _ranges(sizes: Index) -> Iterator[tuple[int, int]]:
    """Cuts rows of these sizes into ranges of about `_PIECE_BYTES` each, one row at least."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + _PIECE_BYTES, side="right"))
        stop = max(stop, start + 1)
        yield start, stop
        start = stop


def table_of(
    schema: pa.Schema, decoded: Decoded, columns: dict[str, Any], mapping: AttributeMap
) -> pa.Table:
    """The rows: `columns`, and what their scope, resource and attributes say."""
    resources = pa.array(decoded.resource)
    scopes = decoded.scopes.take(pa.array(decoded.scope))
    shared = pairs_of(decoded.resource_attributes, mapping)
    service = promote(shared, (SERVICE_NAME,), mapping, "resource")["service_name"]
    columns |= {
        "scope_name": or_null(pc.struct_field(scopes, "name")),
        "scope_version": or_null(pc.struct_field(scopes, "version")),
        "service_name": service.take(resources),
        "attributes": map_of(decoded.attributes),
        "resource_attributes": map_of(decoded.resource_attributes).take(resources),
        "received_at": _received(decoded),
    }
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def placed_in_time(time: pa.Array, otherwise: pa.Array, decoded: Decoded) -> dict[str, pa.Array]:
    """A row's time and its day; a record without a time of its own happened when it was seen."""
    time = pc.coalesce(time, otherwise, _received(decoded))
    return {"time": time, "day": time.cast(pa.date32())}


def _received(decoded: Decoded) -> pa.Array:
    return time_of(pa.array(decoded.received.astype(np.uint64)))


def digests_of(*parts: pa.Array) -> pa.Array:
    """For each row a digest of its texts, 32 hex digits; a NULL is not an empty text."""
    identity = pc.binary_join_element_wise(
        *parts, "\x1e", null_handling="replace", null_replacement="\x1d"
    )
    digests = [hashlib.blake2b(text, digest_size=16).digest() for text in _bytes_in(identity)]
    return hex_of_bytes(np.frombuffer(b"".join(digests), np.uint8), 16)


def _bytes_in(texts: pa.StringArray) -> Iterator[memoryview]:
    """The bytes of each text, none of which is NULL, where they lie."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).tolist()
    content = memoryview(data or b"")
    return (content[start:end] for start, end in pairwise(ends))


def joined(attributes: Attributes) -> pa.Array:
    """The attributes of each owner as one text, by key: their order says nothing."""
    pairs = pc.binary_join_element_wise(
        attributes.keys, attributes.values, "\x1f", null_handling="replace", null_replacement="\x1d"
    ).take(pa.array(_by_key(attributes)))
    return pc.binary_join(list_of(pa.array(attributes.offsets, pa.int32()), pairs), "\x1c")


def _by_key(attributes: Attributes) -> Index:
    """Positions of all pairs, ordered by key within each owner."""
    keys = pc.fill_null(attributes.keys, "").dictionary_encode()
    rank = np.empty(len(keys.dictionary), np.int64)
    rank[to_numpy(pc.sort_indices(keys.dictionary), np.int64)] = np.arange(len(rank))
    order = attributes.owners() * max(len(rank), 1) + rank[to_numpy(keys.indices, np.int64)]
    return order_of(order)
