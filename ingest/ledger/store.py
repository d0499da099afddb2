"""The ledger's SQLite file. Receiver, writer and keeper share it, one short transaction each."""

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

from ingest.ledger.file import FILE, LedgerFile
from ingest.ledger.sql import statement

Reason = Literal["duplicate", "expired", "erased"]
HOUR_SECONDS = 3600

_FOLD_AFTER_SECONDS = 600.0
"""Settled segments stay by themselves this long: longer than anybody takes to read the ledger and
the lake one after the other, see `entries`."""

_DROPPED_HOURS = 7 * 24
"""Hours for which the ledger knows of which service content was dropped."""


@dataclass(frozen=True)
class Settlement:
    """What became of a segment: rows in the lake by hour; the rest is in quarantine if damaged."""

    sequence: int
    stored: Mapping[int, int]
    damaged: bool


@dataclass(frozen=True)
class Entry:
    """One hour (unix seconds / 3600, UTC) of a signal, in records.

    `accepted` were journalled, `retried` acknowledged again and dropped, `waiting` are in the
    journal still, `quarantined` could not be read.
    """

    hour: int
    accepted: int
    retried: int
    waiting: int
    quarantined: int


@dataclass(frozen=True)
class SetAside:
    """When a damaged file was set aside last (s of the unix clock); None if none was.

    `doubted` if one bears a later time than now, and was set aside while the clock was ahead.
    """

    at: float | None
    doubted: bool


@dataclass(frozen=True)
class Commits:
    """What the writer has done of a signal: commits, rows in them, seconds they took in all.

    `files` is how many live files the table had after the last, at `committed_at` (unix s).
    """

    signal: str
    commits: int
    stored: int
    seconds: float
    files: int
    committed_at: float


