"""Journal segments on disk: how they are read and retired.

What a crash or damage left of one is seen to in `ingest.recovery`; what stands in one is in
`ingest.record`.

A signal's directory holds `{sequence:020d}.open` (being written), `{sequence:020d}.journal`
(closed), `digests/{sequence:020d}` (16 bytes per record of a retired segment) and `quarantine/`
(what could not be read, with the reason beside it).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from ingest.record import (
    CorruptRecord,
    JournalError,
    Record,
    TornTail,
    checked,
    first_received,
    record_bounds,
)
from ingest.resync import next_whole, without_length
from lake.to_disk import sync

DIGEST_BYTES = 16
PARTIAL = ".partial"
"""Behind the name of a file that is being written, until it is whole."""


@dataclass(frozen=True, order=True)
class Segment:
    """A closed segment of a signal's directory."""

    sequence: int
    path: Path


def digest_of(request: bytes) -> bytes:
    """The 16-byte identity of a batch: the same bytes sent twice are the same batch."""
    return hashlib.blake2b(request, digest_size=DIGEST_BYTES).digest()


def read_records(
    path: Path, on_damage: Callable[[JournalError], None] | None = None
) -> Iterator[Record]:
    """Every record of a segment, in order.

    Raises TornTail when the file ends inside a record and CorruptRecord when a record is not
    what was written; the records before it have been yielded by then. With `on_damage`, which is
    told instead, every whole record behind it follows.
    """
    for _, found in pieces(path):
        if isinstance(found, Record):
            yield found
        elif on_damage is None:
            raise found
        else:
            on_damage(found)


def pieces(path: Path) -> Iterator[tuple[memoryview, Record | JournalError]]:
    """Every stretch of a segment, in order, and the record that it is or why it is none.

    Together they are the file. A record of which only the length is damaged is whole, and that
    length a stretch of its own.
    """
    content = path.read_bytes()
    data = memoryview(content)
    offset, whole_at = 0, -1
    while offset < len(data):
        found, end = _record_at(path, data, offset)
        if not isinstance(found, Record):
            damage = CorruptRecord(path, offset, "the length of the record is damaged")
            if (whole := without_length(content, offset)) is not None:
                start, end, found = whole
                yield data[offset:start], damage
                offset = start
            else:
                if whole_at <= offset:
                    whole_at = next_whole(content, offset)
                if isinstance(found, TornTail) and whole_at < len(data):
                    found = damage
                end = min(end, whole_at)
        yield data[offset:end], found
        offset = end


def _record_at(path: Path, data: memoryview, offset: int) -> tuple[Record | JournalError, int]:
    """The record at `offset` or why there is none, and where its length says that it ends."""
    try:
        start, end = record_bounds(path, data, offset)
    except JournalError as damage:
        return damage, len(data)
    corrupt = CorruptRecord(path, offset, "the record fails its checksum")
    return checked(data[start:end]) or corrupt, end


def closed_segments(directory: Path) -> list[Segment]:
    """The segments ready for the writer, oldest first; none when the directory is missing."""
    paths = (path for path in directory.glob("*.journal") if path.stem.isdigit())
    return sorted(Segment(int(path.stem), path) for path in paths)


@dataclass(frozen=True)
class Backlog:
    """What waits for the writer: bytes, and how long the oldest segment has waited (s).

    A closed one since it was, an open one since its first record: perhaps it cannot be closed.
    """

    bytes: int
    oldest_seconds: float


def backlog_of(directory: Path) -> Backlog:
    """What of a signal the writer has not taken over yet (it stats every segment)."""
    total, oldest = 0, None
    for path in (*directory.glob("*.open"), *directory.glob("*.journal")):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue  # closed or retired meanwhile
        received = None
        if path.suffix == ".open":
            with suppress(OSError):  # closed meanwhile, or not for who asks to read
                received = first_received(path)
        total += found.st_size
        if path.suffix == ".journal" or received:
            since = received / 1e9 if received else found.st_mtime
            oldest = min(since, oldest or since)
    return Backlog(total, 0.0 if oldest is None else max(0.0, time.time() - oldest))


