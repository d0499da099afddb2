"""Checkpoints are on the disk before they are trusted; what a power cut left of one is dropped."""

import os
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lake import Lake, LakeError
from lake.commits import CHECKPOINT_EVERY
from tests.lake.test_lake import NOON, names, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A few commits."""
    lake = Lake(tmp_path / "lake")
    for position in range(1, 9):
        lake.append("spans", rows(NOON), position)
    return lake


def test_a_checkpoint_that_fails_does_not_touch_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made when the commit stands, by us and not by the library; the sweep makes it later."""

    def full(*_: Any) -> None:
        raise DeltaError("No space left on device")

    lake = Lake(tmp_path / "lake")
    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_checkpoint", full)
        for position in range(1, CHECKPOINT_EVERY):
            lake.append("spans", rows(NOON), position)
        lake.compact("spans")
    assert DeltaTable(lake.root / "spans").version() == CHECKPOINT_EVERY
    assert len(names(lake.snapshot())) == CHECKPOINT_EVERY - 1
    log = lake.root / "spans" / "_delta_log"
    assert not list(log.glob("*.checkpoint.parquet"))
    lake.sweep("spans")
    assert list(log.glob("*.checkpoint.parquet"))


def test_a_checkpoint_is_on_the_disk_before_entries_go(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file, the hint to it and the directory are synced when old entries are deleted."""
    done = synced(monkeypatch)
    made, cleaned = DeltaTable.create_checkpoint, DeltaTable.cleanup_metadata
    monkeypatch.setattr(
        DeltaTable, "create_checkpoint", lambda delta: (done.append("made"), made(delta))
    )
    monkeypatch.setattr(
        DeltaTable, "cleanup_metadata", lambda delta: (done.append("cleaned"), cleaned(delta))
    )
    lake.sweep("spans")
    version = DeltaTable(lake.root / "spans").version()
    after = done[done.index("made") + 1 : done.index("cleaned")]
    assert after == [
        f"{version:020d}.checkpoint.parquet",
        "_last_checkpoint",
        "_delta_log",
    ]


def power_cut(path: Path) -> None:
    """A name without its content, as a file system has it whose delayed writing was cut off."""
    os.truncate(path, 0)


def checkpointed(lake: Lake, times: int) -> list[Path]:
    """Checkpoints with commits between them."""
    for position in range(100, 100 + times):
        lake.append("spans", rows(NOON), position)
        DeltaTable(lake.root / "spans").create_checkpoint()
    return sorted((lake.root / "spans" / "_delta_log").glob("*.checkpoint.parquet"))


@pytest.mark.parametrize("lost", [1, 2])
def test_checkpoints_lost_in_a_power_cut_are_dropped(lake: Lake, lost: int) -> None:
    """The entries and the checkpoint before them tell all that they did."""
    checkpoints = checkpointed(lake, 2)
    before = names(lake.snapshot())
    for path in checkpoints[-lost:]:
        power_cut(path)
    with pytest.raises(LakeError, match=r"delete it and .*quietpager up does so when it starts"):
        lake.position("spans")

    hint = checkpoints[0].with_name("_last_checkpoint")
    assert lake.mend("spans") == [hint, *checkpoints[::-1][:lost]]

    assert names(lake.snapshot()) == before
    assert lake.mend("spans") == []


def test_an_older_checkpoint_stands_for_the_entries_that_are_gone(lake: Lake) -> None:
    """What was cleaned up since is in it."""
    older, newer = checkpointed(lake, 2)
    before = names(lake.snapshot())
    for entry in older.parent.glob("*.json"):
        if int(entry.stem) <= int(older.name[:20]):
            entry.unlink()
    power_cut(newer)

    assert lake.mend("spans") == [newer.with_name("_last_checkpoint"), newer]

    assert names(lake.snapshot()) == before


def test_a_checkpoint_whose_entries_are_gone_is_left_for_a_backup(lake: Lake) -> None:
    """Deleting it would hide what is lost."""
    (only,) = checkpointed(lake, 1)
    (only.parent / f"{3:020d}.json").unlink()
    power_cut(only)

    assert lake.mend("spans") == []

    with pytest.raises(LakeError, match="restore it from a backup"):
        lake.position("spans")


def test_a_table_without_damage_is_left_alone(lake: Lake) -> None:
    """A readable checkpoint stays, and a table that does not exist is none."""
    (only,) = checkpointed(lake, 1)
    assert lake.mend("spans") == lake.mend("logs") == []
    assert only.exists()


def test_a_hint_to_a_checkpoint_that_is_gone_is_dropped(lake: Lake) -> None:
    """As when a mend was stopped half-way, or the file system kept the one and not the other."""
    (only,) = checkpointed(lake, 1)
    before = names(lake.snapshot())
    only.unlink()

    assert lake.mend("spans") == [only.with_name("_last_checkpoint")]

    assert names(lake.snapshot()) == before


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced from now on."""
    done: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        done.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return done


def test_the_first_entry_of_a_table_is_on_the_disk_with_its_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the columns: without it nothing of the table can be read."""
    done = synced(monkeypatch)
    Lake(tmp_path / "lake").append("spans", rows(NOON), 1)
    assert {f"{0:020d}.json", f"{1:020d}.json"} <= set(done)


def test_what_another_has_not_synced_yet_is_before_it_is_summed_up_or_its_files_go(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a writer that has just committed, or a keeper that was killed then; so are vacuums."""
    lake.compact("spans")
    newest = DeltaTable(lake.root / "spans").version()
    part = max(
        (lake.root / "spans").glob("day=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns
    )
    done = synced(monkeypatch)
    vacuum = DeltaTable.vacuum
    monkeypatch.setattr(
        DeltaTable, "vacuum", lambda *a, **k: (done.append("vacuum"), vacuum(*a, **k))[1]
    )
    lake.sweep("spans", grace_hours=0)
    assert {f"{newest:020d}.json", part.name} <= set(done[: done.index("vacuum")])
    swept = DeltaTable(lake.root / "spans").version()
    assert swept > newest
    for version in range(newest + 1, swept + 1):
        assert f"{version:020d}.json" in done
