"""The files that a version of a table consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
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
