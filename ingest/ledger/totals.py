"""What the ledger says in all, for who only looks on and must not wait for those who write it."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ingest.ledger.file import FILE, LedgerError
from ingest.ledger.sound import FAULTS
from ingest.ledger.sql import statement
from ingest.ledger.store import Commits

_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class Totals:
    """What the writer has done, and records by signal: quarantined, and dropped as content.

    `removed` counts rows that left the lake, by table and reason.
    """

    commits: tuple[Commits, ...]
    quarantined: Mapping[str, int]
    removed: Mapping[tuple[str, str], int]
    dropped: Mapping[str, int]


def totals_of(data: Path) -> Totals:
    """The totals of one moment. Raises LedgerError when they cannot be read within a second.

    It only reads: SQLite lets it, as it writes ahead, while another process holds the write lock.
    """
    path = data / "state" / FILE
    try:
        with closing(_reading(path)) as connection:
            connection.execute("BEGIN")
            dropped = Counter[str]()
            for signal, _, count in connection.execute(statement("dropped"), {"since": 0}):
                dropped[signal] += count
            removed = connection.execute(statement("removed_in_all"))
            return Totals(
                commits=tuple(Commits(*row) for row in connection.execute(statement("commits"))),
                quarantined=dict(connection.execute(statement("totals")).fetchall()),
                removed={(table, reason): count for table, reason, count in removed},
                dropped=dropped,
            )
    except FAULTS as fault:
        raise LedgerError(f"ledger {path}: {fault}") from fault


def settled_up_to(data: Path, signal: str) -> int:
    """The last segment of a signal that was settled lately: the lake has it. 0 when none was.

    Raises LedgerError as `totals_of` does.
    """
    path = data / "state" / FILE
    if not path.exists():
        return 0
    try:
        with closing(_reading(path)) as connection:
            (settled,) = connection.execute(statement("settled"), {"signal": signal}).fetchone()
    except FAULTS as fault:
        raise LedgerError(f"ledger {path}: {fault}") from fault
    return settled or 0


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
