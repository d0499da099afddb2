"""Reads an entry of [senders] of `mapping.toml`: which library is meant, and what is peculiar."""

import re
from typing import Any, cast

from lake.mapping import SIGNS, USUAL_SIGNS, Bad, Match, Sender, Sign
from lake.toml_entry import Entry, MappingError, texts

_VERSION = re.compile(r"\d+(\.\d+)*")


def sender_of(name: str, entry: Any) -> Sender:
    """The sender of this name, as its entry says. Raises MappingError."""
    place = f"senders.{name}"
    table = Entry(entry, place)
    matches = []
    for each in table.take("match", list):
        match = Entry(each, f"{place}.match")
        found = Match(*(match.take(key, str, "") for key in ("scope", "name", "before", "since")))
        match.end()
        if not (found.scope or found.name):
            raise MappingError(f"{place}.match fits everything; give a scope or a name")
        for key, version in (("before", found.before), ("since", found.since)):
            if version and not (found.scope and _VERSION.fullmatch(version)):
                raise MappingError(
                    f"{place}.match.{key} = {version!r} must be numbers with dots, of a scope"
                )
        matches.append(found)
    finishes = texts(table.take("finishes", list, []), f"{place}.finishes")
    tells = texts(table.take("tells", list, list(USUAL_SIGNS)), f"{place}.tells")
    for sign in tells:
        if sign not in SIGNS:
            raise MappingError(f"{place}.tells {sign!r} must be one of {', '.join(SIGNS)}")
    apart = texts(table.take("answers_apart", list, []), f"{place}.answers_apart")
    zero = table.choose("zero_duration", ("known", "unknown"), "known")
    cut = table.choose("cut", ("error", "interrupt"), "error")
    rest = table.choose("rest", ("unknown", "reasoning"), "unknown")
    ok = table.choose("ok", ("final", "early"), "final")
    table.end()
    return Sender(
        name=name,
        match=tuple(matches),
        finishes=finishes,
        tells=cast("tuple[Sign, ...]", tells),
        cut=cast("Bad", cut),
        answers_apart=apart,
        knows_durations=zero == "known",
        rest_is_reasoning=rest == "reasoning",
        ok_is_final=ok == "final",
    )