class Ledger:
    """The ledger of the data directory `data`. Safe for use from several threads and processes.

    A file that is damaged is set aside and begun anew, with an error in the log: proof of what
    went before is lost then, but no data. Who only asks does not: it is an error to them
    (``mends``).
    """

    def __init__(self, data: Path, *, mends: bool = True) -> None:
        self._file = LedgerFile(data / "state" / FILE, mends=mends)
        self._transaction = self._file.transaction

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def last_set_aside(self) -> SetAside:
        """When damaged files were set aside, this one being begun behind the last."""
        with self._transaction() as connection:
            asked = {"now": time.time()}
            at, doubted = connection.execute(statement("last_replaced"), asked).fetchone()
        return SetAside(at, bool(doubted))

    def close_segment(
        self,
        signal: str,
        sequence: int,
        accepted: Mapping[int, int],
        retried: Mapping[int, int],
        uncounted_bytes: int = 0,
    ) -> None:
        """Note the records of a segment by hour. Doing it again changes nothing.

        `uncounted_bytes` were damaged before anybody had noted how many records they hold.
        """
        with self._transaction() as connection:
            if _is_settled(connection, signal, sequence):
                return
            if uncounted_bytes:
                uncounted = {"signal": signal, "sequence": sequence, "bytes": uncounted_bytes}
                connection.execute(statement("note_uncounted"), uncounted)
            for hour in accepted.keys() | retried.keys():
                row = {
                    "signal": signal,
                    "sequence": sequence,
                    "hour": hour,
                    "accepted": accepted.get(hour, 0),
                    "retried": retried.get(hour, 0),
                }
                connection.execute(statement("close_segment"), row)

    def settle(self, signal: str, settlements: Sequence[Settlement]) -> None:
        """Note what became of segments that are in the lake. Doing it again changes nothing."""
        at = time.time()
        with self._transaction() as connection:
            for each in settlements:
                if _is_settled(connection, signal, each.sequence):
                    continue
                segment = {"signal": signal, "sequence": each.sequence, "at": at}
                for hour, stored in each.stored.items():
                    row = segment | {"hour": hour, "stored": stored}
                    connection.execute(statement("settle_hour"), row)
                connection.execute(statement("settle_segment"), segment | {"damaged": each.damaged})
                connection.execute(statement("note_position"), segment)
            before = {"before": at - _FOLD_AFTER_SECONDS}
            connection.execute(statement("fold_segments"), before)
            connection.execute(statement("forget_segments"), before)

    def note_commit(self, signal: str, stored: int, seconds: float, files: int) -> None:
        """Add a commit to what the writer has done: its rows, how long it took, live files now."""
        with self._transaction() as connection:
            row = {
                "signal": signal, "stored": stored, "seconds": seconds, "files": files,
                "at": time.time(),
            }  # fmt: skip
            connection.execute(statement("note_commit"), row)

    def note_dropped(self, signal: str, dropped: Mapping[str, int]) -> None:
        """Add to the content that was dropped of each service. What is older than a week is summed.

        It is not part of the proof: a crash between a commit and this note leaves it out.
        """
        if not dropped:
            return
        hour = int(time.time()) // HOUR_SECONDS
        with self._transaction() as connection:
            for service, count in dropped.items():
                row = {"signal": signal, "hour": hour, "service": service, "dropped": count}
                connection.execute(statement("note_dropped"), row)
            before = {"before": hour - _DROPPED_HOURS}
            connection.execute(statement("fold_dropped"), before)
            connection.execute(statement("forget_dropped"), before)

    def dropped(self, since: int = 0) -> dict[tuple[str, str], int]:
        """Attributes and bodies dropped as content, by signal and service, since a unix hour."""
        with self._transaction() as connection:
            rows = connection.execute(statement("dropped"), {"since": since})
            return {(signal, service): count for signal, service, count in rows}

    def last_sequence(self, signal: str) -> int:
        """The highest sequence of a segment that was closed or settled; 0 if none was."""
        with self._transaction() as connection:
            row: tuple[int] = connection.execute(
                statement("last_sequence"), {"signal": signal}
            ).fetchone()
        return row[0]

    def note_rewind(self, signal: str, newest: int, known: int) -> None:
        """Note that a journal remembers no sequence above `newest`, and the ledger `known`."""
        row = {"signal": signal, "at": time.time(), "newest": newest, "known": known}
        with self._transaction() as connection:
            connection.execute(statement("note_rewind"), row)

    def rewinds(self) -> list[tuple[str, float, int, int]]:
        """Signal, time (unix s), `newest` and `known` of the last rewind of each journal."""
        with self._transaction() as connection:
            return [(*row,) for row in connection.execute(statement("rewinds"))]

    def uncounted(self) -> list[tuple[str, int, int]]:
        """Signal, sequence and bytes of the damage in which nobody can say how many records are."""
        with self._transaction() as connection:
            return [(*row,) for row in connection.execute(statement("uncounted"))]

    def note_removal(
        self, table: str, number: int, reason: Reason, removed: Mapping[int, int]
    ) -> None:
        """Note rows by hour that the commit with this removal number will take out of `table`.

        Notes of higher numbers are of commits that never came, and are forgotten.
        """
        at = time.time()
        with self._transaction() as connection:
            void = {"table": table, "committed": number - 1}
            connection.execute(statement("void_removals"), void)
            for hour, count in removed.items():
                row = {
                    "table": table, "number": number, "reason": reason,
                    "hour": hour, "removed": count, "at": at,
                }  # fmt: skip
                connection.execute(statement("note_removal"), row)

    def entries(self, signal: str, position: int) -> list[Entry]:
        """Every hour of a signal, for a lake that has committed all up to `position`.

        Read the lake's position first: what the writer settles in between is told apart.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                statement("entries"), {"signal": signal, "position": position}
            )
            return [Entry(*row) for row in rows]

    def removed(self, table: str, committed: int) -> dict[tuple[int, str], int]:
        """Rows that left `table`, by hour and reason, up to the removal number it has committed."""
        with self._transaction() as connection:
            rows = connection.execute(
                statement("removed"), {"table": table, "committed": committed}
            )
            return {(hour, reason): count for hour, reason, count in rows}

    def note_day(self, table: str, day: date, files: Iterable[str]) -> None:
        """Note the files of a day that was put in order."""
        with self._transaction() as connection:
            row = {"table": table, "day": day.isoformat(), "files": _digest(files)}
            connection.execute(statement("note_day"), row)

    def is_in_order(self, table: str, day: date, files: Iterable[str]) -> bool:
        """Whether the day has the very files that it had when it was last put in order."""
        with self._transaction() as connection:
            asked = {"table": table, "day": day.isoformat()}
            noted: tuple[str] | None = connection.execute(statement("day_files"), asked).fetchone()
        return noted is not None and noted[0] == _digest(files)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_settled(connection: sqlite3.Connection, signal: str, sequence: int) -> bool:
    """Whether a segment is part of its hours: met again, in an older journal, it is not counted."""
    segment = {"signal": signal, "sequence": sequence}
    return connection.execute(statement("is_settled"), segment).fetchone() is not None


def _digest(files: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(sorted(files)).encode(), digest_size=16).hexdigest()


def hour_of(unix_nano: int) -> int:
    """The unix hour of a time in unix nanoseconds."""
    return unix_nano // (HOUR_SECONDS * 1_000_000_000)


class NoteSegment(Protocol):
    """Takes what `Ledger.close_segment` does, of one signal."""

    def __call__(
        self,
        sequence: int,
        accepted: Mapping[int, int],
        retried: Mapping[int, int],
        uncounted_bytes: int = 0,
        /,
    ) -> None: ...
