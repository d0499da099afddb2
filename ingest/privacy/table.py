"""`content.toml`, which says what is content and what is secret, as typed data."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

CARD = "card"
"""The one masked value whose check digit ingest looks at."""

CONTENT_DROPPED = "[content dropped]"
"""What stands in place of a body that was content, here as in the collector's configuration."""


@dataclass(frozen=True)
class Dialect:
    """Names under which the instrumentations of one kind send content; `*` stands for any text."""

    name: str
    names: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """One expression for all of its names, as otel-collector.yaml has it."""
        return pattern_of(self.names)


@dataclass(frozen=True)
class SpanName:
    """Spans of a scope whose name is content, and what is left of it; `*` stands for any text."""

    scope: str
    name: str
    left: str


@dataclass(frozen=True)
class Shape:
    """What content looks like under names in no list: words of names, and members of JSON."""

    certain: frozenset[str]
    likely: frozenset[str]
    of_tools: frozenset[str]
    tools: frozenset[str]
    behind: frozenset[str]
    failures: frozenset[str]
    namespaces: frozenset[str]
    others: frozenset[str]
    roles: tuple[str, ...]
    types: tuple[str, ...]
    skeleton: frozenset[str]
    members: tuple[str, ...]


@dataclass(frozen=True)
class ContentTable:
    """The whole file.

    `body_events` are the events whose body is content, `body_members` the members that go from
    other bodies, `members` the members that stay of JSON objects in an attribute, `numbers`
    attributes whose JSON keeps only numbers, `masked` expressions of secrets by what they are,
    `unmasked_keys` expressions of keys whose values are left alone. `quotes` are expressions of
    what messages of exceptions quote, in sentences of libraries and `quotes_by_shape` in any; of
    their three groups the second is content.
    """

    dialects: tuple[Dialect, ...]
    span_names: tuple[SpanName, ...]
    body_events: tuple[str, ...]
    body_members: frozenset[str]
    members: Mapping[str, frozenset[str]]
    numbers: frozenset[str]
    secret_names: tuple[str, ...]
    masked: Mapping[str, str]
    unmasked_keys: tuple[str, ...]
    shape: Shape
    quotes: Mapping[str, str]
    quotes_by_shape: Mapping[str, str]

    @property
    def content_names(self) -> tuple[str, ...]:
        """The names of content in every dialect."""
        return tuple(name for dialect in self.dialects for name in dialect.names)

    @property
    def content(self) -> str:
        """One expression for the names of content in every dialect."""
        return pattern_of(self.content_names)


@cache
def content_table() -> ContentTable:
    """The table that ships. Raises ValueError when the file is not of this form."""
    text = (resources.files("ingest.privacy") / "content.toml").read_text("utf-8")
    return _table(tomllib.loads(text))


def pattern_of(names: Iterable[str]) -> str:
    """An expression that matches these names whole, for RE2, Go and Python's `fullmatch` alike.

    `*` stands for line breaks, too: they are legal in a name, and hide nothing.
    """
    return rf"^(?s:{alternatives(names)})$"


def alternatives(names: Iterable[str], anything: str = ".*") -> str:
    """The names as alternatives of an expression, with `anything` in place of `*`."""
    return "|".join(_escaped(name, anything) for name in names)


def anyone_of(patterns: Iterable[str]) -> str:
    """An expression that matches where one of the patterns does."""
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _escaped(name: str, anything: str) -> str:
    return anything.join(re.escape(part).replace(r"\-", "-") for part in name.split("*"))


def _table(document: Mapping[str, Any]) -> ContentTable:
    masks = document["masks"]
    table = ContentTable(
        dialects=tuple(
            Dialect(each["dialect"], tuple(each["names"])) for each in document["content"]
        ),
        span_names=tuple(SpanName(**each) for each in document["span_names"]),
        body_events=tuple(document["body"]["events"]),
        body_members=frozenset(document["body"]["members"]),
        members={name: frozenset(kept) for name, kept in document["members"].items()},
        numbers=frozenset(document["numbers"]["names"]),
        secret_names=tuple(document["secrets"]["names"]),
        masked=dict(masks["values"]),
        unmasked_keys=tuple(masks["unmasked_keys"]),
        shape=_shape(document["shape"]),
        quotes={name: each for name, each in document["quotes"].items() if name != "by_shape"},
        quotes_by_shape=dict(document["quotes"]["by_shape"]),
    )
    quotes = (*table.quotes.values(), *table.quotes_by_shape.values())
    for pattern in (*table.masked.values(), *table.unmasked_keys, *quotes):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"content.toml: {pattern!r} is no expression: {error}") from None
    return table


def _shape(part: Mapping[str, Any]) -> Shape:
    inside = part["json"]
    words = ("certain", "likely", "of_tools", "tools", "behind", "failures", "namespaces", "others")
    return Shape(
        **{name: frozenset(part[name]) for name in words},
        roles=tuple(inside["roles"]),
        types=tuple(inside["types"]),
        skeleton=frozenset(inside["skeleton"]),
        members=tuple(inside["members"]),
    )
