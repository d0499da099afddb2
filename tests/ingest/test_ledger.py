"""The ledger: every record accepted is noted once, and what became of it."""

import sqlite3
from datetime import date
from pathlib import Path

import pytest

from ingest.ledger import Entry, Ledger, LedgerError, Settlement, hour_of

HOUR = 495_000


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_hours_are_unix_hours() -> None:
    """An hour is a whole number of hours since 1970, UTC."""
    assert hour_of((HOUR * 3600 + 3599) * 10**9 + 999_999_999) == HOUR


def test_a_closed_segment_waits_until_the_lake_has_it(ledger: Ledger) -> None:
    """Its records wait as long as the lake's position is before it."""
    ledger.close_segment("traces", 7, {HOUR: 5, HOUR + 1: 2}, {HOUR: 3})

    assert ledger.entries("traces", position=6) == [
        Entry(HOUR, accepted=5, retried=3, waiting=5, quarantined=0),
        Entry(HOUR + 1, accepted=2, retried=0, waiting=2, quarantined=0),
    ]
    assert [entry.waiting for entry in ledger.entries("traces", position=7)] == [0, 0]
    assert ledger.entries("logs", position=0) == []


def test_noting_again_changes_nothing(ledger: Ledger) -> None:
    """Receiver and writer note a second time what a crash made them do a second time."""
    for _ in range(2):
        ledger.close_segment("traces", 7, {HOUR: 5}, {})
    for _ in range(2):
        ledger.settle("traces", [Settlement(7, {HOUR: 5}, damaged=False)])

    assert ledger.entries("traces", 7) == [Entry(HOUR, 5, 0, 0, 0)]


def test_what_a_damaged_segment_does_not_give_is_in_quarantine(ledger: Ledger) -> None:
    """Of a damaged segment everything is in quarantine that is not in the lake."""
    ledger.close_segment("traces", 7, {HOUR: 5, HOUR + 1: 4}, {})
    ledger.settle("traces", [Settlement(7, {HOUR: 3}, damaged=True)])

    assert [entry.quarantined for entry in ledger.entries("traces", 7)] == [2, 4]


def test_what_a_sound_segment_does_not_give_is_missing(ledger: Ledger) -> None:
    """Without damage there is no excuse: the records are neither waiting nor in quarantine."""
    ledger.close_segment("traces", 7, {HOUR: 5}, {})
    ledger.settle("traces", [Settlement(7, {HOUR: 3}, damaged=False)])

    assert ledger.entries("traces", 7) == [Entry(HOUR, 5, 0, 0, 0)]


def test_segments_from_before_the_ledger_held_what_they_gave(ledger: Ledger) -> None:
    """A segment that nobody noted when it was closed counts as its rows."""
    ledger.settle("traces", [Settlement(7, {HOUR: 3}, damaged=False)])

    assert ledger.entries("traces", 7) == [Entry(HOUR, 3, 0, 0, 0)]


def test_settled_segments_are_added_up(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while hours are kept and segments are not, with the same totals."""
    for sequence in range(1, 5):
        ledger.close_segment("traces", sequence, {HOUR: 2}, {HOUR: 1})
        ledger.settle("traces", [Settlement(sequence, {HOUR: 2}, damaged=False)])
    before = ledger.entries("traces", 4)
    monkeypatch.setattr("ingest.ledger.store._FOLD_AFTER_SECONDS", -1)

    ledger.settle("traces", [])

    assert ledger.entries("traces", 4) == before == [Entry(HOUR, 8, 4, 0, 0)]
    with sqlite3.connect(ledger.path) as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone() == (0,)


def test_a_segment_of_an_older_journal_is_not_counted_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was settled, and may hold less than when it was: added up or not, nothing changes."""
    ledger.close_segment("traces", 7, {HOUR: 5}, {HOUR: 1})
    ledger.settle("traces", [Settlement(7, {HOUR: 5}, damaged=False)])
    for fold_after in (600, -1):
        monkeypatch.setattr("ingest.ledger.store._FOLD_AFTER_SECONDS", fold_after)
        ledger.settle("traces", [])

        ledger.close_segment("traces", 7, {HOUR: 2}, {})
        ledger.settle("traces", [Settlement(7, {HOUR: 2}, damaged=False)])

        assert ledger.entries("traces", 7) == [Entry(HOUR, 5, 1, 0, 0)]
        assert ledger.last_sequence("traces") == 7


def test_the_last_sequence_is_that_of_any_segment(ledger: Ledger) -> None:
    """One that waits counts as well as one that is settled."""
    assert ledger.last_sequence("traces") == 0
    ledger.close_segment("traces", 9, {HOUR: 5}, {})
    assert ledger.last_sequence("traces") == 9
    assert ledger.last_sequence("logs") == 0


def test_only_committed_removals_count(ledger: Ledger) -> None:
    """A removal whose commit never came is void, and its number is used again."""
    ledger.note_removal("spans", 1, "duplicate", {HOUR: 4})
    ledger.note_removal("spans", 2, "erased", {HOUR: 9})
    assert ledger.removed("spans", committed=1) == {(HOUR, "duplicate"): 4}

    ledger.note_removal("spans", 2, "expired", {HOUR: 1})

    assert ledger.removed("spans", committed=2) == {(HOUR, "duplicate"): 4, (HOUR, "expired"): 1}


def test_a_day_is_in_order_as_long_as_its_files_are_the_same(ledger: Ledger) -> None:
    """Any other set of files has rows that nobody has put in order."""
    day = date(2026, 11, 20)
    assert not ledger.is_in_order("spans", day, ["a", "b"])

    ledger.note_day("spans", day, ["b", "a"])

    assert ledger.is_in_order("spans", day, ["a", "b"])
    assert not ledger.is_in_order("spans", day, ["a", "b", "late"])
    assert not ledger.is_in_order("logs", day, ["a", "b"])


def test_a_damaged_file_is_set_aside(ledger: Ledger) -> None:
    """Bookkeeping must not stop the data: one write fails, the next begins a new file."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    ledger.close()
    ledger.path.write_bytes(b"not a database" * 1000)

    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        ledger.close_segment("traces", 2, {HOUR: 1}, {})
    ledger.close_segment("traces", 2, {HOUR: 1}, {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert len(list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))) == 1


def test_processes_share_it(ledger: Ledger, tmp_path: Path) -> None:
    """Receiver and writer have it open at the same time, also after one set it aside."""
    other = Ledger(tmp_path)
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    other.settle("traces", [Settlement(1, {HOUR: 1}, damaged=False)])
    ledger.path.rename(tmp_path / "aside")

    other.close_segment("traces", 2, {HOUR: 1}, {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
