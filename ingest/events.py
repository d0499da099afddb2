"""What the events of spans say: the last exception, and when the first token came."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, attributes_of, to_numpy
from ingest.pairs import Pairs
from ingest.promote import pairs_of, promote
from ingest.vectors import list_of, map_of, offsets_of, time_of
from lake.mapping import AttributeMap
from lake.schema import MAPPED, SPANS


@dataclass(frozen=True)
class SpanEvents:
    """A batch's span events, and what they say of each span.

    `columns` are those that the mapping takes from attributes of events, each from the last event
    of its name; `first_token` is when the first token came (unix ns).
    """

    lists: pa.Array
    columns: Mapping[str, pa.Array]
    first_token: pa.Array

    @classmethod
    def of(cls, lists: pa.ListArray, mapping: AttributeMap) -> "SpanEvents":
        flat = lists.flatten()
        offsets = offsets_of(lists)
        names = pc.struct_field(flat, "name")
        attributes = attributes_of(pc.struct_field(flat, "attributes"))
        structs = pa.StructArray.from_arrays(
            [time_of(pc.struct_field(flat, "time_unix_nano")), names, map_of(attributes)],
            fields=list(SPANS.arrow.field("events").type.value_type),
        )
        span = to_numpy(pc.list_parent_indices(lists), np.int64)
        token = pa.array([name for name, _ in mapping.first_token_events])
        tokens = np.flatnonzero(to_numpy(pc.is_in(names, token), np.bool_))
        first_token = _last(len(lists), span, tokens[::-1])
        columns: dict[str, pa.Array] = {}
        for event in mapping.events:
            of_it = np.flatnonzero(to_numpy(pc.equal(names, event), np.bool_))
            if len(of_it):
                told = _told(pairs_of(attributes, mapping), mapping, event)
                last = _last(len(lists), span, of_it)
                for name, values in told.items():
                    found = [columns[name]] if name in columns else []
                    columns[name] = pc.coalesce(*found, values.take(last))
        return cls(
            list_of(offsets, structs),
            columns,
            pc.struct_field(flat, "time_unix_nano").take(first_token),
        )


def _told(pairs: Pairs, mapping: AttributeMap, event: str) -> dict[str, pa.Array]:
    wanted = [MAPPED[name] for name in mapping.columns_of_event(event)]
    return promote(pairs, wanted, mapping, "event", event=event)


def _last(spans: int, span_of_event: Index, events: Index) -> pa.Array:
    """For each span, the last of the given events that is its own; NULL if none is."""
    last = np.full(spans, -1)
    last[span_of_event[events]] = events
    return pa.array(last, mask=last < 0)
