"""Attributes as three parallel columns, found by key; members of JSON objects are keys, too."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Index, to_numpy
from ingest.vectors import order_of
from lake.column import ATTRIBUTES
from lake.mapping import MEMBER

Flags = npt.NDArray[np.bool_]

_LONGEST_LITERAL = 4096
"""Characters of a dict as Python prints it; its parser is slow."""


@dataclass(frozen=True)
class Pairs:
    """Whose, key, text; `rows` is the number of owners."""

    rows: int
    owners: Index
    keys: pa.Array
    values: pa.Array

    @classmethod
    def of(cls, attributes: Attributes, members: Mapping[str, frozenset[str]]) -> "Pairs":
        """The attributes, and the wanted members of those that are JSON objects."""
        rows = len(attributes.offsets) - 1
        plain = cls(rows, attributes.owners(), attributes.keys, attributes.values)
        held = [name for name in members if name in plain.by_key]
        return plain if not held else plain.with_members({name: members[name] for name in held})

    @cached_property
    def by_key(self) -> dict[str, Index]:
        """Key -> positions of its pairs, in order."""
        encoded = self.keys.dictionary_encode()
        codes = to_numpy(encoded.indices, np.int64)
        order = order_of(codes)
        ends = np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))
        parts = np.split(order, ends[:-1]) if len(ends) else ()
        return dict(zip(encoded.dictionary.to_pylist(), parts, strict=True))

    @cached_property
    def present(self) -> Flags:
        """Which pairs have a value; the empty text is none."""
        given = pc.fill_null(pc.not_equal(self.values, ""), fill_value=False)
        return to_numpy(given, np.bool_)

    @cached_property
    def lengths(self) -> Index:
        """How many bytes each value has; none has 0."""
        return to_numpy(pc.fill_null(pc.binary_length(self.values), 0), np.int64)

    def positions(self, key: str) -> Index | None:
        """The pairs of a key that have a value, the last one first; None if nobody has the key."""
        found = self.by_key.get(key)
        return None if found is None else found[self.present[found]][::-1]

    def owners_with(self, key: str, pattern: str) -> Flags:
        """Whose attribute has this value; x* is a prefix."""
        flags = np.zeros(self.rows, np.bool_)
        if (found := self.positions(key)) is not None:
            flags[self.owners[found[fits(self.values.take(pa.array(found)), pattern)]]] = True
        return flags

    def before(self, other: "Pairs") -> "Pairs":
        """These and then the others: of what both name these speak."""
        return Pairs(
            self.rows,
            np.concatenate([self.owners, other.owners]),
            pa.concat_arrays([self.keys, other.keys]),
            pa.concat_arrays([self.values, other.values]),
        )

    def with_members(self, members: Mapping[str, frozenset[str]]) -> "Pairs":
        """These and the members at the wanted paths, of attributes that are among these."""
        owners, keys, values = [self.owners], [self.keys], [self.values]
        for name, paths in members.items():
            holders = self.by_key[name]
            encoded = self.values.take(pa.array(holders)).dictionary_encode()
            opened = [_members(name, text, paths) for text in encoded.dictionary.to_pylist()]
            per_holder = pa.array(opened, ATTRIBUTES).take(encoded.indices)
            counts = np.diff(to_numpy(per_holder.offsets, np.int64))
            owners.append(np.repeat(self.owners[holders], counts))
            keys.append(per_holder.keys)
            values.append(per_holder.items)
        return Pairs(
            self.rows, np.concatenate(owners), pa.concat_arrays(keys), pa.concat_arrays(values)
        )


def fits(texts: pa.Array, pattern: str) -> Flags:
    """Which texts are the pattern; x* is a prefix, *x an ending, *x* anywhere in it."""
    if len(pattern) > 1 and pattern.startswith("*") and pattern.endswith("*"):
        same = pc.match_substring(texts, pattern[1:-1])
    elif pattern.endswith("*"):
        same = pc.starts_with(texts, pattern.removesuffix("*"))
    elif pattern.startswith("*"):
        same = pc.ends_with(texts, pattern.removeprefix("*"))
    else:
        same = pc.equal(texts, pattern)
    return to_numpy(pc.fill_null(same, fill_value=False), np.bool_)


def _members(name: str, text: str | None, paths: frozenset[str]) -> list[tuple[str, str]]:
    """The texts, numbers and flags at the wanted paths; none if the text is no object."""
    content = _opened(text)
    found = ((path, _at(content, path)) for path in paths) if content else ()
    return [
        (f"{name}{MEMBER}{path}", _text(value))
        for path, value in found
        if isinstance(value, str | int | float)
    ]


def _text(value: str | float) -> str:
    """As text; half of a surrogate pair, which is in no UTF-8, as its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return json.dumps(value)  # integers of any length, as a dict that Python printed may have them


def _at(content: dict[str, Any], path: str) -> Any:
    """What stands at a path; a step may be an object written as a text, or a place in a list.

    x* is a sum of numbers.
    """
    if path.endswith("*"):
        return _sum(content, path.removesuffix("*"))
    if path in content:
        return content[path]
    step, _, rest = path.partition(".")
    held = content.get(step) if rest else None
    inner = _numbered(held) if isinstance(held, list) else _opened(held)
    return _at(inner, rest) if inner else None


def _numbered(items: list[Any]) -> dict[str, Any]:
    """A list as an object of which the members are called 0, 1, ..."""
    return {str(number): item for number, item in enumerate(items)}


def _sum(content: dict[str, Any], prefix: str) -> Any:
    found = [value for name, value in content.items() if name.startswith(prefix)]
    numbers = [value for value in found if isinstance(value, int | float)]
    return sum(numbers) if numbers else None


def _opened(value: Any) -> dict[str, Any] | None:
    """An object, or a text that is one in JSON or as Python prints a dict."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = _printed_dict(value)
    return value if isinstance(value, dict) else None


def _printed_dict(text: str) -> Any:
    if len(text) > _LONGEST_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
