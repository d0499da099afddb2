"""Rows leave a table counted, numbered, and all or none."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake import (
    TABLES,
    Lake,
    Removal,
    RemovalConflict,
    moment_of,
    surplus_copies,
    tenants_own,
    tenants_unnamed,
    traces_of,
    whole_day,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
HOUR = int(NOON.timestamp()) // 3600


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def row(
    span: str, tenant: str | None = None, trace: str = "t", **more: object
) -> dict[str, object]:
    return {"trace_id": trace, "span_id": span, "tenant_id": tenant, **more}


def table(*rows: dict[str, object]) -> pa.Table:
    """Spans of noon that were received at noon, where they do not say otherwise."""
    usual = {"day": TODAY, "start_time": NOON, "received_at": NOON}
    return pa.Table.from_pylist([usual | each for each in rows], schema=TABLES["spans"].arrow)


def stored(lake: Lake, columns: str = "span_id") -> list[object]:
    with duckdb.connect() as connection:
        lake.snapshot().attach(connection)
        found = connection.sql(f"SELECT {columns} FROM lake_spans").fetchall()
    return [each[0] if len(each) == 1 else each for each in found]


def test_a_whole_day_leaves_and_is_counted_by_hour(lake: Lake) -> None:
    """Its rows are counted by when they were received, not by when they happened."""
    lake.append("spans", table(row("a"), row("b", received_at=NOON + timedelta(hours=2))), 1)
    lake.append("spans", table(row("c", day=TODAY + timedelta(days=1))), 2)

    removal = whole_day(lake, "spans", TODAY)

    assert removal.rows == {HOUR: 1, HOUR + 2: 1}
    assert len(stored(lake)) == 3, "nothing has happened yet"
    removal.commit()
    assert stored(lake) == ["c"]


def test_removals_are_numbered_in_the_table(lake: Lake) -> None:
    """The number is known after the commit and not before."""
    lake.append("spans", table(row("a", "acme")), 1)
    assert moment_of(lake, "spans").removals == 0

    removal = tenants_own(lake, "spans", TODAY, "acme")

    assert (removal.number, moment_of(lake, "spans").removals) == (1, 0)
    removal.commit()
    assert moment_of(lake, "spans").removals == 1
    assert whole_day(lake, "spans", TODAY).number == 2


@pytest.mark.parametrize("tenant", ["acme", "O'Brien", 'say "hi"', "back\\slash", "ümlaut", "%"])
def test_a_tenant_leaves_and_nobody_else(lake: Lake, tenant: str) -> None:
    """Whatever characters the name has; files without the tenant stay as they are."""
    lake.append("spans", table(row("a", tenant), row("b", "other"), row("c")), 1)
    lake.append("spans", table(row("d", "other")), 2)
    untouched = set(lake.snapshot().files["spans"])

    removal = tenants_own(lake, "spans", TODAY, tenant)
    removal.commit()

    assert removal.rows == {HOUR: 1}
    assert sorted(stored(lake)) == ["b", "c", "d"]
    assert len(untouched & set(lake.snapshot().files["spans"])) == 1


def test_rows_without_a_tenant_go_with_their_trace(lake: Lake) -> None:
    """A model call that names no tenant is the tenant's whose trace it is in."""
    lake.append(
        "spans",
        table(
            row("root", "acme", "t1"), row("call", None, "t1"),
            row("root", "other", "t2"), row("call", None, "t2"),
        ),
        1,
    )  # fmt: skip
    traces = traces_of(lake, "acme")

    removal = tenants_unnamed(lake, "spans", TODAY, traces)
    removal.commit()

    assert traces.to_pydict() == {"trace_id": ["t1"], "owner": ["acme"]}
    assert removal.rows == {HOUR: 1}
    assert Counter(stored(lake, "trace_id")) == {"t1": 1, "t2": 2}


HEARD = {"hearsay": "tenant_id"}


@pytest.mark.parametrize(
    ("tenant", "taken"), [("acme", {"b", "c"}), ("platform", {"f"}), ("globex", set())]
)
def test_hearsay_is_whom_the_trace_names(tenant: str, taken: set[str], lake: Lake) -> None:
    """A shared service's own tenant stands on rows that are of whom their trace names: they go with
    that one; where its tenant is all that is known, the trace is that tenant's."""
    lake.append(
        "spans",
        table(
            row("a", "acme", "t1"), row("b", None, "t1"), row("c", "platform", "t1", **HEARD),
            row("d", "platform", "t2", **HEARD), row("e", "globex", "t2", **HEARD),
            row("f", None, "t3"), row("g", "platform", "t3", **HEARD),
            row("h", "zeta", "t4"), row("i", "globex", "t4", **HEARD), row("j", None, "t4"),
        ),
        1,
    )  # fmt: skip
    before = set(stored(lake))
    removal = tenants_unnamed(lake, "spans", TODAY, traces_of(lake, tenant))
    removal.commit()
    assert before - set(stored(lake)) == taken
    assert sum(removal.rows.values()) == len(taken)


