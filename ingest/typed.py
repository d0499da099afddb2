"""What the texts of attributes mean, in the type of their column.

A value that does not fit its column (a token count that is no number) is NULL there; the
attribute itself is kept as text in the attributes map.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index
from ingest.pairs import Flags
from ingest.vectors import matches, or_null, where
from lake.column import Column
from lake.mapping import ANY, FROM_ZERO, Source

NO_PAIR = -1

_TRUE = pa.array(["true", "1"])
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_PARTS = {
    "head": r"^(?P<part>[^/]+)/",
    "first": r'^\[\s*"(?P<part>[^"]*)"',
    "json": r'^"(?P<part>[^"\\]*)"$',
    "stem": r"^(?P<part>.+)\.[^.]*$",
    "tail": r"^[^/]*/(?P<part>.+)$",
}
_MOMENT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$"
_UTC = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Picked:
    """For every row of one column the pair it is taken from and the source; -1 for none."""

    position: Index
    source: npt.NDArray[np.int16]

    @property
    def any(self) -> bool:
        return bool((self.position != NO_PAIR).any())

    def from_one_of(self, sources: Iterable[int]) -> Flags:
        """Which rows were taken from one of these sources."""
        return np.isin(self.source, list(sources))


def typed(column: Column, sources: Sequence[Source], values: pa.Array, picked: Picked) -> pa.Array:
    """The picked values in the column's type, as their sources mean them; NULL for what is none."""
    if not picked.any:
        return pa.nulls(len(picked.position), column.type)
    text = values.take(pa.array(picked.position, mask=picked.position == NO_PAIR))
    text = _translated(text, sources, picked)
    if pa.types.is_string(column.type):
        return or_null(text)
    if pa.types.is_boolean(column.type):
        return where(pc.is_valid(text), pc.is_in(pc.utf8_lower(text), _TRUE))
    if pa.types.is_timestamp(column.type):
        return _moment(text).cast(column.type)
    number = _scaled(_number(text), sources, picked)
    if pa.types.is_integer(column.type):
        counts = pc.and_(pc.greater_equal(number, 0.0), pc.less(number, 2.0**53))
        return where(counts, number).cast(column.type, safe=False)
    return number


def _translated(text: pa.Array, sources: Sequence[Source], picked: Picked) -> pa.Array:
    """The texts as their sources mean them, where that is not as they stand."""
    for number, source in enumerate(sources):
        if source.take == "all" and not source.values:
            continue
        of_it = picked.source == number
        if of_it.any():
            meant = meaning(text, source)
            text = meant if of_it.all() else pc.if_else(pa.array(of_it), meant, text)
    return text


def meaning(text: pa.Array, source: Source) -> pa.Array:
    """The part of each text that the source means, or what a value stands for."""
    if (pattern := _PARTS.get(source.take)) is not None:
        return pc.coalesce(pc.struct_field(pc.extract_regex(text, pattern), "part"), text)
    if not source.values:
        return text
    said, stands_for = zip(*source.values, strict=True)
    meant = pa.array(stands_for).take(pc.index_in(text, pa.array(said)))
    other = dict(source.values).get(ANY)
    return meant if other is None else pc.coalesce(meant, pa.scalar(other))


def _scaled(number: pa.Array, sources: Sequence[Source], picked: Picked) -> pa.Array:
    if not any(source.unit for source in sources):
        return number
    scales = np.array([*(source.scale for source in sources), 1.0])  # the last is that of -1
    first = np.array([*(float(source.unit == FROM_ZERO) for source in sources), 0.0])
    scaled = pc.multiply(number, pa.array(scales[picked.source]))
    return pc.add(scaled, pa.array(first[picked.source])) if first.any() else scaled


def _number(text: pa.Array) -> pa.Array:
    return where(matches(text, _NUMBER), text).cast(pa.float64())


def _moment(text: pa.Array) -> pa.Array:
    """A time as ISO 8601 writes it, perhaps in quotes; NULL for the 30th of February."""
    plain = pc.utf8_trim(text, '"')
    written = where(matches(plain, _MOMENT), plain)
    try:
        return written.cast(_UTC)
    except pa.ArrowInvalid:
        real = [each if _is_real(each) else None for each in written]
        return pa.array([each and each.as_py() for each in real], pa.string()).cast(_UTC)


def _is_real(moment: pa.StringScalar) -> bool:
    try:
        moment.cast(_UTC)
    except pa.ArrowInvalid:
        return False
    return True
