"""Texts that are JSON: the members that are content go, at any depth."""

import json
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.privacy.table import CONTENT_DROPPED, content_table
from ingest.vectors import matches

LIKE_JSON = r"^\s*[\[{]"
_CONTENT = re.compile(content_table().content)
# Quotes are escaped in JSON within JSON.
_NAMED = r'"(?:' + content_table().content[2:-2].replace(".*", '[^"]*') + r')\\*"\s*:'
_CONTENT_NAMED = re.compile(_NAMED)
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
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return CONTENT_DROPPED if _CONTENT_NAMED.search(text) else text
    without = _without_content(document)
    if without == document:
        return text
    return json.dumps(without, ensure_ascii=False, separators=(",", ":"))


def _without_content(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _without_content(member)
                for name, member in value.items()
                if isinstance(member, int | float) or not _CONTENT.match(name)
            }
        case list():
            return [_without_content(each) for each in value]
        case str() if value.lstrip()[:1] in ("{", "["):
            return _pruned(value)
    return value
