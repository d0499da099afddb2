"""A commit stands with its files or is not there, whatever fails or is interrupted on the way."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lake import Lake, LakeError, surplus_copies, tenants_own, whole_day
from lake.table import MERGE_FROM_FILES
from tests.lake.test_lake import NOON, names, rows

Change = Callable[[Lake], object]


def merge(lake: Lake) -> object:
    return lake.compact("spans")


def expire(lake: Lake) -> object:
    return whole_day(lake, "spans", (NOON - timedelta(days=1)).date()).commit()


def put_in_order(lake: Lake) -> object:
    return surplus_copies(lake, "spans", NOON.date()).commit()


def erase(lake: Lake) -> object:
    return tenants_own(lake, "spans", NOON.date(), "acme").commit()


def append(lake: Lake) -> object:
    return lake.append("spans", rows(NOON), position=99)


CHANGES = pytest.mark.parametrize("change", [append, merge, expire, put_in_order, erase])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Today in enough files for a merge, and a day before it."""
    lake = Lake(tmp_path / "lake")
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", of("acme" if position == 1 else "beta"), position)
    lake.append("spans", rows(NOON - timedelta(days=1)), MERGE_FROM_FILES + 1)
    return lake


def of(tenant: str) -> pa.Table:
    table = rows(NOON)
    place = table.schema.get_field_index("tenant_id")
    return table.set_column(place, table.schema.field(place), pa.array([tenant]))


def on_disk(lake: Lake) -> set[Path]:
    return set((lake.root / "spans").glob("day=*/*.parquet"))


def committed(lake: Lake) -> set[Path]:
    """The files of the present version, and of the one before."""
    table = lake.root / "spans"
    present = DeltaTable(table)
    versions = (present, DeltaTable(table, version=present.version() - 1))
    return {Path(uri) for delta in versions for uri in delta.file_uris()}


def interrupting(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Ctrl-C just before or just after the library has made a commit."""
    made = DeltaTable.create_write_transaction

    def transaction(self: DeltaTable, *args: Any, **options: Any) -> None:
        if when == "before":
            os.kill(os.getpid(), signal.SIGINT)
        made(self, *args, **options)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", transaction)


@CHANGES
@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c(lake: Lake, change: Change, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is there, or the change is made; no file is there that nobody knows."""
    before = names(lake.snapshot())
    with monkeypatch.context() as patch:
        interrupting(patch, when)
        with pytest.raises(KeyboardInterrupt):
            change(lake)

    if when == "before":
        assert names(lake.snapshot()) == before
        with suppress(LakeError):
            change(lake)
    names(lake.snapshot())
    assert committed(lake) == on_disk(lake)


@CHANGES
def test_a_change_that_the_library_refuses(
    lake: Lake, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as on a full disk: nothing has changed, and no new file takes room on it."""
    before, files = names(lake.snapshot()), on_disk(lake)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", full)
    with pytest.raises((OSError, LakeError)):
        change(lake)
    assert (names(lake.snapshot()), on_disk(lake)) == (before, files)


def test_no_commit_makes_a_checkpoint_by_itself(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the library are not synced, and may take away what the commit has written."""
    DeltaTable(lake.root / "spans").alter.set_table_properties({"delta.checkpointInterval": "1"})
    log = lake.root / "spans" / "_delta_log"
    before = set(log.glob("*.checkpoint.parquet"))
    monkeypatch.setattr("lake.commits.CHECKPOINT_EVERY", 10_000)
    for change in (append, merge, expire, put_in_order, erase):
        change(lake)
    assert set(log.glob("*.checkpoint.parquet")) == before


def test_a_removal_counts_as_committed_though_it_was_interrupted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done again it finds nothing: its number is in the table."""
    with monkeypatch.context() as patch:
        interrupting(patch, "after")
        with pytest.raises(KeyboardInterrupt):
            erase(lake)
    assert not tenants_own(lake, "spans", NOON.date(), "acme").rows
    assert tenants_own(lake, "spans", NOON.date(), "beta").number == 2
