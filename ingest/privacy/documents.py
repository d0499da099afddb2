"""Texts that are JSON, or have some in them: what of it is content goes, at any depth."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.privacy.expressions import Expression
from ingest.privacy.table import CONTENT_DROPPED, alternatives, content_table
from ingest.vectors import matches

MAY_HOLD = r"[\[{(]"
"""What every text has that `without_content_within` may change."""

_LIKE_JSON = r"^[\s\x{FEFF}]*[\[{]"  # as many editors write it, with a byte order mark before it
_SPACE = " \t\r\n\ufeff"
_SHAPE = content_table().shape
_ROLES, _TYPES = frozenset(_SHAPE.roles), frozenset(_SHAPE.types)
_MEMBERS = (*content_table().content_names, *_SHAPE.members)
_NAMES = alternatives(_MEMBERS, r"[^\"']*")
_KINDS = alternatives(sorted({*_SHAPE.roles, *_SHAPE.types}))
_PARTS = rf"""['"](?:role|type)\\*['"]\s*:\s*\\*['"](?:{_KINDS})\\*['"]"""
# Objects of frameworks, such as HumanMessage(content='...').
_PRINTED = r"""\w*Message\w*\([^)]*?content=\\*['"\[]"""
# Quotes are escaped in JSON within JSON. Python prints its dicts with single ones. A name spelt
# with an escape may be any name.
_WITH_CONTENT = rf"""['"](?:{_NAMES})\\*['"]\s*:|{_PARTS}|{_PRINTED}|\\u[0-9a-fA-F]{{4}}"""
# The same of what is no JSON, or broken off: without counts, which Python prints under such names.
_BROKEN = Expression(
    rf"""["](?:{_NAMES})\\*["]\s*:|'(?:{_NAMES})\\*'\s*:\s*\\*[\[{{('"bu]|{_PARTS}|{_PRINTED}"""
)
_CONTENT = Expression(rf"^(?s:{alternatives(_MEMBERS)})$")
# Messages in the middle of a text, as JSON or as Python prints them.
_SAID = (
    rf"""[\[{{][^\[{{]*?(?:{_PARTS}"""
    r"""|['"](?:content|messages|arguments|args)\\*['"]\s*:\s*\\*['"\[{])"""
    rf"|{_PRINTED}"
)
_FROM_THERE = rf"(?s)(?:{_SAID}).*"


def without_content_within(texts: pa.Array) -> pa.Array:
    """Texts without what of them is content; the very array where none has any."""
    documents = matches(texts, _LIKE_JSON)
    after = _where(texts, documents, _without_members)
    return _where(after, pc.and_not(matches(texts, _SAID), documents), _without_rest)


def _where(texts: pa.Array, chosen: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not pc.any(chosen).as_py():
        return texts
    before = texts.filter(chosen)
    after = change(before)
    return texts if after is before else pc.replace_with_mask(texts, chosen, after)


def _without_rest(texts: pa.Array) -> pa.Array:
    """Up to the first message in the text."""
    return pc.replace_substring_regex(texts, _FROM_THERE, CONTENT_DROPPED)


def _without_members(texts: pa.Array) -> pa.Array:
    """JSON without its members that are content, and without what messages are made of.

    A text that cannot be read to its end goes whole if it has some. Numbers stay: token counts and
    costs have names such as `input`.
    """
    telling = matches(texts, _WITH_CONTENT)
    if not pc.any(telling).as_py():
        return texts
    encoded = texts.filter(telling).dictionary_encode()
    before = encoded.dictionary.to_pylist()
    after = [_pruned(text) for text in before]
    if after == before:
        return texts
    return pc.replace_with_mask(texts, telling, pa.array(after, pa.string()).take(encoded.indices))


def _pruned(text: str) -> str:
    try:
        document = orjson.loads(text.lstrip(_SPACE))
    except orjson.JSONDecodeError:
        return CONTENT_DROPPED if _BROKEN.found_in(text) else text
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
            spoken = _is_spoken(value)
            return {
                name: _without_content(member)
                for name, member in value.items()
                if isinstance(member, int | float | None)
                or not (_CONTENT.found_in(name) or (spoken and name not in _SHAPE.skeleton))
            }
        case list():
            return [_without_content(each) for each in value]
        case str() if value.lstrip(_SPACE)[:1] in ("{", "["):
            return _pruned(value)
    return value


def _is_spoken(document: dict[str, Any]) -> bool:
    """Whether it is a message, a part of one or a call of a tool."""
    role, kind = document.get("role"), document.get("type")
    return (isinstance(role, str) and role in _ROLES) or (isinstance(kind, str) and kind in _TYPES)