def test_a_day_older_than_a_column_is_put_in_order(lake: Lake, tmp_path: Path) -> None:
    """Before anything was appended that has the column."""
    old = TABLES["spans"].arrow
    old = old.remove(old.get_field_index("hearsay"))
    written = table(row("a", "acme"), row("a", "acme"), row("b")).select(old.names)
    write_deltalake(tmp_path / "lake" / "spans", written, partition_by=["day"])
    tenants_unnamed(lake, "spans", TODAY, traces_of(lake, "acme")).commit()
    surplus_copies(lake, "spans", TODAY).commit()
    assert stored(lake, "span_id, hearsay") == [("a", None)]


def test_the_copy_received_first_stays_and_the_day_is_in_order(lake: Lake) -> None:
    """A span delivered again in another batch collapses; a tenant's rows come to lie together."""
    later = NOON + timedelta(hours=1)
    lake.append("spans", table(row("a", "zeta"), row("b", "acme"), row("c")), 1)
    lake.append("spans", table(row("a", "zeta", received_at=later), row("d", "acme")), 2)
    lake.append("spans", table(row("a", "zeta", day=date(2026, 11, 19))), 3)

    removal = surplus_copies(lake, "spans", TODAY)
    removal.commit()

    assert removal.rows == {HOUR + 1: 1}
    found = stored(lake, "tenant_id, span_id, received_at")
    today = found if found[0][0] == "acme" else found[1:] + found[:1]
    assert sorted(each[:2] for each in found if each[0]) == [
        ("acme", "b"), ("acme", "d"), ("zeta", "a"), ("zeta", "a"),
    ]  # fmt: skip
    assert [each[0] for each in today[:2]] == ["acme", "acme"]
    assert all(received == NOON for _, _, received in found)
    assert surplus_copies(lake, "spans", TODAY).rows == {}


def test_rows_appended_meanwhile_stay(lake: Lake) -> None:
    """What was not counted does not leave: the removal is refused and can be tried again."""
    lake.append("spans", table(row("a", "acme")), 1)
    removal = tenants_own(lake, "spans", TODAY, "acme")
    lake.append("spans", table(row("b", "acme")), 2)

    with pytest.raises(RemovalConflict, match="spans of 2026-11-20"):
        removal.commit()

    assert sorted(stored(lake)) == ["a", "b"]
    tenants_own(lake, "spans", TODAY, "acme").commit()
    assert stored(lake) == []


def test_rows_appended_to_another_day_do_not_matter(lake: Lake) -> None:
    """The writer is not held up by the keeping of past days, nor the other way round."""
    lake.append("spans", table(row("a", "acme"), row("a", "acme")), 1)
    removal = surplus_copies(lake, "spans", TODAY)
    lake.append("spans", table(row("b", "acme", day=TODAY + timedelta(days=1))), 2)

    removal.commit()

    assert sorted(stored(lake)) == ["a", "b"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15
)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_every_row_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, str]]]
) -> None:
    """However a row was repeated, split and reordered over batches, one copy of it is left."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for position, batch in enumerate(batches, start=1):
        lake.append("spans", table(*(row(s, trace=t) for t, s in batch)), position)
    sent = [each for batch in batches for each in batch]

    removal = surplus_copies(lake, "spans", TODAY)
    removal.commit()

    assert removal.total == len(sent) - len(set(sent))
    assert Counter(stored(lake, "trace_id, span_id")) == dict.fromkeys(sent, 1)


@pytest.mark.parametrize("reason", ["own", "unnamed", "order"])
def test_rows_are_written_anew_with_checksums(lake: Lake, reason: str) -> None:
    """A byte that changes on the disk afterwards is found, whoever's rows were taken out."""
    lake.append("spans", table(row("a", "acme"), row("b", None), row("c", "other", "u")), 1)
    finds: dict[str, Callable[[], Removal]] = {
        "own": lambda: tenants_own(lake, "spans", TODAY, "acme"),
        "unnamed": lambda: tenants_unnamed(lake, "spans", TODAY, traces_of(lake, "acme")),
        "order": lambda: surplus_copies(lake, "spans", TODAY),
    }
    finds[reason]().commit()

    [file] = map(Path, lake.snapshot().files["spans"])
    sound = file.read_bytes()
    for column in range((described := pq.read_metadata(file)).num_columns):
        chunk = described.row_group(0).column(column)
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        content = bytearray(sound)
        content[begin + chunk.total_compressed_size - 1] ^= 1
        file.write_bytes(content)
        with pytest.raises(OSError, match="CRC"):
            pq.ParquetFile(file, page_checksum_verification=True).read()


def test_the_log_does_not_name_who_was_taken_out(lake: Lake) -> None:
    """What stays of a table says that rows left, not whose."""
    lake.append("spans", table(row("a", "acme-secret"), row("b", None), row("c", "other", "u")), 1)
    traces = traces_of(lake, "acme-secret")
    tenants_unnamed(lake, "spans", TODAY, traces).commit()
    tenants_own(lake, "spans", TODAY, "acme-secret").commit()

    log = lake.root / "spans" / "_delta_log"
    assert [entry for entry in log.iterdir() if b"acme-secret" in entry.read_bytes()] == []
