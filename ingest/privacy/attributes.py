"""Attributes without content: which pairs go, which values are masked, which are cut."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Index, to_numpy
from ingest.privacy.documents import LIKE_JSON, without_content_members
from ingest.privacy.masking import MASK, cut, masked
from ingest.privacy.names import Sort, Sorts, sorts_of
from ingest.privacy.table import content_table
from ingest.vectors import matches
from lake.column import ATTRIBUTES
from lake.mapping_file import SHIPPED

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
_SAID = "message"


@dataclass(frozen=True)
class Screened:
    """Attributes after content went, and how many each owner lost."""

    attributes: Attributes
    dropped: Index


def screened(attributes: Attributes, kept: Flags, telling: Flags | None = None) -> Screened:
    """`attributes` without content but for owners in `kept`; secrets masked, long values cut.

    Of owners in `telling`, events that are content, `message` is content, too: elsewhere it is
    the text of a log line.
    """
    encoded = attributes.keys.dictionary_encode()
    codes, names = to_numpy(encoded.indices, np.int32), encoded.dictionary
    sorts = sorts_of(names)
    dropped = np.zeros(len(kept), np.int64)
    contents = sorts[codes] & Sort.CONTENT > 0
    if telling is not None and telling.any():
        said = to_numpy(pc.equal(attributes.keys, _SAID), np.bool_)
        contents |= said & telling[attributes.owners()]
    if contents.any() and not kept.all():
        owners = attributes.owners()
        going = contents & ~kept[owners]
        dropped = np.bincount(owners[going], minlength=len(kept))
        attributes, codes = _only(attributes, ~going, dropped), codes[~going]
    values = _without_members(attributes.values, names, codes)
    values, pruned = _without_content_members(values, attributes.offsets, kept)
    dropped += pruned
    values = _without_secrets(values, sorts[codes])  # last: a mask may break JSON
    # What is kept on demand is kept whole.
    values = (
        cut(values) if not kept.any() else _where(values, sorts[codes] & Sort.CONTENT == 0, cut)
    )
    return Screened(Attributes(attributes.offsets, attributes.keys, values), dropped)


def screened_map(
    column: pa.MapArray, kept: Flags, telling: Flags | None = None
) -> tuple[pa.MapArray, Index]:
    """The same of a column of the lake: the very column where nothing had to change."""
    attributes = _of_map(column)
    result = screened(attributes, kept, telling)
    after = result.attributes
    if after.values is attributes.values:
        return column, result.dropped
    offsets = pa.array(after.offsets, pa.int32())
    return pa.MapArray.from_arrays(offsets, after.keys, after.values, ATTRIBUTES), result.dropped


def _of_map(column: pa.MapArray) -> Attributes:
    offsets = to_numpy(column.offsets, np.int64)
    first, last = offsets[0], offsets[-1]
    keys, values = (part.slice(first, last - first) for part in (column.keys, column.items))
    return Attributes(offsets - first, keys, values)


def _only(attributes: Attributes, staying: Flags, dropped: Index) -> Attributes:
    counts = np.diff(attributes.offsets) - dropped
    mask = pa.array(staying)
    return Attributes(
        np.concatenate(([0], np.cumsum(counts))),
        attributes.keys.filter(mask),
        attributes.values.filter(mask),
    )


def _without_secrets(values: pa.Array, sorts: Sorts) -> pa.Array:
    secret = sorts & Sort.SECRET > 0
    if secret.any():
        values = pc.if_else(pc.and_(pa.array(secret), pc.is_valid(values)), MASK, values)
    return _where(values, sorts & Sort.PLAIN == 0, masked)


def _where(values: pa.Array, chosen: Flags, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """`values`, those that are chosen changed; the very array where the change changes none."""
    if not chosen.any():
        return values
    before = values.filter(pa.array(chosen))
    after = change(before)
    return values if after is before else pc.replace_with_mask(values, pa.array(chosen), after)


def _without_members(values: pa.Array, names: pa.Array, codes: Codes) -> pa.Array:
    """Of JSON objects in attributes only the members that say who and where."""
    for position, name in enumerate(names.to_pylist()):
        if (members := _members().get(name)) is not None:
            values = _where(values, codes == position, partial(_pruned, members=members))
    return values


def _without_content_members(
    values: pa.Array, offsets: Index, kept: Flags
) -> tuple[pa.Array, Index]:
    """Maps and JSON in attributes without members that are content, and how many of each owner."""
    changed = np.zeros(len(kept), np.int64)
    chosen = to_numpy(matches(values, LIKE_JSON), np.bool_)
    if not chosen.any():
        return values, changed
    owners = np.repeat(np.arange(len(kept)), np.diff(offsets))
    chosen &= ~kept[owners]
    before = values.filter(pa.array(chosen))
    after = without_content_members(before)
    if after is before:
        return values, changed
    differing = to_numpy(pc.not_equal(before, after), np.bool_)
    changed = np.bincount(owners[chosen][differing], minlength=len(kept))
    return pc.replace_with_mask(values, pa.array(chosen), after), changed


def _pruned(texts: pa.Array, members: frozenset[str]) -> pa.Array:
    encoded = texts.dictionary_encode()
    before = encoded.dictionary.to_pylist()
    after = [_only_members(text, members) for text in before]
    return texts if after == before else pa.array(after, pa.string()).take(encoded.indices)


def _only_members(text: str, members: frozenset[str]) -> str:
    """The texts and numbers among `members` of a JSON object; nothing of what is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(document, dict):
        return ""
    kept = {
        name: value
        for name, value in document.items()
        if name in members and isinstance(value, str | int | float)
    }
    return text if kept == document else json.dumps(kept, ensure_ascii=False)


@cache
def _members() -> Mapping[str, frozenset[str]]:
    """Those of the table, and those that columns are taken from."""
    mapped = SHIPPED.members
    return {
        name: listed | mapped.get(name, frozenset())
        for name, listed in content_table().members.items()
    }
