"""Bodies of log records: some are content as a whole, some have content among their members."""

import json
from collections.abc import Callable

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, to_numpy
from ingest.privacy.documents import MAY_HOLD, without_content_within
from ingest.privacy.masking import cut, masked
from ingest.privacy.names import Sort, sorts_of
from ingest.privacy.quotes import without_quotes_in_bodies
from ingest.privacy.shape import Flags
from ingest.privacy.table import CONTENT_DROPPED, alternatives, content_table
from ingest.privacy.words import Look
from ingest.vectors import matches

_CONTENT_EVENTS = pa.array(content_table().body_events)
_MEMBERS = rf'^\s*\{{(?s:.*)"(?:{alternatives(content_table().body_members)})"\s*:\s*"'
_CONVENTION = r"^gen_?ai[.]"
# The member names a content event has anyway. What instrumentations send with content switched
# off is made of these, numbers and single words, and was never content.
_SKELETON = (
    r'^(?:[\[\]{},]|"(?:index|finish_reason|message|role|tool_calls|id|type|function|name)":'
    r'(?:"[A-Za-z0-9_.-]*"|\d+|null)?)*$'
)


def telling_events(events: pa.Array) -> Flags:
    """Which events say what was said.

    Those of the table, those of OpenTelemetry's convention, whatever it adds to them, and those
    whose name looks like content.
    """
    encoded = events.dictionary_encode()
    names = encoded.dictionary
    telling = pc.or_(pc.is_in(names, _CONTENT_EVENTS), matches(names, _CONVENTION))
    looks = sorts_of(names)
    named = (looks & (Look.CERTAIN | Look.LIKELY) > 0) & (looks & Look.OURS > 0)
    telling = pc.or_(telling, pa.array(named | (looks & Sort.CONTENT > 0)))
    return to_numpy(pc.fill_null(telling.take(encoded.indices), fill_value=False), np.bool_)


def screened_bodies(
    bodies: pa.Array, events: pa.Array, telling: Flags, kept: Flags
) -> tuple[pa.Array, Index]:
    """Bodies without content but where `kept`, secrets masked, long ones cut; and which lost some.

    The body of an event in `telling` goes whole. Of another what is content goes: members of JSON,
    messages at any depth, and all of it when it cannot be read to its end.
    """
    after = _without_events(bodies, events, telling & ~kept)
    after = _where(after, ~kept, without_content_within)
    after = _where(after, ~kept, _without_members)
    quoteless = without_quotes_in_bodies(after)
    after = pc.if_else(pa.array(kept), after, quoteless) if kept.any() else quoteless
    lost = _changed(bodies, after)
    after = masked(after)
    if kept.any():
        return pc.if_else(pa.array(kept), after, cut(after)), lost
    return cut(after), lost


def _without_events(bodies: pa.Array, events: pa.Array, going: Flags) -> pa.Array:
    if not going.any():
        return bodies
    told = pc.and_(pc.is_valid(bodies), pc.not_equal(bodies, ""))
    harmless = pc.or_(matches(bodies, _SKELETON), pc.equal(bodies, events))
    going = going & to_numpy(
        pc.fill_null(pc.and_(told, pc.invert(harmless)), fill_value=False), np.bool_
    )
    return pc.if_else(pa.array(going), CONTENT_DROPPED, bodies)


def _where(bodies: pa.Array, chosen: Flags, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    chosen = chosen & to_numpy(matches(bodies, MAY_HOLD), np.bool_)
    if not chosen.any():
        return bodies
    before = bodies.filter(pa.array(chosen))
    after = change(before)
    return bodies if after is before else pc.replace_with_mask(bodies, pa.array(chosen), after)


def _without_members(bodies: pa.Array) -> pa.Array:
    """Objects of JSON without the members that are content in a body."""
    telling = matches(bodies, _MEMBERS)
    if not pc.any(telling).as_py():
        return bodies
    encoded = bodies.filter(telling).dictionary_encode()
    after = pa.array([_pruned(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(bodies, telling, after.take(encoded.indices))


def _pruned(text: str) -> str:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    left = {
        name: member
        for name, member in document.items()
        if name not in content_table().body_members or not isinstance(member, str)
    }
    return json.dumps(left, ensure_ascii=False, separators=(",", ":"))


def _changed(before: pa.Array, after: pa.Array) -> Index:
    if before is after:
        return np.zeros(len(before), np.int64)
    return to_numpy(pc.fill_null(pc.not_equal(before, after), fill_value=False), np.int64)
