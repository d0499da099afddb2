"""What is done with segments that are not as they were written: after a crash, and after damage."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ingest.ledger import NoteSegment, hour_of
from ingest.record import TRAILER_BYTES, TRAILER_TAG, JournalError, Record, TornTail
from ingest.segments import Segment, pieces, sync_directory, write_durably
from lake.to_disk import sync


def quarantined_in(directory: Path) -> list[Path]:
    """The reasons of the segments that were set aside, oldest first.

    Earlier versions copied torn ones there without a reason: then it is the copy.
    """
    folder = directory / "quarantine"
    copies = [path for path in folder.glob("*.open") if not path.with_suffix(".reason").exists()]
    return sorted([*folder.glob("*.reason"), *copies])


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
    """Close the `.open` segments that a crash left, without the record that it left unfinished.

    Nothing acknowledged is cut: a record is acknowledged after it and all before it are on disk,
    so only the tail of a write that never finished can be torn. Whatever else is not as it was
    written stays in the segment, for the writer to set it aside. `note` learns what each holds
    before it is closed. Returns what was found, for the log.
    """
    found: list[JournalError] = []
    for path in sorted(directory.glob("*.open")):
        held = _held(path)
        found += held.found
        if held.bytes < path.stat().st_size:
            os.truncate(path, held.bytes)
        if held.bytes == 0:
            path.unlink()
            continue
        sync(path)
        note(int(path.stem), held.accepted, {}, held.unreadable_bytes)
        path.rename(path.with_suffix(".journal"))
    sync_directory(directory)
    return found


@dataclass(frozen=True)
class _Held:
    """What a segment holds in `bytes`, behind which there is an unfinished record at most.

    `accepted` are the records by unix hour that the whole ones of the segment have: how many there
    are in its `unreadable_bytes`, nobody knows.
    """

    accepted: Counter[int]
    found: list[JournalError]
    bytes: int
    unreadable_bytes: int


def _held(path: Path) -> _Held:
    accepted: Counter[int] = Counter()
    found: list[JournalError] = []
    size = unreadable = 0
    for piece, what in pieces(path):
        if isinstance(what, Record):
            accepted[hour_of(what.received_unix_nano)] += what.records
        else:
            found.append(what)
            if what.offset + len(piece) == path.stat().st_size and _is_unfinished(piece, what):
                break
            unreadable += len(piece)
        size += len(piece)
    return _Held(accepted, found, size, unreadable)


def _is_unfinished(rest: memoryview, what: JournalError) -> bool:
    """Whether the last of a segment can be a record that a crash kept from being written.

    That is short, or what is missing of it is zeros: its trailer, which is written last, is not
    there. Where one is, the record was whole once.
    """
    tag = bytes(rest).find(TRAILER_TAG)
    if 0 <= tag <= len(rest) - TRAILER_BYTES:
        return False
    return isinstance(what, TornTail) or not any(rest[-TRAILER_BYTES:])
