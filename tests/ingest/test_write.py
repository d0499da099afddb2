"""The writer: every closed segment in the lake exactly once, whatever happens in between."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from ingest.journal import Segment, closed_segments
from ingest.record import encode_record
from ingest.segments import digest_of, load_digests
from ingest.write import WriterError, WriterSettings, run_writer
from lake import Lake
from tests.ingest.batches import logs, metrics, span_ids, spans

DAY_NS = 24 * 3600 * 10**9


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for signal in ("traces", "logs", "metrics"):
        (tmp_path / "journal" / signal).mkdir(parents=True)
    return tmp_path


def close_segment(data: Path, sequence: int, *requests: bytes, signal: str = "traces") -> Segment:
    path = data / "journal" / signal / f"{sequence:020d}.journal"
    path.write_bytes(b"".join(encode_record(r, 10**18, 1, digest_of(r)) for r in requests))
    return Segment(sequence, path)


def drain(data: Path, **settings: int) -> None:
    """One pass of the writer: what is closed now is written, then it returns."""
    stop = threading.Event()
    stop.set()
    run_writer(WriterSettings(data=data, **settings), stop)


def stored(data: Path, table: str = "spans", column: str = "span_id") -> Counter[str]:
    with duckdb.connect() as connection:
        Lake(data / "lake").snapshot().attach(connection)
        found = connection.execute(f"SELECT {column} FROM lake_{table}").fetchall()
    return Counter(value for (value,) in found)


@contextmanager
def running(settings: WriterSettings) -> Iterator[threading.Event]:
    """A writer in a thread, with the event that stops it; gone at the end."""
    stop = threading.Event()
    writer = threading.Thread(target=run_writer, args=(settings, stop))
    writer.start()
    try:
        yield stop
    finally:
        stop.set()
        writer.join(20)
    assert not writer.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited 60 s in vain"
        time.sleep(0.05)


def ids(*batches: object) -> Counter[str]:
    return Counter(span_id.hex() for batch in batches for span_id in span_ids(batch))  # type: ignore[arg-type]


def test_segments_are_written_and_let_go(data: Path) -> None:
    """Rows of every signal reach the lake; segments go, their digests stay for retried batches."""
    first, second, lines = spans(3), spans(2), logs(4)
    close_segment(data, 7, first.SerializeToString(), second.SerializeToString())
    close_segment(data, 9, lines.SerializeToString(), signal="logs")
    close_segment(data, 2, metrics(5).SerializeToString(), signal="metrics")
    drain(data)
    assert stored(data) == ids(first, second)
    assert stored(data, "logs", "log_id").total() == 4
    assert len(stored(data, "metrics", "metric_id")) == 5
    lake = Lake(data / "lake")
    assert [lake.position(table) for table in ("spans", "logs", "metrics")] == [7, 9, 2]
    journal = data / "journal" / "traces"
    assert closed_segments(journal) == []
    assert set(load_digests(journal, 0)) == {
        digest_of(batch.SerializeToString()) for batch in (first, second)
    }


def test_a_crash_between_commit_and_clean_up_doubles_nothing(data: Path) -> None:
    """The segment is still there after the commit: it is recognised, cleaned up, not written."""
    batch = spans(5)
    segment = close_segment(data, 3, batch.SerializeToString())
    shutil.copy(segment.path, data / "copy")
    drain(data)
    shutil.move(data / "copy", segment.path)
    later = spans(1)
    close_segment(data, 4, later.SerializeToString())
    drain(data)
    assert stored(data) == ids(batch, later)
    assert not segment.path.exists()


def test_many_segments_share_a_commit(data: Path) -> None:
    """A backlog is written in few commits, which keeps the table's log short."""
    batches = [spans(1) for _ in range(20)]
    for sequence, batch in enumerate(batches, start=1):
        close_segment(data, sequence, batch.SerializeToString())
    drain(data)
    assert stored(data) == ids(*batches)
    assert Lake(data / "lake").snapshot().versions["spans"] == 1


def test_damage_in_the_middle_costs_only_what_it_hit(data: Path) -> None:
    """Whole records before the damage are stored, the file is quarantined, the rest goes on."""
    good, hit, later = spans(2), spans(2), spans(2)
    segment = close_segment(data, 1, good.SerializeToString(), hit.SerializeToString())
    content = bytearray(segment.path.read_bytes())
    content[-40] ^= 1
    segment.path.write_bytes(content)
    close_segment(data, 2, later.SerializeToString())
    drain(data)
    assert stored(data) == ids(good, later)
    [kept] = (data / "journal" / "traces" / "quarantine").glob("*.journal")
    assert kept.read_bytes() == content
    assert "checksum" in kept.with_suffix(".reason").read_text()


POISON = b"\x0a\xff\xff\xff\xff\x0f not protobuf"


