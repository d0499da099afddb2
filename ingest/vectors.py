"""Small vectorised conversions from OTLP's encodings to the lake's types."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Index, to_numpy
from lake.column import ATTRIBUTES, TIME

_HEX_OF_BYTE = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)
"""For each byte its two digits, to be looked up at once."""
_NOT_SET = pa.scalar(0, pa.uint64())
_LAST_NS = pa.scalar(2**63 - 1, pa.uint64())  # in the year 2262; a timestamp cannot be later


def time_of(unix_nano: pa.Array) -> pa.Array:
    """Microseconds UTC; NULL for 0 (not set) and for what no calendar has."""
    real = pc.and_(pc.greater(unix_nano, _NOT_SET), pc.less(unix_nano, _LAST_NS))
    micros = pc.divide(where(real, unix_nano).cast(pa.int64(), safe=False), 1000)
    return micros.cast(pa.timestamp("us")).cast(TIME)


def elapsed_ms(start: pa.Array, end: pa.Array) -> pa.Array:
    """Milliseconds between two times in unix ns; NULL where the end comes first."""
    began, ended = (part.cast(pa.int64(), safe=False) for part in (start, end))
    nanoseconds = where(pc.greater_equal(ended, began), pc.subtract(ended, began))
    return pc.divide(nanoseconds.cast(pa.float64(), safe=False), 1e6)


def hex_of(ids: pa.Array, width: int) -> pa.Array:
    """Lower-case hex of ids of `width` bytes; NULL where there is none (empty or all zero)."""
    whole = pc.and_(
        pc.equal(pc.binary_length(ids), width), pc.not_equal(ids, pa.scalar(bytes(width)))
    )
    whole = pc.fill_null(whole, fill_value=False)
    if pc.all(whole, min_count=0).as_py():
        return hex_of_bytes(_bytes_of(ids, width), width)
    kept = hex_of_bytes(_bytes_of(ids.filter(whole), width), width)
    rank = np.cumsum(to_numpy(whole, np.int64)) - 1
    return kept.take(where(whole, pa.array(rank)))


def hex_of_bytes(raw: npt.NDArray[np.uint8], width: int) -> pa.StringArray:
    """Lower-case hex of ids of `width` bytes each that lie one behind the other."""
    count = len(raw) // width
    offsets = np.arange(count + 1, dtype=np.int32) * (2 * width)
    text = _HEX_OF_BYTE[raw]
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def _bytes_of(ids: pa.Array, width: int) -> npt.NDArray[np.uint8]:
    """The bytes of ids of which none is missing."""
    fixed = ids.cast(pa.binary(width))
    data = fixed.buffers()[1] or b""
    return np.frombuffer(data, np.uint8, len(fixed) * width, fixed.offset * width)


def map_of(attributes: Attributes) -> pa.Array:
    """The attributes as a MAP: no copy unless a sender repeated a key, which a MAP cannot hold."""
    attributes = _without_repeats(attributes)
    return pa.MapArray.from_arrays(
        pa.array(attributes.offsets, pa.int32()), attributes.keys, attributes.values, ATTRIBUTES
    )


def _without_repeats(attributes: Attributes) -> Attributes:
    """The first of several pairs with the same key stays."""
    codes = attributes.keys.dictionary_encode().indices
    order = order_of(to_numpy(codes, np.int64))
    owners = attributes.owners()
    sorted_codes, sorted_owners = to_numpy(codes, np.int64)[order], owners[order]
    again = (sorted_codes[1:] == sorted_codes[:-1]) & (sorted_owners[1:] == sorted_owners[:-1])
    if not again.any():
        return attributes
    staying = np.ones(len(owners), np.bool_)
    staying[order[1:][again]] = False
    kept = np.flatnonzero(staying)
    counts = np.bincount(owners[kept], minlength=len(attributes.offsets) - 1)
    return Attributes(
        np.concatenate(([0], np.cumsum(counts))),
        attributes.keys.take(pa.array(kept)),
        attributes.values.take(pa.array(kept)),
    )


def order_of(codes: Index) -> Index:
    """The positions that put codes in order, equal ones as they are; few kinds take linear time."""
    few = len(codes) == 0 or codes.max() < 2**16
    return np.argsort(codes.astype(np.uint16) if few else codes, kind="stable")


def names_of(codes: pa.Array, names: tuple[str, ...]) -> pa.Array:
    """The names of an enum's codes; the first name for codes it does not have, or no message."""
    codes = pc.fill_null(codes, 0)
    known = pc.and_(pc.greater_equal(codes, 0), pc.less(codes, len(names)))
    return pa.array(names).take(pc.if_else(known, codes, 0))


def fields_of(rows: pa.StructArray) -> Callable[[str], pa.Array]:
    """A getter of the struct's fields by name."""
    return lambda name: pc.struct_field(rows, name)


def offsets_of(lists: pa.ListArray) -> pa.Array:
    """Offsets from 0, for lists built anew around flattened values."""
    return pc.subtract(lists.offsets, lists.offsets[0]) if len(lists) else pa.array([0], pa.int32())


def list_of(offsets: pa.Array, values: pa.Array) -> pa.Array:
    """A list array around `values`."""
    return pa.ListArray.from_arrays(offsets, values)


def matches(text: pa.Array, pattern: str) -> pa.Array:
    """Whether each text matches; NULL does not."""
    return pc.fill_null(pc.match_substring_regex(text, pattern), fill_value=False)


def or_null(text: pa.Array) -> pa.Array:
    """NULL for the empty text, which in protobuf means not set."""
    return where(pc.not_equal(text, ""), text)


def where(condition: pa.Array, values: pa.Array) -> pa.Array:
    """`values` where the condition holds, NULL elsewhere."""
    return pc.if_else(condition, values, pa.scalar(None, values.type))


def nulls(length: int) -> pa.Array:
    """A text column without a value."""
    return pa.nulls(length, pa.string())
