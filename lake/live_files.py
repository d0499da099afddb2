"""The files that a version of a table consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import DeltaTable


@dataclass(frozen=True)
class DayFile:
    """A live file of a day: its path below the table, its size, when it was committed (UTC)."""

    path: str
    size_bytes: int
    modified: datetime


def days_of(delta: DeltaTable) -> Mapping[date, tuple[DayFile, ...]]:
    """The files of every day in this version of a table, earliest day first."""
    actions = pa.table(delta.get_add_actions(flatten=True)).select(
        ["partition.day", "path", "size_bytes", "modification_time"]
    )
    days: dict[date, list[DayFile]] = {}
    for day, path, size, modified in zip(*actions.to_pydict().values(), strict=True):
        file = DayFile(path, size, datetime.fromtimestamp(modified / 1000, UTC))
        days.setdefault(date.fromisoformat(str(day)), []).append(file)
    return {day: tuple(days[day]) for day in sorted(days)}


def path_of(delta: DeltaTable) -> Path:
    """The directory of a table."""
    return Path(unquote(urlsplit(delta.table_uri).path))


def live_files(
    delta: DeltaTable, predicate: Sequence[tuple[str, str, Any]] | None = None
) -> tuple[str, ...]:
    """The files of this version of a table that may hold rows of `predicate`, as absolute paths.

    Delta's library encodes the directory of the table as in a URI, but not what is below it.
    """
    encoded, root = urlsplit(delta.table_uri).path, path_of(delta)
    found = delta.file_uris(file_pruning_predicate=list(predicate) if predicate else None)
    return tuple(str(root / uri.removeprefix(encoded)) for uri in found)
