"""A damaged file of the lake: an error for whom it concerns, nothing for the others."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from analytics import Analytics, QueryError
from lake import Lake, LakeError
from lake.table import MERGE_FROM_FILES
from tests.lake.test_lake import NOON, names, rows

DAY = timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Yesterday and today, in as many files each as are worth merging."""
    lake = Lake(tmp_path / "lake")
    for position in range(1, 2 * MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON - (position % 2) * DAY), position=position)
    return lake


def file_of(lake: Lake, days_ago: int) -> Path:
    day = (NOON - days_ago * DAY).date()
    return next((lake.root / "spans" / f"day={day}").glob("*.parquet"))


def cut(path: Path) -> None:
    """Lose the end of the file, and with it the footer."""
    path.write_bytes(path.read_bytes()[:100])


def blank(path: Path) -> None:
    """Lose a page of the data; the footer is whole."""
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, blank, Path.unlink])
def test_days_that_do_not_need_the_file_are_answered(
    lake: Lake, damage: Callable[[Path], None]
) -> None:
    """A question about the other day has its rows; one about all says which file it lacks."""
    file = file_of(lake, days_ago=1)
    damage(file)
    assert len(names(lake.snapshot(since=NOON - DAY / 2))) == MERGE_FROM_FILES
    with Analytics(lake) as analytics, pytest.raises(QueryError) as refused:
        analytics.query("SELECT * FROM lake_spans")
    assert str(refused.value).startswith(f"{file}: cannot be read (")
    assert "restore it from a backup" in str(refused.value)


def test_to_count_is_refused_too(lake: Lake) -> None:
    """Also a question that needs no column of the file: its rows would be missing."""
    cut(file_of(lake, days_ago=1))
    with duckdb.connect() as connection:
        assert not lake.snapshot().attach(connection)
        with pytest.raises(duckdb.Error, match="cannot be read"):
            connection.sql("SELECT count(*) FROM lake_spans").fetchall()


def test_a_restored_file_is_read_at_once(lake: Lake) -> None:
    """Who asked while it was damaged needs no restart."""
    file = file_of(lake, days_ago=1)
    content = file.read_bytes()
    cut(file)
    with Analytics(lake) as analytics:
        with pytest.raises(QueryError, match="cannot be read"):
            analytics.query("SELECT count(*) FROM spans")
        file.write_bytes(content)
        answer = analytics.query("SELECT count(*) AS n FROM lake_spans")
    assert answer.to_pylist() == [{"n": 2 * MERGE_FROM_FILES}]


def test_an_error_of_the_question_is_no_damage(lake: Lake) -> None:
    """What the question itself does wrong is answered as before."""
    with Analytics(lake) as analytics, pytest.raises(QueryError) as refused:
        analytics.query("SELECT CAST(name AS INTEGER) FROM spans")
    assert "cannot be read" not in str(refused.value)


def test_the_other_days_are_compacted(lake: Lake) -> None:
    """A day with a damaged file stays as it is and is named; the others are merged."""
    file = file_of(lake, days_ago=1)
    cut(file)
    with pytest.raises(LakeError, match=f"day {(NOON - DAY).date()}"):
        lake.compact("spans")
    assert len(lake.snapshot(since=NOON - DAY / 2).files["spans"]) == 1


def test_a_pinned_reader_does_not_take_a_damaged_table_for_an_empty_one(lake: Lake) -> None:
    """Versions taken while a log is damaged lead to its error, not to no rows."""
    lake.append("logs", rows(NOON, table="logs"), position=1)
    (lake.root / "spans" / "_delta_log" / f"{2:020d}.json").unlink()
    with Analytics(lake) as analytics:
        pinned = analytics.pinned()
        assert pinned.query("SELECT count(*) AS n FROM logs").to_pylist() == [{"n": 1}]
        with pytest.raises(QueryError, match=f"{2:020d}.json: is missing"):
            pinned.query("SELECT count(*) FROM spans")


@pytest.mark.parametrize("hint", [None, '{"version":999,"size":5}'])
def test_a_hint_that_leads_nowhere_costs_no_row(lake: Lake, hint: str | None) -> None:
    """Where the log itself is whole, the error says what to delete, and then all is there."""
    delta = DeltaTable(lake.root / "spans")
    delta.create_checkpoint()
    log = lake.root / "spans" / "_delta_log"
    if hint is None:
        (log / f"{delta.version():020d}.checkpoint.parquet").unlink()
    else:
        (log / "_last_checkpoint").write_text(hint)

    with pytest.raises(LakeError) as damaged:
        lake.position("spans")

    assert str(damaged.value).startswith(f"{log / '_last_checkpoint'}: names checkpoint ")
    assert "delete it" in str(damaged.value)
    (log / "_last_checkpoint").unlink()
    assert len(names(lake.snapshot())) == 2 * MERGE_FROM_FILES
