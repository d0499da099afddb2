"""Texts that are JSON: the members that are content go, at any depth."""

import json
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.privacy.table import CONTENT_DROPPED, alternatives, content_table
from ingest.vectors import matches

LIKE_JSON = r"^[\s\x{FEFF}]*[\[{]"
"""As many editors write it, with a byte order mark before it."""
_SPACE = " \t\r\n\ufeff"
_CONTENT = re.compile(content_table().content)
# Quotes are escaped in JSON within JSON.
_NAMED = r'"(?:' + alternatives(content_table().content_names, '[^"]*') + r')\\*"\s*:'
_LONG_NAME = 64
# A name spelt with an escape may be any name.
_WITH_CONTENT = _NAMED + r"|\\u[0-9a-fA-F]{4}"


def without_content_members(texts: pa.Array) -> pa.Array:
    """JSON texts without members whose names are those of content; the very array if none has one.

    A text that cannot be read to its end goes whole if it has such a name. Numbers stay: token
    counts and costs have names such as `input`.
    """
    telling = to_numpy(matches(texts, _WITH_CONTENT), np.bool_)
    if not telling.any():
        return texts
    chosen = pa.array(telling)
    encoded = texts.filter(chosen).dictionary_encode()
    before = encoded.dictionary.to_pylist()
    after = [_pruned(text) for text in before]
    if after == before:
        return texts
    return pc.replace_with_mask(texts, chosen, pa.array(after, pa.string()).take(encoded.indices))


def _pruned(text: str) -> str:
    try:
        document = orjson.loads(text.lstrip(_SPACE))
    except orjson.JSONDecodeError:
        return CONTENT_DROPPED if _fits(text, _NAMED) else text
    try:
        without = _without_content(document)
        if without == document:
            return text
        return json.dumps(without, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:  # orjson reads deeper than Python can follow
        return CONTENT_DROPPED


def _without_content(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _without_content(member)
                for name, member in value.items()
                if isinstance(member, int | float) or not _is_content(name)
            }
        case list():
            return [_without_content(each) for each in value]
        case str() if value.lstrip(_SPACE)[:1] in ("{", "["):
            return _pruned(value)
    return value


def _is_content(name: str) -> bool:
    if len(name) > _LONG_NAME:
        return _fits(name, content_table().content)
    return _CONTENT.fullmatch(name) is not None


def _fits(text: str, pattern: str) -> bool:
    """RE2's search, which does not take the square of the length as Python's may."""
    return bool(to_numpy(matches(pa.array([text]), pattern), np.bool_)[0])
