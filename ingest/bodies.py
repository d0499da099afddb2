"""Columns that stand in the bodies of log records.

OpenTelemetry's events up to 1.36 say in the body of `gen_ai.choice` how a response ended; of
streams nothing else does. And where nothing took a line of JSON apart on its way, as our collector
does, the body is the line: its members are what else would be attributes.
"""

import json
from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.pairs import Pairs
from ingest.promote import promote
from ingest.vectors import matches, nulls, where
from lake.mapping import AttributeMap, Place
from lake.schema import MAPPED

_BODY: Place = "body"
_LINE = r'^\s*\{(?s:.*)"event(?:\.name)?"\s*:\s*"'


def with_lines(own: Pairs, bodies: pa.Array, event: pa.Array, mapping: AttributeMap) -> Pairs:
    """The attributes, and the members of lines of JSON that name an event, where nothing else does.

    An attribute comes before a member of its name.
    """
    if not event.null_count:
        return own
    lines = pc.and_(pc.is_null(event), pc.fill_null(matches(bodies, _LINE), fill_value=False))
    if not pc.any(lines).as_py():
        return own
    rows = np.flatnonzero(to_numpy(lines, np.bool_))
    told = [list(_members(text)) for text in bodies.take(pa.array(rows)).to_pylist()]
    keys, values = (
        pa.array([pair[part] for pairs in told for pair in pairs], pa.string()) for part in (0, 1)
    )
    opened = Pairs(own.rows, np.repeat(rows, [len(pairs) for pairs in told]), keys, values)
    held = {name: mapping.members[name] for name in mapping.members if name in opened.by_key}
    return own.before(opened.with_members(held) if held else opened)


def named_id(own: Pairs, name: str, digits: int) -> pa.Array:
    """The id of a trace or span that an attribute says in hexadecimal; NULL elsewhere."""
    found = own.positions(name)
    if found is None:
        return nulls(own.rows)
    position = np.full(own.rows, -1)
    position[own.owners[found]] = found
    said = pc.utf8_lower(own.values.take(pa.array(position, mask=position < 0)))
    told = pc.and_(matches(said, rf"^[0-9a-f]{{{digits}}}$"), pc.invert(matches(said, "^0+$")))
    return where(told, said)


def _members(line: str) -> Iterator[tuple[str, str]]:
    """What a line says, as attributes have it; nothing if it is no JSON object."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return
    for name, value in document.items():
        if isinstance(value, str):
            yield name, value
        elif value is not None:
            yield name, json.dumps(value)


def in_bodies(bodies: pa.Array, events: pa.Array, mapping: AttributeMap) -> dict[str, pa.Array]:
    """The columns that the mapping takes from bodies of events that are here; NULL elsewhere."""
    found: dict[str, pa.Array] = {}
    for event in mapping.body_events:
        rows = np.flatnonzero(
            to_numpy(pc.fill_null(pc.equal(events, event), fill_value=False), np.bool_)
        )
        if not len(rows):
            continue
        wanted = [MAPPED[name] for name in mapping.columns_of_event(event, _BODY)]
        paths = {s.member for column in wanted for s in mapping.placed(column.name, _BODY, event)}
        keys = pa.repeat(_BODY, len(rows))
        pairs = Pairs(len(bodies), rows, keys, bodies.take(pa.array(rows)))
        opened = pairs.with_members({_BODY: frozenset(paths)})
        for name, values in promote(opened, wanted, mapping, _BODY, event=event).items():
            found[name] = pc.coalesce(found.get(name, nulls(len(bodies))), values)
    return found
