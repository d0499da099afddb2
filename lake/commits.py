"""Commits: all or nothing, on the disk when they are done, summed up in checkpoints now and then.

Delta's library would make checkpoints itself, within a commit: what fails there looks as if the
commit had failed, and nothing syncs them before they are trusted.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lake.checkpoints import write_checkpoint
from lake.live_files import DayFile, path_of
from lake.to_disk import sync

BARE = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""For every commit: nothing else is done with it."""

CHECKPOINT_EVERY = 50
"""Commits; whoever opens a table reads so many entries of its log at most, and a checkpoint."""

_DAY = "day"


def commit(
    delta: DeltaTable,
    added: Sequence[AddAction],
    gone: Sequence[RemoveAction] = (),
    properties: CommitProperties | None = None,
) -> None:
    """Commit new files that nobody knows yet, and files that leave, and make it durable.

    Raises DeltaError when another took one of them away meanwhile. After whatever it raises the
    new files are gone if there is no such commit, and are there if there is one.
    """
    begun_at = delta.version()
    try:
        delta.create_write_transaction(
            [*added, *gone],
            "append",
            delta.schema(),
            partition_by=[_DAY],
            commit_properties=properties,
            post_commithook_properties=BARE,
        )
    except BaseException:
        if not _may_stand(delta, begun_at, added):
            for file in added:
                (path_of(delta) / unquote(file.path)).unlink(missing_ok=True)
        raise
    finish(delta, begun_at)


def leaving(files: Iterable[DayFile], day: date, *, data_change: bool = True) -> list[RemoveAction]:
    """What a commit says of files of `day` that leave the table; whether their rows do, too."""
    now = int(time.time() * 1000)
    return [
        RemoveAction(
            path=file.path,
            data_change=data_change,
            deletion_timestamp=now,
            size=file.size_bytes,
            partition_values={_DAY: day.isoformat()},
        )
        for file in files
    ]


def finish(delta: DeltaTable, begun_at: int) -> None:
    """Make durable what was committed since a version, and that one: files go for it.

    A checkpoint is made if one is due. Raises OSError when it cannot be brought to the disk.
    """
    make_durable(delta, begun_at)
    if delta.version() // CHECKPOINT_EVERY > begun_at // CHECKPOINT_EVERY:
        # The commit stands without it, and the next sweep makes one.
        with suppress(DeltaError, OSError):
            write_checkpoint(delta)


def make_durable(delta: DeltaTable, since: int) -> None:
    """Sync all commits from a version to the present one, and their files, whoever made them.

    Who goes on from a version relies on it, and whoever made it may not have come to sync it.
    """
    delta.update_incremental()
    for version in range(since, delta.version() + 1):
        _make_durable(path_of(delta), _entry(delta, version))


def _may_stand(delta: DeltaTable, begun_at: int, added: Sequence[AddAction]) -> bool:
    """Whether an entry of the log names one of these files, or cannot be read."""
    log = path_of(delta) / "_delta_log"
    names = {PurePosixPath(file.path).name for file in added}
    try:
        newer = [
            entry
            for entry in log.glob("*.json")
            if entry.stem.isdigit() and int(entry.stem) > begun_at
        ]
        return any(name in entry.read_text() for entry in newer for name in names)
    except (OSError, ValueError):
        return True


def _entry(delta: DeltaTable, version: int) -> Path:
    return path_of(delta) / "_delta_log" / f"{version:020d}.json"


def _action(line: str) -> Mapping[str, Any]:
    """What a line of the log says: nothing where it cannot be read, which Delta skips, too."""
    try:
        return cast("Mapping[str, Any]", json.loads(line))
    except ValueError:
        return {}


def _make_durable(path: Path, commit: Path) -> None:
    try:
        actions = [*map(_action, commit.read_text().splitlines())]
    except FileNotFoundError:  # an old one, which a checkpoint stands for
        return
    added = [path / unquote(action["add"]["path"]) for action in actions if "add" in action]
    folders = {file.parent for file in (*added, commit)} | {path, path.parent}
    for durable in (*added, *folders, commit):
        with suppress(FileNotFoundError):  # another's, merged with others meanwhile
            sync(durable)