def quarantined(data: Path) -> dict[str, str]:
    """The reason by the name of each quarantined trace segment."""
    folder = data / "journal" / "traces" / "quarantine"
    return {path.name: path.with_suffix(".reason").read_text() for path in folder.glob("*.journal")}


def test_a_poisoned_record_does_not_stop_the_rest(data: Path) -> None:
    """What cannot be decoded is set aside with the reason; the batches around it are stored."""
    before, after, later = spans(2), spans(2), spans(2)
    poisoned = close_segment(data, 1, before.SerializeToString(), POISON, after.SerializeToString())
    close_segment(data, 2, later.SerializeToString())
    drain(data)
    assert stored(data) == ids(before, after, later)
    assert "record 2 cannot be decoded" in quarantined(data)[poisoned.path.name]


def test_a_crash_before_quarantine_deletes_no_poisoned_record(data: Path) -> None:
    """Committed with its neighbours, the poisoned segment is still set aside at the next start."""
    poisoned = close_segment(data, 1, POISON)
    shutil.copy(poisoned.path, data / "copy")
    later = spans(2)
    close_segment(data, 2, later.SerializeToString())
    drain(data)
    shutil.rmtree(data / "journal" / "traces" / "quarantine")
    shutil.move(data / "copy", poisoned.path)
    drain(data)
    assert stored(data) == ids(later)
    assert list(quarantined(data)) == [poisoned.path.name]


def test_a_backlog_of_one_signal_does_not_hold_up_the_other(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits take turns: logs are in the lake before the last of many trace segments."""
    monkeypatch.setattr("ingest.write._MAX_COMMIT_BYTES", 1)
    batches = [spans(1) for _ in range(4)]
    for sequence, batch in enumerate(batches, start=1):
        close_segment(data, sequence, batch.SerializeToString())
    close_segment(data, 1, logs(1).SerializeToString(), signal="logs")
    order: list[str] = []
    append = Lake.append
    monkeypatch.setattr(
        Lake,
        "append",
        lambda lake, table, rows, position: (
            order.append(table) or append(lake, table, rows, position)  # type: ignore[func-returns-value]
        ),
    )
    drain(data)
    assert order == ["spans", "logs", "spans", "spans", "spans"]
    assert stored(data) == ids(*batches)


def test_an_empty_request_is_let_go(data: Path) -> None:
    """Nothing to store is no reason to keep a segment, or to commit."""
    close_segment(data, 1, b"")
    drain(data)
    assert closed_segments(data / "journal" / "traces") == []
    assert stored(data).total() == 0


def test_it_works_until_told_to_stop_and_then_drains(data: Path) -> None:
    """A running writer picks up new segments; after `stop` it writes those closed by then."""
    batches = [spans(1) for _ in range(3)]
    with running(WriterSettings(data=data)) as stop:
        close_segment(data, 1, batches[0].SerializeToString())
        wait_until(lambda: stored(data) == ids(batches[0]))
        for sequence, batch in enumerate(batches[1:], start=2):
            close_segment(data, sequence, batch.SerializeToString())
        stop.set()
    assert stored(data) == ids(*batches)


def test_days_out_of_retention_are_deleted(data: Path) -> None:
    """Rows of earlier days go, by their own time; without a retention nothing does."""
    old, kept = spans(2, start=time.time_ns() - 5 * DAY_NS), spans(2)
    close_segment(data, 1, old.SerializeToString(), kept.SerializeToString())
    with running(WriterSettings(data=data)):
        wait_until(lambda: stored(data) == ids(old, kept))
    with running(WriterSettings(data=data, retention_days=3)):
        wait_until(lambda: stored(data) == ids(kept))


def test_a_disk_that_refuses_keeps_the_journal(data: Path) -> None:
    """While the lake cannot be written the segment stays, and is written once it can."""
    batch = spans(2)
    segment = close_segment(data, 1, batch.SerializeToString())
    (data / "lake").write_text("in the way of the directory")
    with pytest.raises(WriterError, match=r"waits for the next start: .*Not a directory"):
        drain(data)
    assert segment.path.exists()
    (data / "lake").unlink()
    drain(data)
    assert stored(data) == ids(batch)


def test_the_open_day_is_compacted_now_and_then(data: Path) -> None:
    """Every so many commits small files are merged; no row is lost or doubled."""
    batches = [spans(1) for _ in range(10)]
    for sequence, batch in enumerate(batches, start=1):
        close_segment(data, sequence, batch.SerializeToString())
        drain(data)
    assert len(Lake(data / "lake").snapshot().files["spans"]) == len(batches)
    with running(WriterSettings(data=data, compact_every_commits=1)):
        wait_until(lambda: len(Lake(data / "lake").snapshot().files["spans"]) == 1)
    assert stored(data) == ids(*batches)
