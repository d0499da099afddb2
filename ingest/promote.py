"""Attributes into the columns of the lake, by the ordered sources of a `lake.mapping`.

All rows at once: the attribute keys are dictionary-encoded, the pairs of each wanted key are
picked by its code, and their row numbers say where the values go. No Python loop runs over rows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import Attributes, Decoded, Index, to_numpy
from ingest.pairs import Flags, Pairs
from ingest.senders import Senders
from ingest.typed import NO_PAIR, Picked, meaning, typed
from ingest.vectors import where
from lake.agent_columns import INHERITED
from lake.column import Column
from lake.mapping import ANY, AttributeMap, Cached, Said, Source


def promoted(
    decoded: Decoded,
    wanted: Sequence[Column],
    mapping: AttributeMap,
    own: Pairs,
    senders: Senders,
    *,
    of_events: Mapping[str, pa.Array] | None = None,
) -> dict[str, pa.Array]:
    """Promoted columns: the record's own attributes first, then its name, then its events, then its
    resource, then hearsay; and which of those that a span above may name are of the last two.

    `own` are the attributes of the records, `of_events` the columns that their events say.
    """
    columns = promote(own, wanted, mapping, senders=senders)
    for column in wanted:
        for source in mapping.placed(column.name, "name"):
            ours = _all_rows_meant(own, source, senders)
            if ours.any():
                ours &= ~_ignored(senders.names, source)
                named = where(pa.array(ours), meaning(senders.names, source))
                columns[column.name] = pc.coalesce(columns[column.name], named)
    for name, values in (of_events or {}).items():
        columns[name] = pc.coalesce(columns[name], values)
    lent = _lent(decoded, wanted, mapping, own, senders)
    return columns | {
        **{name: pc.coalesce(columns[name], values) for name, values in lent.items()},
        "hearsay": _hearsay(columns, lent, len(decoded.rows)),
    }


def _lent(
    decoded: Decoded, wanted: Sequence[Column], mapping: AttributeMap, own: Pairs, senders: Senders
) -> dict[str, pa.Array]:
    """What the resource says, else hearsay, of the columns of which either says anything."""
    of_resource = [column for column in wanted if mapping.placed(column.name, "resource")]
    passed_on = [column for column in wanted if mapping.placed(column.name, "hearsay")]
    shared = promote(
        pairs_of(decoded.resource_attributes, mapping), of_resource, mapping, "resource"
    )
    resources = pa.array(decoded.resource)
    lent = {
        name: values.take(resources)
        for name, values in shared.items()
        if values.null_count < len(values)
    }
    for name, values in promote(own, passed_on, mapping, "hearsay", senders=senders).items():
        if values.null_count < len(values):
            lent[name] = pc.coalesce(lent[name], values) if name in lent else values
    return lent


def _hearsay(
    columns: Mapping[str, pa.Array], lent: Mapping[str, pa.Array], rows: int
) -> pa.StringArray:
    """For every row the columns of `INHERITED` that it has from `lent`, comma-separated."""
    which = np.zeros(rows, np.int8)
    names = [name for name in INHERITED if name in lent]
    for number, name in enumerate(names):
        borrowed = pc.and_(pc.is_null(columns[name]), pc.is_valid(lent[name]))
        which |= to_numpy(borrowed, np.bool_).astype(np.int8) << number
    said = [
        ",".join(name for number, name in enumerate(names) if found >> number & 1) or None
        for found in range(2 ** len(names))
    ]
    return pa.array(said, pa.string()).take(pa.array(which))


def pairs_of(attributes: Attributes, mapping: AttributeMap) -> Pairs:
    """The attributes, with those members of JSON objects that the mapping wants."""
    return Pairs.of(attributes, mapping.members)


def promote(
    pairs: Pairs,
    wanted: Iterable[Column],
    mapping: AttributeMap,
    on: Said = "record",
    *,
    event: str = "",
    senders: Senders | None = None,
) -> dict[str, pa.Array]:
    """One array per wanted column, a value or NULL for every owner of the attributes.

    With `event` they are those of events of that name: attributes of span events, or with `on`
    members of the bodies of log events.
    Without `senders` sources that depend on the sender are left out.
    """
    found: dict[str, pa.Array] = {}
    for column in wanted:
        sources = mapping.placed(column.name, on, event)
        never = _never(column, mapping)
        picked = _pick(pairs, sources, senders, never)
        found[column.name] = typed(column, sources, pairs.values, picked)
    return found


def _never(column: Column, mapping: AttributeMap) -> frozenset[str]:
    """What is no value of the column, whatever its source."""
    if column.name in INHERITED:
        return mapping.not_names
    return mapping.not_providers if column.name == "provider" else frozenset()


def counted_as(
    counts: Cached, column: str, pairs: Pairs, mapping: AttributeMap, senders: Senders
) -> Flags | None:
    """Whose input tokens count cached ones so, or output tokens reasoning; None if nobody's."""
    sources = mapping.placed(column, "record")
    apart = [n for n, source in enumerate(sources) if source.counts == counts]
    if not any(sources[n].key in pairs.by_key for n in apart):
        return None
    flags = _pick(pairs, sources, senders, frozenset()).from_one_of(apart)
    return flags if flags.any() else None


