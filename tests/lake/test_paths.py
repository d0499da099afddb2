"""A lake may lie in a directory of nearly any name; where it may not, it says so at once."""

import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from analytics import Analytics
from lake import (
    Lake,
    LakeError,
    check,
    export,
    moment_of,
    surplus_copies,
    tenants_own,
    tenants_unnamed,
    traces_of,
    whole_day,
)
from lake.table import MERGE_FROM_FILES
from tests.lake.test_removal import NOON, TODAY, row, stored, table

DAY = timedelta(days=1)
NAMES = (
    "My Project",
    "Übung",
    "C#",
    "why?",
    "50% *off*",
    "it's {a,b} #1",
    '"quoted" `é`',
    "tenant_id=zz",
    "day=2020-01-01",
    "日本",
)


@pytest.fixture(params=NAMES)
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """A lake in a directory of such a name, beside one that its name, as a pattern, matches."""
    for other in ("why!", "50% xoffx"):
        Lake(tmp_path / other / "lake").append("spans", table(row("not ours", "acme")), 1)
    return Lake(tmp_path / request.param / "lake")


def test_rows_are_read_and_compacted(lake: Lake) -> None:
    """What was appended is what is read, with its own tenant and day, before a merge and after."""
    for number in range(MERGE_FROM_FILES):
        lake.append("spans", table(row(f"{number}", "acme")), number + 1)
    lake.append("spans", table(row("later", "globex", day=TODAY + DAY, start_time=NOON + DAY)), 99)
    expected = [(f"{number}", "acme", TODAY) for number in range(MERGE_FROM_FILES)]
    expected.append(("later", "globex", TODAY + DAY))
    columns = "span_id, tenant_id, day"
    assert sorted(stored(lake, columns)) == expected  # type: ignore[type-var]

    assert lake.compact("spans").files_removed == MERGE_FROM_FILES
    assert lake.sweep("spans", grace_hours=0) == MERGE_FROM_FILES

    assert sorted(stored(lake, columns)) == expected  # type: ignore[type-var]
    assert lake.position("spans") == 99
    assert all(Path(file).is_file() for file in lake.snapshot().files["spans"])
    assert len(lake.snapshot(until=NOON + DAY / 2).files["spans"]) == 1


def test_a_tenant_leaves(lake: Lake) -> None:
    """Its rows go with the others of its traces, the files they were in too, and nothing else."""
    lake.append("spans", table(row("a", "acme", "t1"), row("b", None, "t1"), row("c", "other")), 1)
    lake.append("spans", table(row("d", "other", "t2")), 2)
    traces = traces_of(lake, "acme")

    tenants_own(lake, "spans", TODAY, "acme").commit()
    tenants_unnamed(lake, "spans", TODAY, traces).commit()

    assert sorted(stored(lake)) == ["c", "d"]  # type: ignore[type-var]
    assert sum(moment_of(lake, "spans").rows.values()) == 2
    assert lake.sweep("spans", grace_hours=0) == 2
    assert [file.damage for file in check(lake, "spans")] == [None, None]
    whole_day(lake, "spans", TODAY).commit()
    assert stored(lake) == []


def test_copies_leave(lake: Lake) -> None:
    """A row that was delivered twice is there once after the day was put in order."""
    for number in (1, 2):
        lake.append("spans", table(row("a", "acme")), number)

    removal = surplus_copies(lake, "spans", TODAY)
    removal.commit()

    assert removal.total == 1
    assert stored(lake, "span_id, tenant_id, day") == [("a", "acme", TODAY)]


def test_a_range_is_exported(lake: Lake) -> None:
    """The rows of a tenant, into a directory beside the lake."""
    lake.append("spans", table(row("a", "acme"), row("b", "globex")), 1)
    target = lake.root.parent / "x.parquet"

    assert export(lake, "spans", target, since=NOON, until=NOON + DAY, tenant="acme") == 1

    assert pq.ParquetFile(target).read(["span_id", "tenant_id", "day"]).to_pylist() == [
        {"span_id": "a", "tenant_id": "acme", "day": TODAY}
    ]