def retire(segment: Segment, digests: Sequence[bytes]) -> None:
    """Delete a segment that is in the lake, keeping its digests to recognise retried batches."""
    folder = segment.path.parent / "digests"
    folder.mkdir(exist_ok=True)
    write_durably(folder / f"{segment.sequence:020d}", b"".join(digests))
    segment.path.unlink(missing_ok=True)


def newest_sequence(directory: Path) -> int:
    """The highest sequence that the directory remembers, 0 when it remembers none."""
    names = [*directory.glob("*"), *directory.glob("digests/*"), *directory.glob("quarantine/*")]
    return max((int(path.stem) for path in names if path.stem.isdigit()), default=0)


def next_sequence(directory: Path, now: Callable[[], float], above: int = 0) -> int:
    """A sequence above `above` and all that the directory remembers, and no less than the clock.

    The clock is in unix milliseconds, which sequences are slower than: should a journal be deleted
    beside a living lake, or be put back as it was earlier, its new segments come after those that
    the lake has committed.
    """
    return max(newest_sequence(directory) + 1, above + 1, int(now() * 1000))


def load_digests(directory: Path, since: float) -> dict[bytes, float]:
    """Digest -> when it was accepted (unix s), for batches accepted after `since`, oldest first.

    The order is that of the sequence numbers: where the clock was set back in between, a later
    batch counts as no older than the one before it. Segments are read before digest files: one
    retired in between is found there.
    """
    found: dict[bytes, tuple[int, float]] = {}
    for segment in closed_segments(directory):
        # retired meanwhile, damaged, or empty (which mmap refuses): the writer sees to it
        with suppress(FileNotFoundError, JournalError, ValueError):
            if segment.path.stat().st_mtime > since:
                found.update((d, (segment.sequence, at)) for d, at in _digests_in(segment.path))
    for path in _digest_files(directory):
        retired_at = path.stat().st_mtime
        data = path.read_bytes() if retired_at > since else b""
        for start in range(0, len(data), DIGEST_BYTES):
            digest = data[start : start + DIGEST_BYTES]
            found.setdefault(digest, (int(path.name), retired_at))
    accepted: dict[bytes, float] = {}
    latest = since
    for digest, (_, at) in sorted(found.items(), key=lambda item: item[1]):
        latest = max(latest, at)
        if latest > since:
            accepted[digest] = latest
    return accepted


def prune_digests(directory: Path, before: float) -> None:
    """Delete digest files older than `before` (unix s), except the newest.

    The newest stays because it is how an otherwise empty directory remembers its last sequence.
    """
    for path in _digest_files(directory)[:-1]:
        if path.stat().st_mtime < before:
            path.unlink()


def make_directory(directory: Path) -> None:
    """Make `directory` and those above it that are missing, so that they survive a power cut."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Make creations, renames and deletions in `directory` survive a power cut."""
    sync(directory)


def write_durably(path: Path, content: bytes) -> None:
    """Make `content` the content of `path`, all or nothing, so that it survives a power cut."""
    partial = path.with_name(path.name + PARTIAL)
    partial.write_bytes(content)
    sync(partial)
    partial.replace(path)
    sync_directory(path.parent)


def _digest_files(directory: Path) -> list[Path]:
    """Those that are whole, oldest first: one that the writer still writes may be gone at once."""
    return sorted(path for path in directory.glob("digests/*") if path.name.isdigit())


def _digests_in(path: Path) -> Iterator[tuple[bytes, float]]:
    """Digest and receive time (unix s) of each record; pages in between are not even read.

    Of a damaged segment those of the whole records follow, which have to be read for that.
    """
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            end = 0
            while end < len(data):
                _, end = record_bounds(path, data, end)
                received = int.from_bytes(data[end - 32 : end - 24], "little")
                yield data[end - 20 : end - 4], received / 1e9
    except JournalError:
        for record in read_records(path, on_damage=lambda _: None):
            yield record.digest, record.received_unix_nano / 1e9