def _pick(
    pairs: Pairs, sources: Sequence[Source], senders: Senders | None, never: frozenset[str]
) -> Picked:
    """The first source that has a value, for every row: they are written over in reverse order."""
    position = np.full(pairs.rows, NO_PAIR)
    chosen = np.full(pairs.rows, NO_PAIR, np.int16)
    for number in range(len(sources) - 1, -1, -1):
        source = sources[number]
        found = pairs.positions(source.key)
        if found is not None and len(found := _meant(pairs, source, found, senders, never)):
            owners = pairs.owners[found]
            position[owners] = found
            chosen[owners] = number
    return Picked(position, chosen)


def _meant(
    pairs: Pairs, source: Source, found: Index, senders: Senders | None, never: frozenset[str]
) -> Index:
    """Of the pairs of a source's key those that its conditions allow."""
    for name in filter(None, (source.sender, source.unless)):
        ours = None if senders is None else senders.of(name)
        if name == source.unless:
            found = found if ours is None else found[~ours[pairs.owners[found]]]
        else:
            found = found[:0] if ours is None else found[ours[pairs.owners[found]]]
    for key, pattern in source.when:
        found = found[pairs.owners_with(key, pattern)[pairs.owners[found]]]
    if source.values and ANY not in dict(source.values):
        found = found[_among(pairs, found, [text for text, _ in source.values])]
    if ignored := never.union(source.ignore):
        found = found[~_among(pairs, found, ignored, lower=bool(never))]
    return found[~_blank(pairs, found)] if never else found


def _all_rows_meant(pairs: Pairs, source: Source, senders: Senders) -> Flags:
    """The rows that the conditions of a source allow, whatever attributes they have."""
    rows = np.ones(pairs.rows, np.bool_)
    if source.sender:
        ours = senders.of(source.sender)
        rows &= False if ours is None else ours
    for key, pattern in source.when:
        rows &= pairs.owners_with(key, pattern)
    return rows


def _ignored(names: pa.Array, source: Source) -> Flags:
    """Which names of records say nothing, whatever their case."""
    if not source.ignore:
        return np.zeros(len(names), np.bool_)
    nothing = pc.is_in(pc.utf8_lower(names), pa.array(source.ignore))
    return to_numpy(pc.fill_null(nothing, fill_value=False), np.bool_)


def _blank(pairs: Pairs, found: Index) -> Flags:
    """Which of the pairs are nothing but space; each text is read up to its first letter."""
    texts = pairs.values.take(pa.array(found))
    return to_numpy(pc.utf8_is_space(texts), np.bool_)


def _among(pairs: Pairs, found: Index, wanted: Collection[str], *, lower: bool = False) -> Flags:
    """Which of the pairs have one of these texts; few are even as long as one."""
    among = np.isin(pairs.lengths[found], [len(text.encode()) for text in wanted])
    if among.any():
        texts = pairs.values.take(pa.array(found[among]))
        names = pc.utf8_lower(texts) if lower else texts
        among[among] = to_numpy(pc.is_in(names, pa.array(sorted(wanted))), np.bool_)
    return among
