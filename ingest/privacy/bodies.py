"""Bodies of log records: some are content as a whole, some have content among their members."""

import json
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, to_numpy
from ingest.privacy.attributes import Flags
from ingest.privacy.masking import cut, masked
from ingest.privacy.table import CONTENT_DROPPED, content_table
from ingest.vectors import matches

_EVENTS = pa.array(content_table().body_events)
_CONTENT = re.compile(content_table().content)
# The member names a content event has anyway. What instrumentations send with content switched
# off is made of these, numbers and single words, and was never content.
_SKELETON = (
    r'^(?:[\[\]{},]|"(?:index|finish_reason|message|role|tool_calls|id|type|function|name)":'
    r'(?:"[A-Za-z0-9_.-]*"|\d+|null)?)*$'
)
_LIKE_JSON = r"^\s*[\[{]"
_WITH_CONTENT = '"' + content_table().content[1:-1].replace(".*", '[^"]*') + r'"\s*:'


def screened_bodies(bodies: pa.Array, events: pa.Array, kept: Flags) -> tuple[pa.Array, Index]:
    """Bodies without content but where `kept`, secrets masked, long ones cut; and which lost some.

    The body of an event in the table goes whole. Of another JSON body the members go whose names
    are those of content, at any depth, and all of it when it cannot be read to its end.
    """
    after = _without_events(bodies, events, kept)
    after = _without_members(after, kept)
    lost = _changed(bodies, after)
    after = masked(after)
    if kept.any():
        return pc.if_else(pa.array(kept), after, cut(after)), lost
    return cut(after), lost


def _without_events(bodies: pa.Array, events: pa.Array, kept: Flags) -> pa.Array:
    going = to_numpy(pc.is_in(events, _EVENTS), np.bool_) & ~kept
    if not going.any():
        return bodies
    told = pc.and_(pc.is_valid(bodies), pc.not_equal(bodies, ""))
    harmless = pc.or_(matches(bodies, _SKELETON), pc.equal(bodies, events))
    going &= to_numpy(pc.fill_null(pc.and_(told, pc.invert(harmless)), fill_value=False), np.bool_)
    return pc.if_else(pa.array(going), CONTENT_DROPPED, bodies)


def _without_members(bodies: pa.Array, kept: Flags) -> pa.Array:
    chosen = to_numpy(matches(bodies, _LIKE_JSON), np.bool_) & ~kept
    if not chosen.any():
        return bodies
    telling = matches(bodies.filter(pa.array(chosen)), _WITH_CONTENT)
    chosen[chosen] = to_numpy(telling, np.bool_)
    if not chosen.any():
        return bodies
    encoded = bodies.filter(pa.array(chosen)).dictionary_encode()
    after = [_pruned(text) for text in encoded.dictionary.to_pylist()]
    replaced = pa.array(after, pa.string()).take(encoded.indices)
    return pc.replace_with_mask(bodies, pa.array(chosen), replaced)


def _pruned(text: str) -> str:
    try:
        document = _without_content(orjson.loads(text))
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    except (orjson.JSONDecodeError, RecursionError):  # orjson reads deeper than Python can follow
        return CONTENT_DROPPED


def _without_content(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _without_content(member)
                for name, member in value.items()
                if not _CONTENT.match(name)
            }
        case list():
            return [_without_content(each) for each in value]
    return value


def _changed(before: pa.Array, after: pa.Array) -> Index:
    if before is after:
        return np.zeros(len(before), np.int64)
    return to_numpy(pc.fill_null(pc.not_equal(before, after), fill_value=False), np.int64)
