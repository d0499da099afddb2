"""What has to be on the disk, or on record, before the next step is taken."""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import CommitProperties

from ingest.journal import recover
from ingest.keep import keep
from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger
from ingest.lock import sole
from ingest.record import encode_record
from ingest.remove import remove
from ingest.segments import digest_of
from lake import Lake, Removal, surplus_copies, whole_day
from tests.ingest.batches import spans
from tests.ingest.kept import DAY, NOW, StartReceiver, accept, total, write
from tests.lake.test_lake import NOON, rows


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths of what was synced, as it is."""
    paths: list[Path] = []
    fsync = os.fsync

    def noting(fd: int) -> None:
        fsync(fd)
        paths.append(Path(f"/proc/self/fd/{fd}").readlink())

    monkeypatch.setattr(os, "fsync", noting)
    return paths


def left_open(data: Path) -> Path:
    """A segment that a crash left, behind whose only record nothing is torn."""
    path = data / "journal" / "traces" / f"{1:020d}.open"
    path.parent.mkdir(parents=True)
    body = spans(1).SerializeToString()
    path.write_bytes(encode_record(body, 10**18, 1, digest_of(body)))
    return path


def test_an_append_is_on_the_disk_before_its_segment_goes(
    tmp_path: Path, synced: list[Path]
) -> None:
    """Rows, the commit that has them, and the directories that name both."""
    segment = left_open(tmp_path)
    segment = segment.rename(segment.with_suffix(".journal"))
    del synced[:]

    write(tmp_path)

    table = tmp_path / "lake" / "spans"
    [file] = table.glob("day=*/*.parquet")
    commit = table / "_delta_log" / f"{1:020d}.json"
    assert {file, file.parent, commit, commit.parent, table, table.parent} <= set(synced)
    assert not segment.exists()


@pytest.mark.parametrize("others", [0, 3])
def test_a_commit_is_on_the_disk_whoever_committed_meanwhile(
    tmp_path: Path, synced: list[Path], others: int
) -> None:
    """A removal is, and so is the order of a day, also where the writer went on beside it."""
    lake = Lake(tmp_path / "lake")
    lake.append("spans", rows(NOON), 1)
    lake.append("spans", rows(NOON), 2)
    removal = surplus_copies(lake, "spans", NOON.date())
    for position in range(3, 3 + others):
        lake.append("spans", rows(NOON + timedelta(days=position)), position)
    del synced[:]

    removal.commit()

    log = lake.root / "spans" / "_delta_log"
    commit = max(log.glob("*.json"))
    [file] = (file for file in lake.snapshot(until=NOON + DAY).files["spans"])
    assert {commit, log, Path(file), Path(file).parent} <= set(synced)


def test_what_a_crash_may_have_left_in_memory_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that the lake has already goes only once all is on the disk; a new one needs no
    such thing."""
    segment = left_open(tmp_path)
    segment = segment.rename(segment.with_suffix(".journal"))
    content = segment.read_bytes()
    syncs: list[bool] = []
    monkeypatch.setattr(os, "sync", lambda: syncs.append(segment.exists()))
    write(tmp_path)
    assert syncs == []
    segment.write_bytes(content)

    write(tmp_path)

    assert syncs == [True]
    assert not segment.exists()


def test_a_recovered_segment_is_on_the_disk_before_it_is_told_of(
    tmp_path: Path, synced: list[Path]
) -> None:
    """Who died between write and sync had acknowledged nothing; from here on it counts."""
    segment = left_open(tmp_path)
    told: list[bool] = []

    def note(_: int, __: Mapping[int, int], ___: Mapping[int, int], ____: int = 0) -> None:
        told.append(segment in synced)

    recover(segment.parent, note)

    assert told == [True]
    assert synced[-1] == segment.parent
    assert [path.suffix for path in segment.parent.iterdir()] == [".journal"]


def told_before(removal: Removal, ledger: Ledger, told: list[int]) -> Removal:
    """The removal, which notes what the ledger knows of it when rows begin to leave."""

    def take_out(properties: CommitProperties) -> object:
        told.append(sum(ledger.removed(removal.table, removal.number).values()))
        return removal.take_out(properties)

    return replace(removal, take_out=take_out)


def test_rows_leave_after_the_ledger_was_told(start_receiver: StartReceiver) -> None:
    """A crash between the two must not leave rows that are gone and nobody took."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    write(receiver.data)
    lake = Lake(receiver.data / "lake")
    [day] = lake.days("spans")
    told: list[int] = []
    with closing(Ledger(receiver.data)) as ledger, sole(receiver.data, "keeper"):
        find: Callable[[], Removal] = lambda: told_before(  # noqa: E731 - with its type
            whole_day(lake, "spans", day), ledger, told
        )
        assert remove(receiver.data, ledger, find, "erased", day) == 3
    assert told == [3]
    assert total(receiver.data).erased == 3


def test_copies_leave_after_the_ledger_was_told(
    start_receiver: StartReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is where a day is put in order."""
    receiver = start_receiver()
    batch = spans(3, start=int((NOW - 2 * DAY).timestamp() * 1e9))
    accept(receiver, batch)
    again = type(batch)()
    again.CopyFrom(batch)
    again.resource_spans[0].resource.attributes.add(key="a").value.string_value = "b"
    accept(receiver, again)
    receiver.stop()
    write(receiver.data)
    told: list[int] = []
    with closing(Ledger(receiver.data)) as ledger:
        monkeypatch.setattr(
            "ingest.thorough.surplus_copies",
            lambda *those: told_before(surplus_copies(*those), ledger, told),
        )
        assert keep(KeeperSettings(data=receiver.data), NOW + timedelta(hours=2))
    assert told == [3]
    assert total(receiver.data).duplicates == 3
