"""What rows of every table have in common: when they are from, who sent them, what they are."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Decoded
from ingest.promote import promote
from ingest.vectors import list_of, map_of, or_null, time_of
from lake.schema import SPANS

_SERVICE_NAME = next(column for column in SPANS.columns if column.name == "service_name")


def table_of(schema: pa.Schema, decoded: Decoded, columns: dict[str, Any]) -> pa.Table:
    """The rows: `columns`, and what their scope, resource and attributes say."""
    resources = pa.array(decoded.resource)
    scopes = decoded.scopes.take(pa.array(decoded.scope))
    columns |= {
        "scope_name": or_null(pc.struct_field(scopes, "name")),
        "scope_version": or_null(pc.struct_field(scopes, "version")),
        "service_name": promote(decoded.resource_attributes, (_SERVICE_NAME,))["service_name"].take(
            resources
        ),
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
    return pa.array(
        [hashlib.blake2b(text, digest_size=16).hexdigest()
         for text in identity.cast(pa.binary()).to_pylist()],
        pa.string(),
    )  # fmt: skip


def joined(attributes: Attributes) -> pa.Array:
    """The attributes of each owner as one text, in the order sent."""
    pairs = pc.binary_join_element_wise(
        attributes.keys, attributes.values, "\x1f", null_handling="replace", null_replacement="\x1d"
    )
    return pc.binary_join(list_of(pa.array(attributes.offsets, pa.int32()), pairs), "\x1c")
