"""The SQLite file of the ledger: opened when it is used, set aside when it is damaged."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from pathlib import Path

import structlog

FILE = "ledger.sqlite"

_BUSY_SECONDS = 15.0

_log = structlog.get_logger()


class LedgerError(OSError):
    """The ledger cannot be written now: a disk fault, to be tried again like any other."""


class LedgerFile:
    """Safe for use from several threads and processes, one short transaction each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done in it, or nothing."""
        with self._lock:
            try:
                connection = self._connected()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as fault:
                self._disconnect()
                if not isinstance(fault, sqlite3.OperationalError):
                    self._set_aside(fault)
                raise LedgerError(f"ledger {self.path}: {fault}") from fault

    def _connected(self) -> sqlite3.Connection:
        if self._opened != _identity(self.path):  # another process may have set it aside
            self._disconnect()
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(statement("schema"))
            for at in self._set_aside_at():  # kept here, too: the file may be deleted
                connection.execute(statement("note_replaced"), {"at": at})
            self._opened = _identity(self.path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _set_aside_at(self) -> list[float]:
        """When files were set aside (s of the unix clock), as far as they are still there."""
        aside = self.path.parent.glob(f"{FILE}.damaged-*")
        times = [path.name.rpartition("-")[2] for path in aside]
        return [float(at) for at in times if at.isdigit()]

    def _set_aside(self, fault: sqlite3.Error) -> None:
        """Make room for a new file; the next use makes it."""
        aside = self.path.with_name(f"{FILE}.damaged-{int(time.time())}")
        _log.error("ledger.damaged", file=str(self.path), kept_as=str(aside), error=str(fault))
        with suppress(FileNotFoundError):
            self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(FILE + suffix).unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@cache
def statement(name: str) -> str:
    """The SQL of a file in `statements`."""
    return (resources.files("ingest.ledger") / "statements" / f"{name}.sql").read_text("utf-8")
