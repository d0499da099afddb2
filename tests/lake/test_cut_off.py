"""A commit is one when its entry is on the disk; without a log a table has not begun anew."""

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake import Lake, LakeError
from tests.lake.test_checkpoints import power_cut
from tests.lake.test_lake import NOON, names, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def first_entry(lake: Lake) -> Path:
    return lake.root / "spans" / "_delta_log" / f"{0:020d}.json"


def fail_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is made, and no row comes into it."""

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("lake.day_files.write_files", fail)


def test_rows_are_written_once_the_first_entry_is_on_the_disk(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any sync in between would bring its name there and not what is in it."""
    synced: list[Path] = []
    monkeypatch.setattr("lake.commits.sync", synced.append)
    fail_to_write(monkeypatch)

    with pytest.raises(OSError, match="no space left"):
        lake.append("spans", rows(NOON), 1)

    assert first_entry(lake) in synced


@pytest.mark.parametrize("left", [b"", b"\0\0\0", b'{"protocol":{"minReaderVersion":1}}\n'])
def test_a_table_whose_making_was_cut_off_is_made_again(
    lake: Lake, left: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was in it: what came is in the journal."""
    with monkeypatch.context() as patched:
        fail_to_write(patched)
        with pytest.raises(OSError, match="no space left"):
            lake.append("spans", rows(NOON), 1)
    first_entry(lake).write_bytes(left)
    with pytest.raises(LakeError, match=r"nothing rests on it yet; quietpager up does so"):
        lake.position("spans")

    assert lake.mend("spans") == [first_entry(lake)]

    assert lake.append("spans", rows(NOON), 1)
    assert len(names(lake.snapshot())) == 1


@pytest.mark.parametrize("later", ["entry", "rows"])
def test_a_first_entry_that_something_rests_on_is_left_for_a_backup(lake: Lake, later: str) -> None:
    """Deleting it would hide what is lost."""
    lake.append("spans", rows(NOON), 1)
    if later == "rows":
        first_entry(lake).with_name(f"{1:020d}.json").unlink()
    else:
        for file in DeltaTable(lake.root / "spans").file_uris():
            Path(file).unlink()
    power_cut(first_entry(lake))

    assert lake.mend("spans") == []

    assert first_entry(lake).exists()
    with pytest.raises(LakeError, match="restore it from a backup"):
        lake.position("spans")


@pytest.mark.parametrize("left", [b"", b"\0" * 700])
def test_the_newest_commit_is_made_again_when_a_power_cut_took_it(lake: Lake, left: bytes) -> None:
    """Its number is not in the table, so its rows come from the journal again, and are once."""
    for position in (1, 2):
        lake.append("spans", rows(NOON), position)
    newest = first_entry(lake).with_name(f"{2:020d}.json")
    newest.write_bytes(left)

    assert lake.mend("spans") == ([newest] if left else [])

    assert lake.position("spans") == 1
    assert lake.append("spans", rows(NOON), 2)
    assert lake.position("spans") == 2
    assert len(names(lake.snapshot())) == 2


@pytest.mark.parametrize("number", [1, 2])
def test_an_entry_with_something_in_it_is_left_for_a_backup(lake: Lake, number: int) -> None:
    """It was on the disk, and has been damaged since; so has one that others follow."""
    for position in (1, 2):
        lake.append("spans", rows(NOON), position)
    entry = first_entry(lake).with_name(f"{number:020d}.json")
    entry.write_bytes(b"\0" * 700 if number == 1 else b"\0" + entry.read_bytes()[1:])

    assert lake.mend("spans") == []

    with pytest.raises(
        LakeError, match=rf"{entry.name}: cannot be read .*restore it from a backup"
    ):
        lake.position("spans")


def test_a_log_that_is_gone_is_damage_and_no_new_table(lake: Lake) -> None:
    """The rows could still be saved: a new table would have their files swept."""
    lake.append("spans", rows(NOON), 1)
    files = set((lake.root / "spans").rglob("*.parquet"))
    shutil.rmtree(first_entry(lake).parent)

    for ask in (
        lake.position,
        lake.sweep,
        lake.compact,
        lambda _: lake.append("spans", rows(NOON), 2),
    ):
        with pytest.raises(LakeError, match=r"_delta_log: is missing.*restore it from a backup"):
            ask("spans")

    assert lake.mend("spans") == []
    assert set((lake.root / "spans").rglob("*.parquet")) == files
    assert not first_entry(lake).parent.exists()


def test_another_engine_s_table_is_no_reason_not_to_begin(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be used cannot be put right either; the other tables go on."""

    def refuse(*_: object) -> None:
        raise LakeError("has deletion vectors")

    monkeypatch.setattr(Lake, "open", refuse)

    assert lake.mend("spans") == []
