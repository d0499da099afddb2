"""Columns that stand in the bodies of log events, which are content else and are not stored.

OpenTelemetry's events up to 1.36 say in the body of `gen_ai.choice` how a response ended; of
streams nothing else does.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.pairs import Pairs
from ingest.promote import promote
from ingest.vectors import nulls
from lake.mapping import AttributeMap, Place
from lake.schema import MAPPED

_BODY: Place = "body"


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
