"""Rows of the lake without content: the last thing that happens to them before they are written."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, to_numpy
from ingest.limits import short
from ingest.privacy.attributes import Flags, screened_map
from ingest.privacy.bodies import CONTENT_EVENTS, screened_bodies
from ingest.privacy.masking import cut, masked
from ingest.vectors import list_of, offsets_of

LONGEST_SERVICE = 200
"""Characters of a service's name under which what was dropped is counted."""

_MAPS = ("attributes", "resource_attributes")


@dataclass
class Screen:
    """Takes content out of rows, and counts what it took.

    Rows of a tenant in `keep_content_for`, in full or as their column `tenant_id` cuts it, keep
    theirs; rows that name none do not. `dropped` counts attributes and bodies by the service that
    sent them.
    """

    keep_content_for: Collection[str] = ()
    dropped: Counter[str] = field(default_factory=Counter)

    def screened(self, rows: pa.Table) -> pa.Table:
        """The rows as they may be stored."""
        kept = self._kept(rows)
        columns = {name: _whole(rows[name]) for name in _FREE_TEXT if name in rows.column_names}
        lost = np.zeros(len(rows), np.int64)
        after = dict(columns)
        for name in _MAPS:
            after[name], dropped = screened_map(columns[name], kept)
            lost += dropped
        if "events" in columns:
            after["events"], dropped = _screened_events(columns["events"], kept)
            lost += dropped
        if "body" in columns:
            events = _whole(rows["event_name"])
            after["body"], dropped = screened_bodies(columns["body"], events, kept)
            lost += dropped
        if "status_message" in columns:
            after["status_message"] = cut(masked(columns["status_message"]))
        self._count(rows, lost)
        for name, values in after.items():
            if values is not columns[name]:
                rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        return rows

    def _kept(self, rows: pa.Table) -> Flags:
        if not self.keep_content_for:
            return np.zeros(len(rows), np.bool_)
        tenants = pa.array(sorted(map(short, self.keep_content_for)), pa.string())
        return to_numpy(pc.is_in(_whole(rows["tenant_id"]), tenants), np.bool_)

    def _count(self, rows: pa.Table, lost: Index) -> None:
        if not lost.any():
            return
        losing = np.flatnonzero(lost)
        services = (
            _whole(rows["service_name"])
            .take(pa.array(losing))
            .dictionary_encode(null_encoding="encode")
        )
        counts = np.bincount(to_numpy(services.indices, np.int64), weights=lost[losing])
        names = services.dictionary.to_pylist()
        for name, count in zip(names, counts, strict=True):
            self.dropped[(name or "")[:LONGEST_SERVICE]] += int(count)


_FREE_TEXT = (*_MAPS, "events", "body", "status_message")


def _screened_events(lists: pa.ListArray, kept: Flags) -> tuple[pa.ListArray, Index]:
    """Span events, whose attributes are a map within a struct within a list."""
    flat = lists.flatten()
    if not len(flat):
        return lists, np.zeros(len(lists), np.int64)
    row = to_numpy(pc.list_parent_indices(lists), np.int64)
    before = flat.field("attributes")
    telling = to_numpy(pc.is_in(flat.field("name"), CONTENT_EVENTS), np.bool_)
    after, dropped = screened_map(before, kept[row], telling)
    lost = np.bincount(row, weights=dropped, minlength=len(lists)).astype(np.int64)
    if after is before:
        return lists, lost
    fields = list(lists.type.value_type)
    parts = [after if each.name == "attributes" else flat.field(each.name) for each in fields]
    structs = pa.StructArray.from_arrays(parts, fields=fields)
    return list_of(offsets_of(lists), structs).cast(lists.type), lost


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
