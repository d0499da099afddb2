"""Rows of the lake without content: the last thing that happens to them before they are written."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Index, to_numpy
from ingest.limits import short
from ingest.privacy.attributes import Owners, screened_map
from ingest.privacy.bodies import screened_bodies, telling_events
from ingest.privacy.documents import without_content_within
from ingest.privacy.masking import cut, masked, masked_together
from ingest.privacy.quotes import without_quotes
from ingest.privacy.shape import Flags
from ingest.privacy.titles import without_titles
from ingest.vectors import list_of, offsets_of

LONGEST_SERVICE = 200
"""Characters of a service's name under which what was dropped is counted."""


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
        kept, agentic = self._kept(rows), _agentic(rows)
        events = _whole(rows["event_name"]) if "event_name" in rows.column_names else None
        telling = None if events is None else telling_events(events)
        columns = {name: _whole(rows[name]) for name in _FREE_TEXT if name in rows.column_names}
        lost = np.zeros(len(rows), np.int64)
        after = dict(columns)
        for name, whose in (
            ("attributes", Owners.of(kept, agentic, telling)),
            ("resource_attributes", Owners.of(kept)),
        ):
            after[name], dropped = screened_map(columns[name], whose)
            lost += dropped
        if "events" in columns:
            after["events"], dropped = _screened_events(columns["events"], kept, agentic)
            lost += dropped
        if events is not None and telling is not None:
            after["body"], dropped = screened_bodies(columns["body"], events, telling, kept)
            lost += dropped
        for name in _MESSAGES & columns.keys():
            after[name] = _screened_messages(columns[name], kept)
        after |= masked_together({name: columns[name] for name in _NAMES & columns.keys()})
        if "events" in columns:
            after["name"] = without_titles(after["name"], _whole(rows["scope_name"]), kept)
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


_MESSAGES = {"status_message", "error_message", "outcome_reason"}
_NAMES = {
    *("name", "event_name", "agent_name", "feature", "node"),
    *("request_model", "response_model", "tool_name"),
}
"""What people and frameworks make up, and of log lines the event, which is structlog's message."""
_FREE_TEXT = (
    *("attributes", "resource_attributes", "events", "body"),
    *sorted(_MESSAGES),
    *sorted(_NAMES),
)


def _agentic(rows: pa.Table) -> Flags | None:
    """Which rows are agent work; a data point is about none in particular."""
    if "span_class" not in rows.column_names:
        return None
    other = pc.equal(_whole(rows["span_class"]), "other")
    return to_numpy(pc.invert(pc.fill_null(other, fill_value=True)), np.bool_)


def _screened_messages(messages: pa.Array, kept: Flags) -> pa.Array:
    """What is said of a failure, without what it quotes of what a model said."""
    if messages.null_count == len(messages):
        return messages
    encoded = messages.dictionary_encode()
    left = without_content_within(without_quotes(encoded.dictionary))
    if left is not encoded.dictionary:
        left = left.take(encoded.indices)
        messages = pc.if_else(pa.array(kept), messages, left) if kept.any() else left
    return cut(masked(messages))


def _screened_events(
    lists: pa.ListArray, kept: Flags, agentic: Flags | None
) -> tuple[pa.ListArray, Index]:
    """Span events, whose attributes are a map within a struct within a list."""
    flat = lists.flatten()
    if not len(flat):
        return lists, np.zeros(len(lists), np.int64)
    row = to_numpy(pc.list_parent_indices(lists), np.int64)
    before = flat.field("attributes")
    whose = Owners.of(
        kept[row],
        None if agentic is None else agentic[row],
        telling_events(flat.field("name")),
    )
    after, dropped = screened_map(before, whose)
    lost = np.bincount(row, weights=dropped, minlength=len(lists)).astype(np.int64)
    called = flat.field("name")
    names = masked(called)
    if after is before and names is called:
        return lists, lost
    fields = list(lists.type.value_type)
    changed = {"attributes": after, "name": names}
    parts = [changed.get(each.name, flat.field(each.name)) for each in fields]
    structs = pa.StructArray.from_arrays(parts, fields=fields)
    return list_of(offsets_of(lists), structs).cast(lists.type), lost


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
