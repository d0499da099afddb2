"""How ingest stands on a data directory, from the files alone."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ingest.ledger import Ledger, hour_of
from ingest.lock import KEEPER, Holder, holder
from ingest.recovery import quarantined_in
from ingest.segments import backlog_of, newest_sequence
from ingest.tables import TABLE_OF
from lake import Lake, LakeError

ALWAYS = ("sidecar", "receiver", "writer", "reader")
"""The tasks that are being done all the time while a sidecar runs."""


@dataclass(frozen=True)
class Waiting:
    """What of a signal waits for the writer, and what it had to set aside.

    `oldest_seconds` is the age of the oldest segment, open or closed, 0 without any.
    """

    signal: str
    bytes: int
    oldest_seconds: float
    quarantined: tuple[Path, ...]


@dataclass(frozen=True)
class Condition:
    """Who works on the directory, by task (None for nobody), what waits, what is free."""

    holders: Mapping[str, Holder | None]
    free_bytes: int
    waiting: tuple[Waiting, ...]


def condition_of(data: Path) -> Condition:
    """The condition of the data directory `data`, which must exist."""
    journals = sorted(path for path in (data / "journal").glob("*") if path.is_dir())
    return Condition(
        holders={task: holder(data, task) for task in (*ALWAYS, KEEPER)},
        free_bytes=shutil.disk_usage(data).free,
        waiting=tuple(_waiting(journal) for journal in journals),
    )


def dropped_content(data: Path, hours: int) -> dict[str, int]:
    """Attributes and bodies that were dropped as content in the last `hours`, by service."""
    with closing(Ledger(data, mends=False)) as ledger:
        dropped = ledger.dropped(since=hour_of(time.time_ns()) - hours)
    by_service = Counter[str]()
    for (_, service), count in dropped.items():
        by_service[service] += count
    return dict(by_service.most_common())


@dataclass(frozen=True)
class Rewind:
    """A journal that remembered no sequence above `newest` when the ledger or the lake had `known`.

    It was put back from a copy, or deleted, beside what came later.
    """

    signal: str
    newest: int
    known: int


def rewinds(data: Path, hours: int) -> list[Rewind]:
    """The journals that were found to be behind in the last `hours`, and those that are now."""
    with closing(Ledger(data, mends=False)) as ledger:
        noted = {signal: (at, newest, known) for signal, at, newest, known in ledger.rewinds()}
    lake = Lake(data / "lake")
    found = []
    for signal, table in TABLE_OF.items():
        newest, position = newest_sequence(data / "journal" / signal), 0
        with suppress(LakeError):  # a damaged table is told of as such
            position = lake.position(table)
        if newest < position:
            found.append(Rewind(signal, newest, position))
        elif signal in noted and noted[signal][0] > time.time() - hours * 3600:
            found.append(Rewind(signal, *noted[signal][1:]))
    return found


def _waiting(journal: Path) -> Waiting:
    backlog = backlog_of(journal)
    return Waiting(
        journal.name, backlog.bytes, backlog.oldest_seconds, tuple(quarantined_in(journal))
    )
