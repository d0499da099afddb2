"""Reads `mapping.toml`, and says in one line what is wrong with it.

Strict: an unknown key, a wrong type, a column, sender or dialect that there is not, and a source
that says twice the same are errors. Rows of the user go through the same checks.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import files
from typing import Any, cast

from lake.agent_columns import INHERITED
from lake.mapping import (
    COUNTED,
    MEMBER,
    OUTCOMES,
    PLACES,
    SPAN_CLASSES,
    TAKES,
    UNITS,
    AttributeMap,
    By,
    Cached,
    Ending,
    Kind,
    Match,
    Outcome,
    Place,
    Sender,
    Source,
    SpanClass,
    Take,
)
from lake.schema import MAPPED
from lake.sender_entry import sender_of
from lake.toml_entry import Entry, MappingError, Table, pairs, texts, told_of

_OF_EVENTS = ("event", "body")
_MEMBER_OF = " -> "


def read_mapping(text: str) -> AttributeMap:
    """The mapping that a file with this text says. Raises MappingError, TOMLDecodeError."""
    document = tomllib.loads(text)
    parts = Entry(document, "mapping")
    columns = parts.take("columns", dict)
    kinds = parts.take("kinds", list)
    senders = parts.take("senders", dict)
    providers = Entry(parts.take("providers", dict), "providers")
    identity = Entry(parts.take("identity", dict), "identity")
    events = parts.take("first_token_events", dict)
    endings = parts.take("endings", list)
    dialects = parts.take("dialects", dict)
    parts.end()
    read = AttributeMap(
        sources=tuple(_sources(columns)),
        kinds=tuple(_kinds(kinds)),
        senders=tuple(sender_of(name, entry) for name, entry in senders.items()),
        endings=tuple(_ending(n, entry) for n, entry in enumerate(endings)),
        first_token_events=tuple(
            (name, dialect) for dialect, names in events.items() for name in texts(names, dialect)
        ),
        provider_names={
            **dict(pairs(providers.take("rename", dict, {}), "providers.rename")),
        },
        not_providers=frozenset(texts(providers.take("ignore", list, []), "providers.ignore")),
        not_names=frozenset(texts(identity.take("ignore", list, []), "identity.ignore")),
        dialects=dict(pairs(dialects, "dialects")),
    )
    providers.end()
    identity.end()
    _refuse_unknown_names(read)
    _refuse_repeats(read.sources)
    _refuse_two_endings(read.endings)
    return read


def source_of(column: str, entry: Table, place: str = "mapping") -> Source:
    """One source of a column. Raises MappingError; ``place`` is where it stands."""
    told_of(place, refuse_unmapped, column)
    table = Entry(entry, place)
    unit = table.take("unit", str, "")
    source = Source(
        column=column,
        attribute=table.take("attribute", str),
        on=cast("Place", table.choose("on", PLACES, "record")),
        event=table.take("event", str, ""),
        member=table.take("member", str, ""),
        unit=unit,
        scale=told_of(f"{place}.unit", scale_of, column, unit),
        sender=table.take("sender", str, ""),
        unless=table.take("unless", str, ""),
        when=_conditions(table.take("when", dict, {}), f"{place}.when"),
        take=cast("Take", table.choose("take", TAKES, "all")),
        values=pairs(table.take("values", dict, {}), f"{place}.values"),
        ignore=texts(table.take("ignore", list, []), f"{place}.ignore"),
        hearsay=table.take("hearsay", bool, default=False),
        cached=cast("Cached", table.choose("cached", COUNTED, "inclusive")),
        reasoning=cast("Cached", table.choose("reasoning", COUNTED, "inclusive")),
        dialect=table.take("dialect", str, ""),
        note=table.take("note", str, ""),
    )
    table.end()
    return _checked(source, place)


def scale_of(column: str, unit: str) -> float:
    """Factor from a unit to that of the column; 1 for no unit. Raises MappingError."""
    units = UNITS.get(MAPPED[column].unit, {})
    if unit and unit not in units:
        known = f"; known are {', '.join(units)}" if units else f"; {column} has no unit to convert"
        raise MappingError(f"{unit!r} cannot become {column}{known}")
    return units[unit] if unit else 1.0


def refuse_unmapped(column: str) -> None:
    """Raises MappingError for a column that is not taken from attributes."""
    if column not in MAPPED:
        near = get_close_matches(column, MAPPED, n=1)
        known = f"did you mean {near[0]}?" if near else f"known are {', '.join(MAPPED)}"
        raise MappingError(f"no column {column!r} is taken from attributes; {known}")


def _checked(source: Source, place: str) -> Source:
    """The source, once it is known to make sense."""
    if not source.attribute:
        raise MappingError(f"{place}.attribute is empty; name the attribute")
    if (source.on in _OF_EVENTS) != bool(source.event):
        raise MappingError(
            f'{place}: `event` names the event of on = "event" or "body", and only that'
        )
    if source.on == "body" and (source.attribute != "body" or not source.member):
        raise MappingError(
            f'{place}: of a body name a member; write attribute = "body", member = "…"'
        )
    if source.on not in {"record", "name"} and (source.sender or source.unless or source.when):
        raise MappingError(f"{place}: sender, unless and when are conditions of a record")
    if source.hearsay and (source.column not in INHERITED or source.on != "record"):
        raise MappingError(
            f"{place}: hearsay is said of attributes of a record, for {', '.join(INHERITED)}"
        )
    if source.cached != "inclusive" and source.column != "input_tokens":
        raise MappingError(f"{place}: cached is said of input_tokens only")
    if source.reasoning != "inclusive" and source.column != "output_tokens":
        raise MappingError(f"{place}: reasoning is said of output_tokens only")
    return source


def _sources(columns: Table) -> Iterable[Source]:
    for column, entries in columns.items():
        where = f"columns.{column}"
        if not isinstance(entries, list) or not entries:
            raise MappingError(f"{where} must be a list of at least one source")
        for number, entry in enumerate(entries):
            yield source_of(column, entry, f"{where}[{number}]")


def kind_of(name: str, span_class: str, by: str | None, dialect: str = "") -> Kind:
    """What a record of this operation or name is. Raises MappingError."""
    if span_class not in SPAN_CLASSES:
        raise MappingError(f"span_class {span_class!r} must be one of {', '.join(SPAN_CLASSES)}")
    return Kind(name, cast("SpanClass", span_class), cast("By | None", by), dialect)


def _kinds(entries: Sequence[Any]) -> Iterable[Kind]:
    for number, entry in enumerate(entries):
        place = f"kinds[{number}]"
        table = Entry(entry, place)
        span_class = table.choose("span_class", SPAN_CLASSES)
        by = table.choose("by", ("operation", "name"), "") or None
        dialect = table.take("dialect", str)
        names = texts(table.take("names", list), f"{place}.names")
        table.end()
        yield from (kind_of(name, span_class, by, dialect) for name in names)


def _ending(number: int, entry: Any) -> Ending:
    place = f"endings[{number}]"
    table = Entry(entry, place)
    ending = Ending(
        outcome=cast("Outcome", table.choose("outcome", OUTCOMES)),
        reason=table.take("reason", str, ""),
        span_class=texts(table.take("span_class", list, []), f"{place}.span_class"),
        errors=texts(table.take("errors", list, []), f"{place}.errors"),
        finishes=texts(table.take("finishes", list, []), f"{place}.finishes"),
        said=texts(table.take("said", list, []), f"{place}.said"),
        note=table.take("note", str, ""),
    )
    table.end()
    bare = bool(ending.said) and not (ending.errors or ending.finishes)
    if bool(ending.reason) == (ending.outcome == "success") and not (bare and not ending.reason):
        raise MappingError(f"{place}.reason says why it did not end well; give it to nothing else")
    for span_class in ending.span_class:
        if span_class not in SPAN_CLASSES:
            raise MappingError(
                f"{place}.span_class {span_class!r} must be one of {', '.join(SPAN_CLASSES)}"
            )
    return ending


def _conditions(table: Table, place: str) -> tuple[tuple[str, str], ...]:
    """Keys of attributes, or of members written as `attribute -> path`, and their values."""
    return tuple((key.replace(_MEMBER_OF, MEMBER), value) for key, value in pairs(table, place))


def _refuse_unknown_names(read: AttributeMap) -> None:
    senders = {sender.name for sender in read.senders}
    for source in read.sources:
        for name in (source.sender, source.unless):
            if name and name not in senders:
                raise MappingError(f"columns.{source.column}: no sender {name!r} in [senders]")
        if source.dialect not in read.dialects:
            raise MappingError(f"columns.{source.column}: no dialect {source.dialect!r}")
    for kind in read.kinds:
        if kind.dialect not in read.dialects:
            raise MappingError(f"kinds: no dialect {kind.dialect!r} in [dialects]")


def _refuse_repeats(sources: Sequence[Source]) -> None:
    seen = set()
    for source in sources:
        what = replace(source, note="", dialect="")
        if what in seen:
            raise MappingError(f"columns.{source.column}: {source.attribute!r} stands there twice")
        seen.add(what)


def _refuse_two_endings(endings: Sequence[Ending]) -> None:
    seen = set()
    for number, ending in enumerate(endings):
        by_what = {"": (*ending.errors, *ending.finishes), "said": ending.said}
        for what, name in ((what, name) for what, names in by_what.items() for name in names):
            for span_class in ending.span_class or ("",):
                if (what, name, span_class) in seen:
                    raise MappingError(f"endings[{number}]: {name!r} stands there twice")
                seen.add((what, name, span_class))


def with_own(sources: Sequence[Table], kinds: Sequence[Table]) -> AttributeMap:
    """The shipped mapping behind rows of the user, each as a table of `quietpager.toml`.

    A source may have a ``scope``, the instrumentation scope it is taken from. Keys that are None
    are not there. Raises MappingError.
    """
    scopes = dict.fromkeys(scope for entry in sources if (scope := entry.get("scope")))
    return SHIPPED.with_rows(
        [own_source(entry) for entry in sources],
        [own_kind(entry) for entry in kinds],
        [Sender(scope, (Match(scope=scope),)) for scope in scopes],
    )


def own_source(entry: Table) -> Source:
    """One row of the user. Raises MappingError."""
    said = {key: value for key, value in entry.items() if value is not None}
    scope = said.pop("scope", None)
    return source_of(
        said.pop("column"), said | ({"sender": scope} if scope else {}), f"mapping of {entry}"
    )


def own_kind(entry: Table) -> Kind:
    """What the user says that an operation or name is. Raises MappingError."""
    return kind_of(entry["name"], entry["span_class"], entry.get("by"))


SHIPPED = read_mapping(files("lake").joinpath("mapping.toml").read_text(encoding="utf-8"))
"""The mapping that Quietpager ships."""
