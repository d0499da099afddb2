"""The lake: appended exactly once, read as consistent snapshots, compacted."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lake import TABLES, Lake, LakeError, Snapshot, misfits, surplus_copies, whole_day
from lake.table import MERGE_FROM_FILES

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def rows(*times: datetime, name: str = "chat", table: str = "spans") -> pa.Table:
    """Rows that happened at `times`; every other column NULL."""
    schema = TABLES[table].arrow
    columns = {field.name: pa.nulls(len(times), field.type) for field in schema}
    time = TABLES[table].time
    columns[time] = pa.array(times, schema.field(time).type)
    columns["day"] = pa.array([t.astimezone(UTC).date() for t in times])
    columns["name" if table == "spans" else "body"] = pa.array([name] * len(times))
    return pa.table(columns, schema=schema)


def names(snapshot: Snapshot) -> list[str]:
    with duckdb.connect() as connection:
        snapshot.attach(connection)
        found = connection.execute("SELECT name FROM lake_spans ORDER BY name").fetchall()
    return [name for (name,) in found]


def test_no_data_yet_is_a_normal_state(lake: Lake) -> None:
    """Before the first commit every table is there, typed and empty, at position 0."""
    assert lake.position("spans") == 0
    with duckdb.connect() as connection:
        lake.snapshot().attach(connection)
        for table in TABLES.values():
            found = connection.sql(f"SELECT * FROM lake_{table.name}").to_arrow_table()
            assert found.num_rows == 0
            assert found.column_names == [column.name for column in table.columns]


def test_a_position_is_committed_once(lake: Lake) -> None:
    """Appending the same or an earlier position again writes nothing and says so."""
    assert lake.append("spans", rows(NOON, name="a"), position=5)
    assert not lake.append("spans", rows(NOON, name="again"), position=5)
    assert not lake.append("spans", rows(NOON, name="earlier"), position=4)
    assert lake.append("spans", rows(NOON, name="b"), position=9)
    assert (lake.position("spans"), names(lake.snapshot())) == (9, ["a", "b"])
    assert lake.position("logs") == 0


def test_the_position_survives_compaction_expiry_and_sweeping(lake: Lake) -> None:
    """What was committed stays known whatever house-keeping did since."""
    for position in range(1, 2 * MERGE_FROM_FILES):
        lake.append("spans", rows(NOON), position=position)
    lake.compact("spans")
    whole_day(lake, "spans", NOON.date()).commit()
    lake.sweep("spans")
    assert lake.position("spans") == 2 * MERGE_FROM_FILES - 1
    assert names(lake.snapshot()) == []


def test_a_snapshot_does_not_move(lake: Lake) -> None:
    """A reader sees the version it took, whatever is appended or compacted meanwhile."""
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON, name=f"n{position}"), position=position)
    before = lake.snapshot()
    lake.append("spans", rows(NOON, name="later"), position=100)
    lake.compact("spans")
    lake.sweep("spans")
    assert names(before) == [f"n{position}" for position in range(1, MERGE_FROM_FILES + 1)]
    assert "later" in names(lake.snapshot())


def test_a_moment_can_be_kept(lake: Lake) -> None:
    """Snapshots of several ranges at the same versions are of the same lake."""
    lake.append("spans", rows(NOON, name="a"), position=1)
    versions = lake.versions()
    lake.append("spans", rows(NOON, name="b"), position=2)
    lake.append("logs", rows(NOON, table="logs"), position=1)
    kept = lake.snapshot(since=NOON, versions=versions)
    assert (names(kept), dict(kept.versions)) == (["a"], dict(versions))
    assert names(lake.snapshot()) == ["a", "b"]
    assert names(Lake(lake.root / "empty").snapshot(versions={})) == []


def test_compaction_keeps_every_row_once(lake: Lake) -> None:
    """Small files of a day become one; a day with few files is left alone."""
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON, name=f"n{position:02}"), position=position)
    lake.append("spans", rows(NOON - timedelta(days=1), name="yesterday"), position=99)
    report = lake.compact("spans")
    assert (report.files_removed, report.files_added) == (MERGE_FROM_FILES, 1)
    assert names(lake.snapshot()) == [
        *(f"n{position:02}" for position in range(1, MERGE_FROM_FILES + 1)), "yesterday",
    ]  # fmt: skip
    assert lake.compact("spans").files_removed == 0


def test_files_out_of_range_are_not_read(lake: Lake) -> None:
    """Days and time statistics leave out files; the rest is cut to since <= time < until."""
    moments = [NOON + timedelta(hours=hour) for hour in (-36, -1, 0, 1, 36)]
    for position, moment in enumerate(moments, start=1):
        lake.append("spans", rows(moment, name=f"n{position}"), position=position)
    snapshot = lake.snapshot(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert len(snapshot.files["spans"]) == 2
    assert names(snapshot) == ["n2", "n3"]


def test_range_bounds_are_exact_to_the_microsecond(lake: Lake) -> None:
    """Statistics are coarser than rows: a row must not be lost to their rounding."""
    late = NOON + timedelta(microseconds=999)
    lake.append("spans", rows(NOON, late), position=1)
    assert len(names(lake.snapshot(since=late))) == 1
    assert len(names(lake.snapshot(until=late))) == 1


def test_a_range_may_come_in_any_time_zone(lake: Lake) -> None:
    """Bounds are instants; one without a time zone is refused with the remedy."""
    lake.append("spans", rows(NOON), position=1)
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert names(lake.snapshot(since=tokyo)) == ["chat"]
    with pytest.raises(LakeError, match="time zone"):
        lake.snapshot(since=datetime(2026, 11, 20))  # noqa: DTZ001 - what is refused


def test_a_column_younger_than_the_data_is_null_there(lake: Lake, tmp_path: Path) -> None:
    """A table written before a column existed is read, and grown by the next append."""
    old = TABLES["spans"].arrow
    old = old.remove(old.get_field_index("feature"))
    DeltaTable.create(tmp_path / "lake" / "spans", old, partition_by=["day"])
    assert names(lake.snapshot()) == []
    assert lake.append("spans", rows(NOON), position=1)
    assert names(lake.snapshot()) == ["chat"]


def test_a_table_with_a_column_of_a_later_version_is_written_and_kept(
    lake: Lake, tmp_path: Path
) -> None:
    """After a downgrade rows still come in; what the column held stays, also in ordered days."""
    later = rows(NOON, NOON, name="later").append_column("mood", pa.array(["calm", "calm"]))
    later = later.drop_columns("feature")  # and one that the later version gave up
    write_deltalake(tmp_path / "lake" / "spans", later, partition_by=["day"])
    assert lake.append("spans", rows(NOON + timedelta(days=1), name="ours"), position=1)
    assert names(lake.snapshot()) == ["later", "later", "ours"]
    removal = surplus_copies(lake, "spans", NOON.date())
    assert removal.total == 1
    removal.commit()
    found = DeltaTable(tmp_path / "lake" / "spans").to_pyarrow_table(columns=["name", "mood"])
    assert {tuple(row.values()) for row in found.to_pylist()} == {("later", "calm"), ("ours", None)}
    assert misfits(lake) == {}


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (pa.field("mood", pa.string(), nullable=False), "needs column mood, which this Quietpager"),
        (pa.field("input_tokens", pa.string()), "has column input_tokens as string, not int64"),
    ],
)
def test_a_table_that_another_version_wrote_and_that_cannot_be_appended_to_is_named(
    lake: Lake, tmp_path: Path, field: pa.Field, reason: str
) -> None:
    """The message says which column it is, and to run the version that wrote it."""
    theirs = TABLES["spans"].arrow
    if field.name in theirs.names:
        theirs = theirs.remove(theirs.get_field_index(field.name))
    DeltaTable.create(tmp_path / "lake" / "spans", theirs.append(field), partition_by=["day"])
    with pytest.raises(LakeError, match=f"lake/spans {reason}.*run that one"):
        lake.append("spans", rows(NOON), position=1)
    assert misfits(lake)["spans"].startswith(reason)


def test_rows_of_another_shape_are_refused(lake: Lake) -> None:
    """Rows without the contract's columns never reach the disk."""
    with pytest.raises(LakeError, match="columns"):
        lake.append("spans", pa.table({"name": ["x"]}), position=1)
    with pytest.raises(LakeError, match=r"no lake table 'spns'; there are spans, logs, metrics"):
        lake.append("spns", rows(NOON), position=1)
