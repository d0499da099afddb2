"""What the name of an attribute says about its value. Names are few and come again and again."""

import re
from enum import IntFlag
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.privacy.known import vetted_names
from ingest.privacy.table import anyone_of, content_table, pattern_of
from ingest.privacy.words import Look, look_of
from ingest.vectors import matches
from lake.mapping_file import SHIPPED

Sorts = npt.NDArray[np.uint8]

_REMEMBERED = 4096
_LONGEST_REMEMBERED = 64
_PROSE = {"error_class", "error_message", "outcome_reason", "event"}
_NAMED_FREELY = {"agent_name", "feature", "node", "request_model", "response_model", "tool_name"}
"""Columns whose names people and frameworks make up: a key may get into them."""


class Sort(IntFlag):
    """What there is to know of a name."""

    CONTENT = 1
    SECRET = 2
    """The whole value is a secret."""
    PLAIN = 4
    """An id, a count or a name: nothing in it is masked."""
    # From 8 on: `Look`, for names that are in no list.


def sorts_of(names: pa.Array) -> Sorts:
    """The `Sort` of each name."""
    long = to_numpy(pc.greater(pc.binary_length(names), _LONGEST_REMEMBERED), np.bool_)
    sorts = np.zeros(len(names), np.uint8)
    short = names.filter(pa.array(~long))
    sorts[~long] = [_remembered(name) for name in short.to_pylist()]
    if long.any():
        sorts[long] = _of_long(names.filter(pa.array(long)))
    return sorts


def _of_long(names: pa.Array) -> Sorts:
    """Python's expressions take the square of a name's length, RE2's do not.

    They are not remembered either: whoever sends them could fill the memory with them.
    """
    table = content_table()
    plain = pc.or_(
        pc.is_in(names, pa.array(sorted(_mapped()), names.type)),
        matches(names, anyone_of(table.unmasked_keys)),
    )
    found = (
        (Sort.CONTENT, matches(names, table.content)),
        (Sort.SECRET, matches(names, pattern_of(table.secret_names))),
        (Sort.PLAIN, plain),
    )
    sorts = np.zeros(len(names), np.uint8)
    for sort, flags in found:
        sorts |= np.uint8(sort) * to_numpy(flags, np.uint8)
    looks = np.array([look_of(name) for name in names.to_pylist()], np.uint8)
    return sorts | np.where(sorts & Sort.CONTENT, 0, looks).astype(np.uint8)


def _looked_up(name: str) -> int:
    found = 0
    if _content().fullmatch(name):
        found |= Sort.CONTENT
    if _secret().fullmatch(name):
        found |= Sort.SECRET
    if name in _mapped() or any(pattern.search(name) for pattern in _unmasked()):
        found |= Sort.PLAIN
    if found & Sort.CONTENT:
        return found
    return found | (look_of(name) & (Look.FAILURE if name in _listed() else ~0))


_remembered = lru_cache(_REMEMBERED)(_looked_up)


@cache
def _content() -> re.Pattern[str]:
    return re.compile(content_table().content)


@cache
def _secret() -> re.Pattern[str]:
    return re.compile(pattern_of(content_table().secret_names))


@cache
def _unmasked() -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, content_table().unmasked_keys))


@cache
def _listed() -> frozenset[str]:
    """Names that somebody has looked at: of columns, and those left unmapped on purpose."""
    return SHIPPED.known_attributes() | vetted_names()


@cache
def _mapped() -> frozenset[str]:
    """Names that columns are taken from, which are of ids, names and numbers, never of prose."""
    prose = {s.attribute for s in SHIPPED.sources if s.column in _PROSE | _NAMED_FREELY or s.member}
    return SHIPPED.known_attributes() - prose
