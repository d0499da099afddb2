"""What is done with segments that are not as they were written: after a crash, and after damage."""

import os
import shutil
from collections import Counter
from pathlib import Path

from ingest.ledger import NoteSegment, hour_of
from ingest.segments import (
    CorruptRecord,
    JournalError,
    Segment,
    read_records,
    sync_directory,
    sync_file,
    write_durably,
)


def quarantined_in(directory: Path) -> list[Path]:
    """The reasons of the segments that were set aside, oldest first."""
    return sorted((directory / "quarantine").glob("*.reason"))


def quarantine(segment: Segment, reason: str) -> Path:
    """Move a segment that cannot be decoded out of the writer's way; returns its new path.

    The reason stands beside it in a `.reason` file. Nothing deletes a quarantined segment.
    """
    folder = segment.path.parent / "quarantine"
    folder.mkdir(exist_ok=True)
    target = folder / segment.path.name
    write_durably(target.with_suffix(".reason"), reason.encode())
    segment.path.replace(target)
    sync_directory(folder)
    sync_directory(segment.path.parent)
    return target


def recover(directory: Path, note: NoteSegment) -> list[JournalError]:
    """Close the `.open` segments that a crash left, cut behind the last whole record.

    Nothing acknowledged is cut: a record is acknowledged after it and all before it are on disk,
    so only the tail of a write that never finished can be torn. Where something else damaged the
    tail, a copy of the file goes to quarantine first; damage between whole records stays in the
    segment for the writer to find. `note` learns what each holds before it is closed. Returns what
    was found, for the log.
    """
    found: list[JournalError] = []
    for path in sorted(directory.glob("*.open")):
        accepted, damage, tail = _examined(path)
        found += damage
        size = path.stat().st_size
        if tail:
            size = tail[0].offset
            if any(isinstance(each, CorruptRecord) for each in tail):
                (directory / "quarantine").mkdir(exist_ok=True)
                shutil.copy2(path, directory / "quarantine" / path.name)
            os.truncate(path, size)
        if size == 0:
            path.unlink()
            continue
        sync_file(path)
        note(int(path.stem), accepted, {})
        path.rename(path.with_suffix(".journal"))
    sync_directory(directory)
    return found


def _examined(path: Path) -> tuple[Counter[int], list[JournalError], list[JournalError]]:
    """What a segment holds: the whole records' contents by hour, all damage, and that part of it
    behind which no whole record follows.
    """
    accepted: Counter[int] = Counter()
    found: list[JournalError] = []
    before_last_whole = 0
    for record in read_records(path, found.append):
        accepted[hour_of(record.received_unix_nano)] += record.records
        before_last_whole = len(found)
    return accepted, found, found[before_last_whole:]
