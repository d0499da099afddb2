"""The ledger: every record accepted is noted once, and what became of it."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date
from pathlib import Path

import pytest

from ingest.ledger import Entry, Ledger, LedgerError, Settlement, hour_of
from ingest.ledger.file import LedgerFile
from ingest.ledger.sound import DamagedLedger
from ingest.ledger.totals import settled_up_to, totals_of

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


def changed(path: Path, at: int, bits: int) -> None:
    """Change bits of the byte of the file at that place."""
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)


def changed_in(path: Path, text: bytes, bits: int) -> None:
    """Change bits of the last byte of a text in the file."""
    changed(path, path.read_bytes().index(text) + len(text) - 1, bits)


def made_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "another file": lambda path: path.write_bytes(b"not a database" * 1000),
    "empty": lambda path: path.write_bytes(b""),
    "a directory": made_directory,
    "cut off": lambda path: os.truncate(path, 8192),
    "a page of zeros": lambda path: path.write_bytes(
        path.read_bytes()[:4096] + bytes(4096) + path.read_bytes()[8192:]
    ),
    "a file not to be written": lambda path: changed(path, 18, 0x01),
    "an unknown format": lambda path: changed(path, 47, 0x01),
    "a table's name that is no text": lambda path: changed_in(path, b"CREATE TABLE hours", 0x80),
    "a table's name": lambda path: changed_in(path, b"CREATE TABLE hours", 0x01),
    "a table's name in the list": lambda path: changed_in(path, b"tablecommits", 0x01),
    "a column's name": lambda path: changed_in(path, b"committed_at", 0x01),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside_when_it_is_opened(ledger: Ledger, damage: str) -> None:
    """Bookkeeping must not stop the data: whatever happened to the file, a new one is begun."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    ledger.close()
    DAMAGE[damage](ledger.path)

    ledger.close_segment("traces", 2, {HOUR: 1}, {})
    ledger.settle("traces", [Settlement(2, {HOUR: 1}, damaged=False)])
    ledger.note_commit("traces", 1, 0.1, 1)

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert len(list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))) == 1
    assert ledger.last_set_aside().at is not None


def test_who_only_reads_is_told_of_damage(ledger: Ledger, tmp_path: Path) -> None:
    """Whatever SQLite makes of a name that is no text, it is a fault of the ledger."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    ledger.close()
    changed_in(ledger.path, b"CREATE TABLE hours", 0x80)

    for read in (lambda: totals_of(tmp_path), lambda: settled_up_to(tmp_path, "traces")):
        with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
            read()


def test_a_file_that_is_damaged_in_use_is_set_aside(ledger: Ledger) -> None:
    """One write fails, the next begins a new file."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE' WHERE name = 'segments'")
        connection.commit()
        connection.execute("PRAGMA schema_version = 99")

    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        ledger.close_segment("traces", 2, {HOUR: 1}, {})
    ledger.close_segment("traces", 2, {HOUR: 1}, {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]


def test_a_file_that_is_emptied_in_use_is_set_aside(ledger: Ledger) -> None:
    """It is not taken for a new one."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(ledger.path, 0)

    ledger.close_segment("traces", 2, {HOUR: 1}, {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert ledger.last_set_aside().at is not None


@pytest.mark.parametrize("others", [(), ("-wal", "-shm")])
def test_a_file_that_is_deleted_in_use_is_begun_anew(
    ledger: Ledger, tmp_path: Path, others: tuple[str, ...]
) -> None:
    """By everybody who had it open, whatever is left beside it; and it is known as another one."""
    other = Ledger(tmp_path)
    other.close_segment("traces", 1, {HOUR: 1}, {})
    ledger.close_segment("traces", 2, {HOUR: 1}, {})
    for suffix in ("", *others):
        ledger.path.with_name(ledger.path.name + suffix).unlink()

    for each, sequence in ((ledger, 3), (other, 4), (ledger, 5)):
        each.close_segment("traces", sequence, {HOUR: 1}, {})

    assert [entry.accepted for entry in other.entries("traces", 0)] == [3]
    assert ledger.last_set_aside().at is not None


def test_the_new_file_of_another_process_is_not_set_aside(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fails at a damaged file looks whether it is there still: another may have been faster."""
    other = Ledger(tmp_path)
    for each in (ledger, other):
        each.close_segment("traces", 1, {HOUR: 1}, {})
    set_aside = LedgerFile._set_aside

    def late(file: LedgerFile, fault: Exception) -> None:
        monkeypatch.setattr(LedgerFile, "_set_aside", set_aside)
        with suppress(LedgerError), other._transaction():
            raise DamagedLedger("odd")
        other.close_segment("traces", 2, {HOUR: 5}, {})
        set_aside(file, fault)

    monkeypatch.setattr(LedgerFile, "_set_aside", late)

    with pytest.raises(LedgerError), ledger._transaction():
        raise DamagedLedger("odd")

    assert len(list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))) == 1
    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [5]


