"""Bodies of log records: some are content as a whole, some have content among their members."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, to_numpy
from ingest.privacy.attributes import Flags
from ingest.privacy.documents import LIKE_JSON, without_content_members
from ingest.privacy.masking import cut, masked
from ingest.privacy.table import CONTENT_DROPPED, content_table
from ingest.vectors import matches

CONTENT_EVENTS = pa.array(content_table().body_events)
# The member names a content event has anyway. What instrumentations send with content switched
# off is made of these, numbers and single words, and was never content.
_SKELETON = (
    r'^(?:[\[\]{},]|"(?:index|finish_reason|message|role|tool_calls|id|type|function|name)":'
    r'(?:"[A-Za-z0-9_.-]*"|\d+|null)?)*$'
)


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
    going = to_numpy(pc.is_in(events, CONTENT_EVENTS), np.bool_) & ~kept
    if not going.any():
        return bodies
    told = pc.and_(pc.is_valid(bodies), pc.not_equal(bodies, ""))
    harmless = pc.or_(matches(bodies, _SKELETON), pc.equal(bodies, events))
    going &= to_numpy(pc.fill_null(pc.and_(told, pc.invert(harmless)), fill_value=False), np.bool_)
    return pc.if_else(pa.array(going), CONTENT_DROPPED, bodies)


def _without_members(bodies: pa.Array, kept: Flags) -> pa.Array:
    chosen = to_numpy(matches(bodies, LIKE_JSON), np.bool_) & ~kept
    if not chosen.any():
        return bodies
    before = bodies.filter(pa.array(chosen))
    after = without_content_members(before)
    return bodies if after is before else pc.replace_with_mask(bodies, pa.array(chosen), after)


def _changed(before: pa.Array, after: pa.Array) -> Index:
    if before is after:
        return np.zeros(len(before), np.int64)
    return to_numpy(pc.fill_null(pc.not_equal(before, after), fill_value=False), np.int64)
