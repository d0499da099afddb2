"""The end of a journal that still grows: what the journal's thread does to files.

A segment goes through three states, and a step that failed is tried again from where it stopped:

* *open*: it takes batches, once its directory entry is on disk;
* *sealed*: the ledger knows what it holds, its descriptor is closed, nothing can get in any more.
  From here on the writer may see it under its new name, whatever the renaming reported;
* *closed*: it has its new name and that is on disk. Only now a new segment is created.

Whatever is raised on the way, not only by the disk, is the answer to those who waited for it. What
was acknowledged is in a file that the writer or the next start finds.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from ingest.segments import sync_directory


@dataclass(frozen=True)
class Entry:
    """A record as it shall stand in a segment; how many spans, lines or points, in which hour."""

    record: bytes
    hour: int
    records: int


@dataclass
class _OpenSegment:
    path: Path
    fd: int
    created_at: float
    durable_bytes: int = 0
    accepted: Counter[int] = field(default_factory=Counter)  # records by unix hour
    listed: bool = False  # its directory entry is on disk
    torn: bool = False  # a write failed: the file may hold more than `durable_bytes`


class OpenEnd:
    """The open segment of a signal's directory, if there is one; belongs to one thread.

    `note` learns what a segment holds before the writer can see it.
    """

    def __init__(
        self,
        directory: Path,
        note: Callable[[int, Mapping[int, int]], None],
        first_sequence: int,
        *,
        max_age_seconds: float,
        max_bytes: int,
    ) -> None:
        self._directory = directory
        self._note = note
        self._sequences = count(first_sequence)
        self._max_age = max_age_seconds
        self._max_bytes = max_bytes
        self._segment: _OpenSegment | None = None
        self._sealed: _OpenSegment | None = None

    def append(self, entries: Sequence[Entry]) -> tuple[int, Exception | None]:
        """Append and sync; returns how many, from the front, are durable, and why not more."""
        durable = 0
        try:
            while durable < len(entries):
                durable += self._append_some(entries[durable:])
        except Exception as failure:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            return durable, failure
        return durable, None

    def close_if_due(self) -> float | None:
        """Close the segment if it is old or full; returns when to look again (s), or None."""
        if self._segment is not None:
            age = time.monotonic() - self._segment.created_at
            if age < self._max_age and self._segment.durable_bytes < self._max_bytes:
                return self._max_age - age
        self.close()
        return None

    def close(self) -> None:
        """Hand the segment to the writer. May be called again after it failed half-way."""
        if self._segment is not None:
            self._seal(self._segment)
        if self._sealed is not None:
            self._hand_over(self._sealed)

    def _append_some(self, entries: Sequence[Entry]) -> int:
        """Make durable as many, from the front, as one segment has room for."""
        segment = self._segment_with_room(len(entries[0].record))
        taken, size, accepted = 0, segment.durable_bytes, segment.accepted.copy()
        while taken < len(entries) and self._has_room(size, len(entries[taken].record)):
            size += len(entries[taken].record)
            accepted[entries[taken].hour] += entries[taken].records
            taken += 1
        segment.torn = True
        _write_all(segment.fd, b"".join(entry.record for entry in entries[:taken]))
        os.fdatasync(segment.fd)
        segment.torn, segment.durable_bytes, segment.accepted = False, size, accepted
        return taken

    def _has_room(self, size: int, needed: int) -> bool:
        return size == 0 or size + needed <= self._max_bytes

    def _segment_with_room(self, needed: int) -> _OpenSegment:
        """The open segment without the leavings of a failed write, or a new one."""
        segment = self._segment
        if segment is None or not self._has_room(segment.durable_bytes, needed):
            self.close()
            segment = self._segment = self._created()
        if not segment.listed:
            sync_directory(self._directory)
            segment.listed = True
        _mend(segment)
        return segment

    def _created(self) -> _OpenSegment:
        path = self._directory / f"{next(self._sequences):020d}.open"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        return _OpenSegment(path, fd, time.monotonic())

    def _seal(self, segment: _OpenSegment) -> None:
        """Let nothing more in. As long as this fails the segment is as open as before."""
        _mend(segment)
        if segment.durable_bytes:
            self._note(int(segment.path.stem), segment.accepted)
        self._segment, self._sealed = None, segment
        os.close(segment.fd)  # last: it closes even where it fails

    def _hand_over(self, sealed: _OpenSegment) -> None:
        with suppress(FileNotFoundError):  # done before, by a call that reported a failure
            if sealed.durable_bytes:
                sealed.path.rename(sealed.path.with_suffix(".journal"))
            else:
                sealed.path.unlink()
        sync_directory(self._directory)
        self._sealed = None


def _mend(segment: _OpenSegment) -> None:
    """Cut what a failed write left: those batches were refused and will be sent again."""
    if segment.torn:
        os.ftruncate(segment.fd, segment.durable_bytes)
        os.fsync(segment.fd)
        segment.torn = False


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
