"""The mapping of every dialect's attributes to the columns of the lake, as data.

`mapping.toml` says it, `lake.mapping_file` reads and checks it, this is what comes out. Ingest
extracts by it, the documentation is written from it, and `known_attributes` tells which names it
knows. `AttributeMap.with_rows` puts rows of the user before those that ship.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

import pyarrow as pa

Place = Literal["record", "resource", "event", "name", "body"]
Said = Literal["record", "resource", "event", "name", "body", "hearsay"]
SpanClass = Literal["agent", "llm", "tool", "node", "other"]
By = Literal["operation", "name"]
Cached = Literal["inclusive", "exclusive", "by_total"]
Bad = Literal["error", "interrupt"]
Sign = Literal["finish_reason", "usage", "ok", "unset", "nothing"]
Outcome = Literal["success", "error", "interrupt"]
Take = Literal["all", "first", "head", "json", "stem", "tail"]

PLACES: tuple[str, ...] = get_args(Place)
BY: tuple[By, ...] = get_args(By)
OUTCOMES: tuple[str, ...] = get_args(Outcome)
TAKES: tuple[str, ...] = get_args(Take)
COUNTED: tuple[str, ...] = get_args(Cached)
SIGNS: tuple[str, ...] = get_args(Sign)
USUAL_SIGNS: tuple[Sign, ...] = ("finish_reason", "usage")
"""That a response is whole: most libraries whose silence tells anything tell one of these."""
SPAN_CLASSES: tuple[str, ...] = get_args(SpanClass)

MEMBER = "\x00"
"""Between an attribute and the path of a member in it, in the key of a source."""

# Factor from the unit of an attribute to the unit of its column.
UNITS: Mapping[str, Mapping[str, float]] = {
    "ms": {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6},
    "USD": {"USD": 1.0, "micro-USD": 1e-6},
    "tries": {"from 0": 1.0},
}
ANY = "*"
"""Of values those that are not told apart."""
FROM_ZERO = "from 0"
"""The unit of a number that counts from 0, where its column does from 1."""


@dataclass(frozen=True, slots=True)
class Source:
    """One attribute a column may be taken from; `mapping.toml` says what each field means.

    ``scale`` converts the attribute's unit into the column's: the unit is known per attribute and
    never guessed from the magnitude.
    """

    column: str
    attribute: str
    on: Place = "record"
    event: str = ""
    member: str = ""
    unit: str = ""
    scale: float = 1.0
    sender: str = ""
    unless: str = ""
    when: tuple[tuple[str, str], ...] = ()
    take: Take = "all"
    values: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    hearsay: bool = False
    cached: Cached = "inclusive"
    reasoning: Cached = "inclusive"
    dialect: str = ""
    note: str = ""

    @property
    def said(self) -> Said:
        """Where it stands, or that it is only passed along."""
        return "hearsay" if self.hearsay else self.on

    @property
    def counts(self) -> Cached:
        """Where the part of what it counts stands that some count beside it."""
        return self.cached if self.cached != "inclusive" else self.reasoning

    @property
    def key(self) -> str:
        """The attribute, and of a member also its path."""
        return f"{self.attribute}{MEMBER}{self.member}" if self.member else self.attribute


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern of the scope, of the record's name, or both; x* is a prefix, *x an ending.

    ``before`` and ``since``: only of versions of the scope before this one, or from it on.
    """

    scope: str = ""
    name: str = ""
    before: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """A library whose records differ from others of the same names.

    ``finishes``: operations of which a whole response always tells one of ``tells``.
    ``cut``: what a call of these is that tells none.
    ``answers_apart``: operations of which a streamed answer is a record of its own.
    ``rest_is_reasoning``: what its total has beside input and output is reasoning it left out.
    ``ok_is_final``: a status of OK is its last word, whatever was raised.
    """

    name: str
    match: tuple[Match, ...]
    finishes: tuple[str, ...] = ()
    tells: tuple[Sign, ...] = USUAL_SIGNS
    cut: Bad = "error"
    answers_apart: tuple[str, ...] = ()
    knows_durations: bool = True
    rest_is_reasoning: bool = False
    ok_is_final: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """What a record is, by its operation or its name; without ``by`` by either."""

    name: str
    span_class: SpanClass
    by: By | None = None
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a record ended, by the class of its error, its finish reason or what its sender says.

    With ``span_class`` only of records of these classes, which comes before what is said of all.
    """

    outcome: Outcome
    reason: str
    span_class: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    finishes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class AttributeMap:
    """The whole mapping. ``sources`` of a column are tried in order, the first value wins."""

    sources: tuple[Source, ...]
    kinds: tuple[Kind, ...]
    own_kinds: tuple[Kind, ...] = ()
    senders: tuple[Sender, ...] = ()
    endings: tuple[Ending, ...] = ()
    first_token_events: tuple[tuple[str, str], ...] = ()
    provider_names: Mapping[str, str] = field(default_factory=dict)
    not_providers: frozenset[str] = frozenset()
    not_names: frozenset[str] = frozenset()
    dialects: Mapping[str, str] = field(default_factory=dict)

    def with_rows(
        self, sources: Iterable[Source], kinds: Iterable[Kind], senders: Iterable[Sender] = ()
    ) -> "AttributeMap":
        """This one with these tried first, in their order."""
        return replace(
            self,
            sources=(*sources, *self.sources),
            own_kinds=(*kinds, *self.own_kinds),
            senders=(*self.senders, *senders),
        )

    def of(self, column: str) -> tuple[Source, ...]:
        """The sources of a column, in order."""
        return self._by_column.get(column, ())

    def placed(self, column: str, on: Said, event: str = "") -> tuple[Source, ...]:
        """Those of a place; of events those of this event."""
        return self._by_place.get((column, on, event), ())

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Span events of which attributes are wanted."""
        return self._events("event")

    @cached_property
    def body_events(self) -> tuple[str, ...]:
        """Log events of which members of the body are wanted."""
        return self._events("body")

    def _events(self, on: Place) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source.event for source in self.sources if source.on == on))

    def columns_of_event(self, event: str, on: Place = "event") -> tuple[str, ...]:
        """The columns that are taken from attributes of this event, or from its body."""
        return tuple(
            dict.fromkeys(s.column for s in self.sources if (s.on, s.event) == (on, event))
        )

    @cached_property
    def _by_place(self) -> dict[tuple[str, Said, str], tuple[Source, ...]]:
        places = dict.fromkeys((s.column, s.said, s.event) for s in self.sources)
        return {
            place: tuple(s for s in self.of(place[0]) if (s.said, s.event) == place[1:])
            for place in places
        }

    @cached_property
    def _by_column(self) -> dict[str, tuple[Source, ...]]:
        names = dict.fromkeys(source.column for source in self.sources)
        return {name: tuple(s for s in self.sources if s.column == name) for name in names}

    @cached_property
    def members(self) -> Mapping[str, frozenset[str]]:
        """The attributes that are JSON objects -> the paths wanted in them, by conditions too."""
        held = [(s.attribute, s.member) for s in self.sources if s.member and s.on != "body"]
        keys = [key.partition(MEMBER) for s in self.sources for key, _ in s.when]
        held += [(holder, path) for holder, _, path in keys if path]
        return {
            holder: frozenset(path for of, path in held if of == holder)
            for holder in dict.fromkeys(of for of, _ in held)
        }

    @cached_property
    def own_names(self) -> pa.StringArray:
        """The names of spans and events that the user says the kind of."""
        names = [kind.name for kind in self.own_kinds if kind.by != "operation"]
        return pa.array(names, pa.string())

    @cached_property
    def classes(self) -> tuple[tuple[By, pa.Array, pa.Array], ...]:
        """Names, and the class of each, to be looked up in this order by operation or name.

        What the user says of either comes before what ships.
        """
        tables: list[tuple[By, pa.Array, pa.Array]] = []
        for kinds in (self.own_kinds, self.kinds):
            for by in BY:
                table: dict[str, str] = {}
                for kind in kinds:
                    if kind.by in {None, by}:
                        table.setdefault(kind.name, kind.span_class)
                if table:
                    names, classes = list(table), list(table.values())
                    tables.append((by, pa.array(names), pa.array(classes)))
        return tuple(tables)

    @cached_property
    def endings_by_error(self) -> Mapping[str, Mapping[str, Ending]]:
        """Span class, empty for any -> class of an error, without its module -> what it means."""
        return _by_class(self.endings, lambda ending: ending.errors)

    @cached_property
    def endings_by_finish(self) -> Mapping[str, Mapping[str, Ending]]:
        """The same of finish reasons; of one that is not here the response is whole."""
        return _by_class(self.endings, lambda ending: ending.finishes)

    @cached_property
    def endings_as_said(self) -> Mapping[str, Mapping[str, Ending]]:
        """The same of what senders state as the outcome; one that is not here states nothing."""
        return _by_class(self.endings, lambda ending: ending.said)

    def known_attributes(self) -> frozenset[str]:
        """Every attribute that some column is taken from, or that decides over another."""
        taken = {source.attribute for source in self.sources if source.on not in {"name", "body"}}
        deciding = (key.partition(MEMBER)[0] for s in self.sources for key, _ in s.when)
        return frozenset({*taken, *deciding})


def _by_class(
    endings: Iterable[Ending], said_by: Callable[[Ending], Iterable[str]]
) -> dict[str, dict[str, Ending]]:
    found: dict[str, dict[str, Ending]] = {}
    for ending in endings:
        for span_class in ending.span_class or ("",):
            found.setdefault(span_class, {}).update(dict.fromkeys(said_by(ending), ending))
    return found


def known_attributes() -> frozenset[str]:
    """Names of the attributes that the shipped mapping reads, of every dialect."""
    from lake.mapping_file import SHIPPED

    return SHIPPED.known_attributes()
