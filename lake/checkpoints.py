"""Checkpoints sum up the log of a table, so that whoever opens it need not read all entries.

Delta's library trusts the newest one and does not sync it. After a power cut it may be empty, and
the table cannot be opened; the entries that it sums up are there until the next sweep.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deltalake import DeltaTable

from lake.damage import reason_not_parquet
from lake.live_files import path_of
from lake.to_disk import sync

HINT = "_last_checkpoint"
"""The file that says which is the newest; what names no checkpoint is better away."""

_NAME = re.compile(r"(\d{20})\.checkpoint[^/]*\.parquet")


def write_checkpoint(delta: DeltaTable) -> None:
    """Sum up the log up to the version of `delta` in a file that is on the disk afterwards.

    Entries may be deleted only then. Raises DeltaError or OSError when it cannot be written.
    """
    delta.create_checkpoint()
    log = path_of(delta) / "_delta_log"
    for written in log.glob(f"{delta.version():020d}.checkpoint*.parquet"):
        sync(written)
    sync(log / HINT)
    sync(log)


def unreadable_checkpoints(log: Path) -> tuple[list[Path], bool]:
    """The files of the newest checkpoints that cannot be read, back to one that can.

    And whether the entries of the log say all that they did.
    """
    versions: dict[int, list[Path]] = {}
    for path, version in _numbered(log):
        versions.setdefault(version, []).append(path)
    broken: list[Path] = []
    readable = -1
    for version in sorted(versions, reverse=True):
        if not any(map(reason_not_parquet, versions[version])):
            readable = version
            break
        broken += versions[version]
    entries = {int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()}
    needed = range(readable + 1, max(entries | versions.keys(), default=0) + 1)
    return broken, entries.issuperset(needed)


def drop_unreadable(log: Path) -> list[Path]:
    """Delete checkpoints that keep a table from being opened and that nothing is lost with.

    The hint goes first: one that leads nowhere keeps a table from being opened, too.
    """
    broken, told_elsewhere = unreadable_checkpoints(log)
    if not told_elsewhere:
        return []
    dropped = [path for path in (log / HINT, *broken) if path.exists()]
    for path in dropped:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        sync(log)
    return dropped


def _numbered(log: Path) -> Iterator[tuple[Path, int]]:
    for path in log.glob("*.checkpoint*.parquet"):
        if found := _NAME.fullmatch(path.name):
            yield path, int(found[1])