def test_questions_are_answered(lake: Lake) -> None:
    """What is asked may read the files of this lake and of no other."""
    lake.append("spans", table(row("a", "acme")), 1)
    Lake(lake.root.parent / "other").append("spans", table(row("b", "acme")), 1)
    [hidden] = (lake.root.parent / "other" / "spans").rglob("*.parquet")
    with Analytics(lake) as analytics:
        answer = analytics.query(
            "SELECT span_id, tenant_id, day FROM spans WHERE day = '2026-11-20'"
        )
        assert answer.to_pylist() == [{"span_id": "a", "tenant_id": "acme", "day": TODAY}]
        with pytest.raises(Exception, match="disabled by configuration"):
            analytics.query(f"FROM read_parquet('{str(hidden).replace(chr(39), chr(39) * 2)}')")


@pytest.mark.parametrize("lake", [name for name in NAMES if "=" not in name], indirect=True)
def test_damage_is_named(lake: Lake) -> None:
    """By the path that the file has; and what gives up its rows can be run as it is told."""
    lake.append("spans", table(row("a", "acme")), 1)
    [file] = map(Path, lake.snapshot().files["spans"])
    file.unlink()

    [found] = check(lake, "spans")

    assert found.path == file
    assert found.damage is not None
    assert found.damage.startswith(f"{file}: cannot be read (it is missing)")
    snapshot = lake.snapshot()
    with duckdb.connect() as connection:
        assert not snapshot.attach(connection)
        with pytest.raises(duckdb.Error, match="it is missing"):
            connection.sql("SELECT count(*) FROM lake_spans").fetchall()
    python, *arguments = shlex.split(found.damage.partition("run: ")[2])
    assert python == "python"
    subprocess.run([sys.executable, *arguments], check=True)
    assert stored(lake) == []


@pytest.mark.parametrize("name", ["s3:", "~", "file:x"])
def test_a_relative_path_is_a_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it begins like: libraries would take it for an address or a home directory."""
    monkeypatch.chdir(tmp_path)
    lake = Lake(Path(name))

    lake.append("spans", table(row("a", "acme")), 1)

    assert stored(lake) == ["a"]
    assert list((tmp_path / name / "spans").rglob("*.parquet"))
    assert export(lake, "spans", Path(name) / "x.parquet", since=NOON, until=NOON + DAY) == 1
    assert (tmp_path / name / "x.parquet").is_file()


def test_through_a_link(tmp_path: Path) -> None:
    """A link whose name says nothing may lead to a name that needs care."""
    (tmp_path / "why? é").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "why? é")
    lake = Lake(tmp_path / "link" / "lake")
    lake.append("spans", table(row("a", "acme")), 1)

    with Analytics(lake) as analytics:
        assert analytics.query("SELECT span_id FROM spans").to_pylist() == [{"span_id": "a"}]


@pytest.mark.parametrize(
    ("name", "found"),
    [("a[b]", "["), ("a]", "]"), ("a^b", "^"), ("a|b", "|"), ("a\\b", "\\"), ("a\nb", "\n"),
     ("a%20b", "%20"), ("_delta_log", "_delta_log"), ("a\udce9", "\udce9")],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(name: str, found: str, tmp_path: Path) -> None:
    """Delta's library panics there, or writes into another directory: nothing is tried."""
    with pytest.raises(LakeError) as refused:
        Lake(tmp_path / name / "lake")

    assert f"has {found!r} in its path" in str(refused.value)


@pytest.mark.parametrize("name", ["a\\b", "a%20b", "_delta_log"])
def test_what_cannot_be_kept_behind_a_link_is_refused(name: str, tmp_path: Path) -> None:
    """Delta's library follows the link before it reads the name."""
    (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / name)

    with pytest.raises(LakeError, match="in its path"):
        Lake(tmp_path / "link" / "lake")


@pytest.mark.parametrize("name", ["a[b]", "a^b", "a|b"])
def test_a_link_spares_those_the_names_that_delta_panics_at(name: str, tmp_path: Path) -> None:
    """It does not look at them where a link leads there."""
    (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / name)
    lake = Lake(tmp_path / "link" / "lake")

    lake.append("spans", table(row("a", "acme")), 1)

    assert stored(lake) == ["a"]
    assert lake.sweep("spans", grace_hours=0) == 0
    assert stored(lake) == ["a"]


@pytest.mark.parametrize("name", ["my_delta_log", "_delta_log.old"])
def test_a_name_that_has_another_in_it_is_another(name: str, tmp_path: Path) -> None:
    """Only a directory that is called like Delta's log is taken for one."""
    lake = Lake(tmp_path / name / "lake")

    lake.append("spans", table(row("a", "acme")), 1)

    assert stored(lake) == ["a"]