def test_a_full_disk_is_no_damage(ledger: Ledger) -> None:
    """The file stays, and what was in it."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})

    with ledger._transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # of all that it has by now, that is

    with pytest.raises(LedgerError, match="full"):
        ledger.close_segment("logs", 1, dict.fromkeys(range(10_000), 1), {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert ledger.last_set_aside().at is None


def test_the_files_of_other_versions_stay(ledger: Ledger) -> None:
    """An earlier one had fewer tables; a later one may have more, and more columns."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("DROP TABLE rewinds")
        ledger.close()
        assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
        assert ledger.rewinds() == []
        connection.execute("CREATE TABLE later (at REAL)")
        connection.execute("ALTER TABLE commits ADD COLUMN bytes INTEGER")
    ledger.close()

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert ledger.last_set_aside().at is None


def test_processes_share_it(ledger: Ledger, tmp_path: Path) -> None:
    """Receiver and writer have it open at the same time, also after one set it aside."""
    other = Ledger(tmp_path)
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    other.settle("traces", [Settlement(1, {HOUR: 1}, damaged=False)])
    ledger.path.rename(tmp_path / "aside")

    other.close_segment("traces", 2, {HOUR: 1}, {})

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]


def test_who_only_asks_sets_nothing_aside(ledger: Ledger, tmp_path: Path) -> None:
    """Root who verifies must not take the file from the user who writes it, nor hide the damage."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    ledger.close()
    ledger.path.write_bytes(b"not a database" * 1000)

    told = pytest.raises(LedgerError, match="not a database; quietpager up sets it aside")
    with closing(Ledger(tmp_path, mends=False)) as asking, told:
        asking.entries("traces", 0)

    assert not list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))
    assert ledger.entries("traces", 0) == []
    assert len(list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))) == 1


def test_a_new_file_is_the_directorys_owners(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root makes it where a user's sidecar has to write it."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))

    ledger.close_segment("traces", 1, {HOUR: 1}, {})

    owner = ledger.path.parent.stat()
    assert given == [(owner.st_uid, owner.st_gid)]


def test_a_file_that_could_not_be_made_leaves_none(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk: an empty one would be taken for damage."""

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("ingest.ledger.file.examine", fail)
        patched.setattr("ingest.ledger.file.is_damage", lambda *_: False)
        with pytest.raises(LedgerError, match="disk is full"):
            ledger.close_segment("traces", 1, {HOUR: 1}, {})
    assert not list(ledger.path.parent.iterdir())
    ledger.close_segment("traces", 1, {HOUR: 1}, {})


def test_tables_of_tools_are_no_damage(ledger: Ledger) -> None:
    """ANALYZE leaves one, also beside tables of the version before."""
    ledger.close_segment("traces", 1, {HOUR: 1}, {})
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.executescript("ANALYZE; DROP TABLE replaced")
    ledger.close()

    assert [entry.accepted for entry in ledger.entries("traces", 0)] == [1]
    assert not list(ledger.path.parent.glob("ledger.sqlite.damaged-*"))
