"""The files that a version of a table consists of, and how they and their log get to the disk."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
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


def make_durable(delta: DeltaTable) -> None:
    """Sync the commit that was just made through `delta`, and its files: others go for them.

    Some commits leave `delta` at the version they began from, and others may have committed in
    between: all from there to the present one are synced.
    """
    path = path_of(delta)
    before = delta.version()
    delta.update_incremental()
    for version in range(before, delta.version() + 1):
        _make_commit_durable(path, path / "_delta_log" / f"{version:020d}.json")


def _make_commit_durable(path: Path, commit: Path) -> None:
    try:
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
    except FileNotFoundError:  # an old one, which a checkpoint stands for
        return
    added = [path / unquote(action["add"]["path"]) for action in actions if "add" in action]
    folders = {file.parent for file in (*added, commit)} | {path, path.parent}
    for durable in (*added, *folders, commit):
        with suppress(FileNotFoundError):  # another's, merged with others meanwhile
            _sync(durable)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
