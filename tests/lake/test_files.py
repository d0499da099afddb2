"""The lake's Parquet files: how they are written, merged, and what keeps damage out of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from lake import Lake, LakeError, check, size_of, whole_day
from lake.compaction import merge
from lake.live_files import days_of
from lake.schema import SPANS
from lake.table import MERGE_FROM_FILES
from tests.lake.test_lake import NOON, names, rows

DAY = timedelta(days=1)
TODAY = NOON.date()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path / "lake")


def files_of(lake: Lake) -> list[Path]:
    return sorted((lake.root / "spans").glob("day=*/*.parquet"))


def test_a_commit_of_many_days_has_each_row_in_its_day(lake: Lake) -> None:
    """More days than files are kept open, and every row once."""
    days = [NOON - n * DAY for n in range(40)] * 2
    lake.append("spans", pa.concat_tables([rows(day) for day in days]), position=1)
    assert list(lake.days("spans")) == sorted({day.date() for day in days})
    assert len(names(lake.snapshot())) == len(days)
    assert len(names(lake.snapshot(since=NOON - DAY, until=NOON + DAY))) == 4


def test_what_fails_half_way_leaves_no_file(lake: Lake) -> None:
    """Rows that end in an error are not in the lake, nor on the disk."""
    first = rows(NOON)

    def failing() -> Iterator[pa.RecordBatch]:
        yield from first.to_batches()
        raise OSError("the journal cannot be read")

    with pytest.raises(OSError, match="the journal cannot be read"):
        lake.append("spans", pa.RecordBatchReader.from_batches(first.schema, failing()), position=1)
    assert files_of(lake) == []
    assert lake.position("spans") == 0


def test_a_changed_byte_is_not_merged(lake: Lake) -> None:
    """Its page's checksum tells; the file stays, and so does the rest of the day."""
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON), position=position)
    file = files_of(lake)[0]
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    file.write_bytes(content)
    before = files_of(lake)
    with pytest.raises(LakeError, match=f"day {TODAY}"):
        lake.compact("spans")
    assert files_of(lake) == before


def test_a_merge_loses_to_whoever_took_a_file_away(lake: Lake) -> None:
    """Rows that were removed meanwhile do not come back."""
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON), position=position)
    earlier = lake.open("spans")
    assert earlier is not None
    whole_day(lake, "spans", TODAY).commit()
    kept = files_of(lake)
    with pytest.raises(DeltaError):
        merge(earlier, SPANS.time, TODAY, days_of(earlier)[TODAY])
    assert names(lake.snapshot()) == []
    assert files_of(lake) == kept


def test_a_merge_does_not_mind_rows_that_came_meanwhile(lake: Lake) -> None:
    """The writer appends while the keeper merges; neither waits for the other."""
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", rows(NOON), position=position)
    earlier = lake.open("spans")
    assert earlier is not None
    lake.append("spans", rows(NOON, name="meanwhile"), position=100)
    merge(earlier, SPANS.time, TODAY, days_of(earlier)[TODAY])
    assert names(lake.snapshot()).count("meanwhile") == 1
    assert len(names(lake.snapshot())) == MERGE_FROM_FILES + 1
    assert len(lake.days("spans")[TODAY]) == 2
    assert lake.position("spans") == 100


def test_files_without_a_younger_column_are_merged(lake: Lake) -> None:
    """What an earlier version wrote has NULL there afterwards."""
    old = rows(NOON, name="old").drop_columns(["hearsay"])
    for _ in range(MERGE_FROM_FILES):
        write_deltalake(lake.root / "spans", old, mode="append", partition_by=["day"])
    lake.append("spans", rows(NOON, name="new"), position=1)
    lake.compact("spans")
    (merged,) = lake.snapshot().files["spans"]
    assert names(lake.snapshot()) == ["new", *["old"] * MERGE_FROM_FILES]
    assert pq.ParquetFile(merged.removeprefix("file://")).schema_arrow.names[-1] == "hearsay"


def test_large_row_groups_stay_what_they_are(lake: Lake) -> None:
    """They are copied with their dictionaries, and read as before."""
    many = rows(*[NOON] * 16_384)
    for position in range(1, MERGE_FROM_FILES + 1):
        lake.append("spans", many, position=position)
    before = names(lake.snapshot())
    assert lake.compact("spans").files_added == 1
    (merged,) = lake.snapshot().files["spans"]
    assert pq.ParquetFile(merged.removeprefix("file://")).num_row_groups == MERGE_FROM_FILES
    assert names(lake.snapshot()) == before


def test_a_day_of_many_rows_has_more_than_one_file(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None grows much beyond what is cheap to write anew, and every row is in one of them."""
    monkeypatch.setattr("lake.day_files.ROW_GROUP_BYTES", 1)
    monkeypatch.setattr("lake.day_files.TARGET_FILE_BYTES", 1)
    batch = rows(NOON)
    lake.append(
        "spans",
        pa.RecordBatchReader.from_batches(batch.schema, [*batch.to_batches(), *batch.to_batches()]),
        position=1,
    )
    assert len(files_of(lake)) == 2
    assert len(names(lake.snapshot())) == 2 * len(batch)


def test_files_of_delta_s_own_library_are_sound(lake: Lake) -> None:
    """An append after an upgrade is written by it, in its spelling of types."""
    younger = rows(NOON)
    older = younger.drop_columns(["hearsay"])
    write_deltalake(lake.root / "spans", older, partition_by=["day"])
    lake.append("spans", younger, position=1)
    lake.append("spans", younger, position=2)
    checked = list(check(lake, "spans"))
    assert [file.damage for file in checked] == [None] * 3
    assert sum(file.size_bytes for file in checked) == size_of(lake, "spans")
