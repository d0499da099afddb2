"""Attributes without content: which pairs go, which values are masked, which are cut."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Index, to_numpy
from ingest.privacy.documents import MAY_HOLD, without_content_within
from ingest.privacy.masking import MASK, cut, masked
from ingest.privacy.names import Sort, Sorts, sorts_of
from ingest.privacy.quotes import without_quotes
from ingest.privacy.shape import Flags, looking_like_content
from ingest.privacy.table import content_table
from ingest.privacy.words import Look
from ingest.vectors import matches
from lake.column import ATTRIBUTES
from lake.mapping_file import SHIPPED

Codes = npt.NDArray[np.int32]
_SAID = pa.array(["message", "response"])
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Screened:
    """Attributes after content went, and how many each owner lost."""

    attributes: Attributes
    dropped: Index


@dataclass(frozen=True)
class Owners:
    """Whose attributes they are.

    Those of owners in `kept` stay whole. Owners in `agentic` are agent work, where a name that
    looks like content is some without a namespace. Of owners in `telling`, events that are
    content, `message` and `response` are content, too: elsewhere the one is the text of a log line,
    the other anything.
    """

    kept: Flags
    agentic: Flags
    telling: Flags

    @classmethod
    def of(
        cls, kept: Flags, agentic: Flags | None = None, telling: Flags | None = None
    ) -> "Owners":
        """Nobody is agentic or telling unless it is said."""
        nobody = np.zeros(len(kept), np.bool_)
        return cls(
            kept,
            nobody if agentic is None else agentic,
            nobody if telling is None else telling,
        )


def screened(attributes: Attributes, whose: Owners) -> Screened:
    """`attributes` without content; secrets masked, long values cut."""
    kept = whose.kept
    encoded = attributes.keys.dictionary_encode()
    codes, names = to_numpy(encoded.indices, np.int32), encoded.dictionary
    sorts = sorts_of(names)
    dropped = np.zeros(len(kept), np.int64)
    owners = attributes.owners()
    contents = sorts[codes] & Sort.CONTENT > 0
    contents |= looking_like_content(attributes.values, sorts[codes], owners, whose.agentic)
    if whose.telling.any():
        said = to_numpy(pc.is_in(attributes.keys, _SAID), np.bool_)
        contents |= said & whose.telling[owners]
    if contents.any() and not kept.all():
        going = contents & ~kept[owners]
        dropped = np.bincount(owners[going], minlength=len(kept))
        attributes, codes = _only(attributes, ~going, dropped), codes[~going]
    values = _without_members(attributes.values, names, codes)
    values, pruned = _without_content_within(values, sorts[codes], attributes.offsets, kept)
    dropped += pruned
    values = _without_secrets(values, sorts[codes])  # last: a mask may break JSON
    # What is kept on demand is kept whole.
    values = (
        cut(values) if not kept.any() else _where(values, sorts[codes] & Sort.CONTENT == 0, cut)
    )
    return Screened(Attributes(attributes.offsets, attributes.keys, values), dropped)


def screened_map(column: pa.MapArray, whose: Owners) -> tuple[pa.MapArray, Index]:
    """The same of a column of the lake: the very column where nothing had to change."""
    attributes = _of_map(column)
    result = screened(attributes, whose)
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
        if name in content_table().numbers:
            values = _where(values, codes == position, _numbers)
    return values


def _without_content_within(
    values: pa.Array, sorts: Sorts, offsets: Index, kept: Flags
) -> tuple[pa.Array, Index]:
    """Values without what of them is content, and how many of each owner's lost some."""
    changed = np.zeros(len(kept), np.int64)
    chosen = _may_hold_content(values, sorts)
    failures = sorts & Look.FAILURE > 0
    if not (chosen | failures).any():
        return values, changed
    owners = np.repeat(np.arange(len(kept)), np.diff(offsets))
    after = _where(values, failures & ~kept[owners], without_quotes)
    after = _where(after, chosen & ~kept[owners], without_content_within)
    if after is values:
        return values, changed
    differing = to_numpy(pc.fill_null(pc.not_equal(values, after), fill_value=False), np.bool_)
    return after, np.bincount(owners[differing], minlength=len(kept))


def _may_hold_content(values: pa.Array, sorts: Sorts) -> Flags:
    """Which values may; of what is called an id or a count only those too long to be one."""
    lengths = to_numpy(pc.fill_null(pc.binary_length(values), 0), np.int64)
    chosen = np.flatnonzero((sorts & Sort.PLAIN == 0) | (lengths > _LONGEST_NAME))
    flags = np.zeros(len(values), np.bool_)
    flags[chosen] = to_numpy(matches(values.take(pa.array(chosen)), MAY_HOLD), np.bool_)
    return flags


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


def _numbers(texts: pa.Array) -> pa.Array:
    """Of JSON objects what is a number, at any depth; nothing of what is none."""
    encoded = texts.dictionary_encode()
    after = [_only_numbers(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(after, pa.string()).take(encoded.indices)


def _only_numbers(text: str) -> str:
    try:
        left = _numbers_of(orjson.loads(text))
        return json.dumps(left, separators=(",", ":")) if left else ""
    except (orjson.JSONDecodeError, RecursionError):
        return ""


def _numbers_of(value: Any) -> dict[str, Any]:
    """An object's members that are numbers or objects with some."""
    if not isinstance(value, dict):
        return {}
    inner = {
        name: member if isinstance(member, int | float) else _numbers_of(member)
        for name, member in value.items()
    }
    return {name: member for name, member in inner.items() if member != {}}


@cache
def _members() -> Mapping[str, frozenset[str]]:
    """Those of the table, and those that columns are taken from."""
    mapped = SHIPPED.members
    return {
        name: listed | mapped.get(name, frozenset())
        for name, listed in content_table().members.items()
    }
