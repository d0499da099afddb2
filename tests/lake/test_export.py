"""A range of a table as one Parquet file."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake import TABLES, Lake, export
from tests.lake.test_removal import NOON, TODAY, row, table


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.append("spans", table(row("a", "acme"), row("b", None), row("c", "globex", "t2")), 1)
    lake.append("spans", table(row("a", "acme"), row("d", None, "t2")), 2)
    tomorrow = {"day": TODAY + timedelta(days=1), "start_time": NOON + timedelta(days=1)}
    lake.append("spans", table(row("e", "acme", "t3", **tomorrow)), 3)
    return lake


def exported(lake: Lake, target: Path, **more: object) -> list[str]:
    """The span ids in the file, whose number is what the export says."""
    bounds = {"since": NOON, "until": NOON + timedelta(hours=1)} | more
    rows = export(lake, "spans", target, **bounds)  # type: ignore[arg-type]
    found = pq.read_table(target)
    assert found.schema.equals(TABLES["spans"].arrow)
    assert found.num_rows == rows
    return found["span_id"].to_pylist()  # type: ignore[no-any-return]


def test_a_range_each_row_once(lake: Lake, tmp_path: Path) -> None:
    """`since` is in, `until` is not, and what was delivered twice is there once."""
    assert sorted(exported(lake, tmp_path / "x.parquet")) == ["a", "b", "c", "d"]
    assert exported(lake, tmp_path / "x.parquet", until=NOON) == []
    assert len(exported(lake, tmp_path / "x.parquet", until=NOON + timedelta(days=2))) == 5
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["x.parquet"]


def test_of_one_tenant(lake: Lake, tmp_path: Path) -> None:
    """What names the tenant, and what names nobody in its traces: what erasing would take."""
    assert sorted(exported(lake, tmp_path / "x.parquet", tenant="acme")) == ["a", "b"]
    assert exported(lake, tmp_path / "x.parquet", tenant="nobody") == []


def test_no_data_yet(tmp_path: Path) -> None:
    """A table without rows is a file without rows, with all columns."""
    assert exported(Lake(tmp_path / "none"), tmp_path / "x.parquet") == []
