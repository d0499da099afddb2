"""Which names of agent telemetry are known, so that the others can be told of."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ingest.privacy.table import content_table, pattern_of
from lake.mapping import AttributeMap


@dataclass(frozen=True)
class KnownNames:
    """`prefixes` of agent telemetry, and one expression for every name of it that is known."""

    prefixes: Sequence[str]
    pattern: str


def known_names(mapping: AttributeMap) -> KnownNames:
    """Names that `mapping` takes columns from, of content, and left unmapped on purpose."""
    document = _document()
    unmapped = {name for group in document["known"] for name in group["names"]}
    table = content_table()
    content = {name for dialect in table.dialects for name in dialect.names}
    every = unmapped | mapping.known_attributes() | content | set(table.secret_names)
    return KnownNames(tuple(document["prefixes"]), pattern_of(sorted(every)))


@cache
def vetted_names() -> frozenset[str]:
    """Whole names that are left unmapped on purpose: somebody has seen that they are no content."""
    names = (name for group in _document()["known"] for name in group["names"])
    return frozenset(name for name in names if "*" not in name)


@cache
def _document() -> Mapping[str, Any]:
    text = (resources.files("ingest.privacy") / "known.toml").read_text("utf-8")
    return tomllib.loads(text)
