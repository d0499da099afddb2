"""Attributes into the columns of the lake's contract, by the ordered sources of `lake.schema`.

All rows at once: the attribute keys are dictionary-encoded, the pairs of each wanted key are
picked by its code, and their row numbers say where the values go. No Python loop runs over rows.

A value that does not fit its column (a token count that is no number) is NULL there; the
attribute itself is kept as text in the attributes map.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Decoded, Index, to_numpy
from ingest.vectors import matches, where
from lake.column import ATTRIBUTES, Column

_METADATA = "metadata"
_TRUE = pa.array(["true", "1"])
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_FIRST_IN_LIST = r'^\[\s*"(?P<first>[^"]*)"'


def promoted(decoded: Decoded, wanted: Iterable[Column]) -> dict[str, pa.Array]:
    """Promoted columns: the record's own attributes first, then its resource's."""
    wanted = tuple(wanted)
    own = promote(decoded.attributes, wanted, "record")
    shared = promote(decoded.resource_attributes, wanted, "resource")
    resources = pa.array(decoded.resource)
    return {
        name: values
        if shared[name].null_count == len(shared[name])
        else pc.coalesce(values, shared[name].take(resources))
        for name, values in own.items()
    }


def promote(
    attributes: Attributes, wanted: Iterable[Column], on: str | None = None
) -> dict[str, pa.Array]:
    """One array per wanted column, a value or NULL for every owner of the attributes."""
    wanted = tuple(wanted)
    pairs = _Pairs(attributes.owners(), attributes.keys, attributes.values)
    pairs = pairs.with_metadata(_metadata_members(wanted))
    by_key, present = pairs.by_key(), _present(pairs.values)
    found: dict[str, pa.Array] = {}
    for column in wanted:
        pick = np.full(len(attributes.offsets) - 1, -1)
        scale = np.ones(len(pick))
        for source in reversed([s for s in column.sources if on in {None, s.on}]):
            if (positions := by_key.get(source.attribute)) is not None:
                positions = positions[present[positions]]
                pick[pairs.owners[positions]] = positions
                scale[pairs.owners[positions]] = source.scale
        found[column.name] = _typed(column, pairs.values, pick, scale)
    return found


def _metadata_members(wanted: Iterable[Column]) -> frozenset[str]:
    prefix = f"{_METADATA}."
    names = (source.attribute for column in wanted for source in column.sources)
    return frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))


@dataclass(frozen=True)
class _Pairs:
    """Attributes as three parallel columns: whose, key, text."""

    owners: Index
    keys: pa.Array
    values: pa.Array

    def by_key(self) -> dict[str, Index]:
        """Key -> positions of its pairs, in order."""
        encoded = self.keys.dictionary_encode()
        codes = to_numpy(encoded.indices, np.int64)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))
        parts = np.split(order, ends[:-1]) if len(ends) else ()
        return dict(zip(encoded.dictionary.to_pylist(), parts, strict=True))

    def with_metadata(self, members: frozenset[str]) -> "_Pairs":
        """These and, as `metadata.<member>`, the members of JSON objects sent as `metadata`."""
        holders = np.flatnonzero(to_numpy(pc.equal(self.keys, _METADATA), np.bool_))
        if not (members and len(holders)):
            return self
        encoded = self.values.take(pa.array(holders)).dictionary_encode()
        opened = [_members(text, members) for text in encoded.dictionary.to_pylist()]
        per_holder = pa.array(opened, ATTRIBUTES).take(encoded.indices)
        counts = np.diff(to_numpy(per_holder.offsets, np.int64))
        return _Pairs(
            np.concatenate((self.owners, np.repeat(self.owners[holders], counts))),
            pa.concat_arrays([self.keys, per_holder.keys]),
            pa.concat_arrays([self.values, per_holder.items]),
        )


def _members(text: str, members: frozenset[str]) -> list[tuple[str, str]]:
    """The wanted texts and whole numbers of a JSON object; none if it is no such thing."""
    try:
        content: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(content, dict):
        return []
    return [
        (f"{_METADATA}.{name}", str(value))
        for name, value in content.items()
        if name in members and isinstance(value, str | int)
    ]


def _present(values: pa.Array) -> npt.NDArray[np.bool_]:
    return to_numpy(pc.fill_null(pc.not_equal(values, ""), fill_value=False), np.bool_)


def _typed(
    column: Column, values: pa.Array, pick: Index, scale: npt.NDArray[np.float64]
) -> pa.Array:
    if not (pick >= 0).any():
        return pa.nulls(len(pick), column.type)
    text = values.take(pa.array(pick, mask=pick < 0))
    if pa.types.is_string(column.type):
        first = pc.struct_field(pc.extract_regex(text, _FIRST_IN_LIST), "first")
        return pc.coalesce(first, text) if column.name == "finish_reason" else text
    if pa.types.is_boolean(column.type):
        return where(pc.is_valid(text), pc.is_in(pc.utf8_lower(text), _TRUE))
    number = pc.multiply(_number(text), pa.array(scale))
    if pa.types.is_integer(column.type):
        return where(pc.less(pc.abs(number), 2.0**53), number).cast(column.type, safe=False)
    return number


def _number(text: pa.Array) -> pa.Array:
    return where(matches(text, _NUMBER), text).cast(pa.float64())
