"""Whatever fails beneath the journal: nothing acknowledged is lost, and everybody is answered."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ingest.journal import Journal, closed_segments, read_records, retire
from ingest.segments import write_durably
from tests.ingest.batches import unnoted
from tests.ingest.journal_watch import Book, answered, segments, stored, until
from tests.ingest.watched_disk import (
    WatchedDisk,
    creation_of,
    no_more_descriptors,
    rename_to,
    sync_of,
)

pytestmark = pytest.mark.anyio

AGE_SECONDS = 0.2


def take(directory: Path) -> list[bytes]:
    """What the writer does: read every closed segment and let it go."""
    taken: list[bytes] = []
    for segment in closed_segments(directory):
        records = list(read_records(segment.path))
        taken += [bytes(record.request) for record in records]
        retire(segment, [record.digest for record in records])
    return taken


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def directory_syncs_fail(disk: WatchedDisk) -> Iterator[None]:
    disk.refuses_directory_syncs = True
    yield
    disk.refuses_directory_syncs = False


@contextmanager
def opens_fail(disk: WatchedDisk) -> Iterator[None]:
    with no_more_descriptors():
        yield


@pytest.mark.parametrize("failing", [directory_syncs_fail, opens_fail])
async def test_nothing_goes_into_a_segment_that_the_writer_can_see(
    tmp_path: Path,
    disk: WatchedDisk,
    failing: Callable[[WatchedDisk], AbstractContextManager[None]],
) -> None:
    """Renamed, but not synced: batches are refused until it is, and new to the journal then."""
    journal = Journal(tmp_path, unnoted, max_age_seconds=AGE_SECONDS)
    assert await journal.append(b"one", 1, 1)
    (path,) = segments(tmp_path)
    with failing(disk):
        await until(path.with_suffix(".journal").exists)
        with pytest.raises(OSError):  # noqa: PT011 - EIO or EMFILE
            await answered(journal.append(b"two", 1, 1))
    assert take(tmp_path) == [b"one"]
    assert await journal.append(b"two", 1, 1)
    await journal.close()
    assert take(tmp_path) == [b"two"]


async def test_a_rename_that_happened_may_be_reported_as_failed(
    tmp_path: Path, disk: WatchedDisk
) -> None:
    """The writer may have taken the segment by then: the journal goes on behind it."""
    journal = Journal(tmp_path, unnoted, max_age_seconds=AGE_SECONDS)
    assert await journal.append(b"one", 1, 1)
    disk.reports_renames_as_failed = True
    await until(lambda: list(tmp_path.glob("*.journal")))
    disk.reports_renames_as_failed = False
    assert take(tmp_path) == [b"one"]
    assert await answered(journal.append(b"two", 1, 1))
    await journal.close()
    assert take(tmp_path) == [b"two"]


async def test_the_ledger_is_told_what_is_in_a_segment(tmp_path: Path, disk: WatchedDisk) -> None:
    """However often closing it fails behind the note, and whatever is sent meanwhile."""
    book = Book()
    journal = Journal(tmp_path, book, max_age_seconds=AGE_SECONDS)
    assert await journal.append(b"one", 1, 10)
    assert not await journal.append(b"one", 1, 10)
    disk.refuses_renames = True
    await until(lambda: book.asked)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            await answered(journal.append(b"two", 1, 20))
        assert not await journal.append(b"one", 1, 10)
    disk.refuses_renames = False
    assert await journal.append(b"two", 1, 20)
    await journal.close()
    held = {
        segment.sequence: sum(record.records for record in read_records(segment.path))
        for segment in closed_segments(tmp_path)
    }
    assert book.accepted == held
    assert list(held.values()) == [10, 20]
    assert list(book.retried.values()) == [10, 30]


async def test_a_segment_is_in_its_directory_before_anything_in_it_is_acknowledged(
    tmp_path: Path, disk: WatchedDisk
) -> None:
    """The file may be whole: without its entry a power cut takes it all the same."""
    journal = Journal(tmp_path, unnoted)
    disk.happened.clear()
    assert await journal.append(b"one", 1, 1)
    (path,) = segments(tmp_path)
    assert disk.happened == [creation_of(path), sync_of(tmp_path), sync_of(path)]
    await journal.close()


async def test_a_segment_whose_entry_was_not_synced_takes_nothing(
    tmp_path: Path, disk: WatchedDisk
) -> None:
    """The first batch behind a failed creation is no more acknowledged than the one it failed."""
    journal = Journal(tmp_path, unnoted)
    disk.happened.clear()
    disk.refuses_directory_syncs = True
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            await journal.append(b"one", 1, 1)
    disk.refuses_directory_syncs = False
    assert await journal.append(b"one", 1, 1)
    assert sync_of(tmp_path) in disk.happened
    await journal.close()
    assert stored(tmp_path) == [b"one"]


async def test_the_journals_directory_survives_too(tmp_path: Path, disk: WatchedDisk) -> None:
    """The directories that the journal makes are synced into those that hold them."""
    journal = Journal(tmp_path / "journal" / "traces", unnoted)
    assert {sync_of(tmp_path), sync_of(tmp_path / "journal")} <= set(disk.happened)
    await journal.close()


async def test_the_writer_sees_a_segment_only_when_it_is_durable(
    tmp_path: Path, disk: WatchedDisk
) -> None:
    """Content, then the new name, then the directory; only then comes the next segment."""
    journal = Journal(tmp_path, unnoted, max_bytes=100)
    assert await journal.append(b"a" * 100, 1, 1)
    assert await journal.append(b"b" * 100, 1, 1)
    first, second = segments(tmp_path)
    behind = disk.happened[disk.happened.index(sync_of(first)) :]
    closing = [sync_of(first), rename_to(first), sync_of(tmp_path)]
    assert behind[:4] == [*closing, creation_of(second)]
    await journal.close()


async def test_nothing_of_a_refused_batch_is_handed_to_the_writer(
    tmp_path: Path, disk: WatchedDisk
) -> None:
    """It is cut from the file, and the cut is on disk, before the file has its new name."""
    journal = Journal(tmp_path, unnoted)
    assert await journal.append(b"one", 1, 1)
    disk.sync_failure = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        await journal.append(b"two", 1, 1)
    disk.sync_failure = None
    disk.happened.clear()
    await journal.close()
    (path,) = segments(tmp_path)
    assert disk.happened == [sync_of(path), rename_to(path), sync_of(tmp_path)]
    assert stored(tmp_path) == [b"one"]


async def test_a_segment_that_holds_nothing_is_gone(tmp_path: Path, disk: WatchedDisk) -> None:
    """The only batch was refused: neither the writer nor the ledger hears of the file."""
    book = Book()
    journal = Journal(tmp_path, book)
    disk.sync_failure = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        await journal.append(b"one", 1, 1)
    disk.sync_failure = None
    await journal.close()
    assert (segments(tmp_path), book.asked) == ([], 0)


async def test_closed_segments_hold_no_descriptor(tmp_path: Path) -> None:
    """The receiver runs for months."""
    journal = Journal(tmp_path, unnoted, max_bytes=1)
    before = open_descriptors()
    for number in range(20):
        assert await journal.append(b"%d" % number, 1, 1)
    await journal.close()
    assert len(segments(tmp_path)) == 20
    assert open_descriptors() == before


async def test_old_digests_that_cannot_be_deleted_hold_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone batch gets to the writer all the same."""

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ingest.journal.prune_digests", fail)
    journal = Journal(tmp_path, unnoted, max_age_seconds=AGE_SECONDS)
    assert await journal.append(b"one", 1, 1)
    await until(lambda: closed_segments(tmp_path))
    await journal.close()
    assert stored(tmp_path) == [b"one"]


def test_a_file_is_written_whole_before_it_has_its_name(tmp_path: Path, disk: WatchedDisk) -> None:
    """Content, then the name, then the directory are on disk, in this order."""
    path = tmp_path / "digests"
    write_durably(path, b"content")
    assert path.read_bytes() == b"content"
    assert disk.happened == [sync_of(path), rename_to(path), sync_of(tmp_path)]
