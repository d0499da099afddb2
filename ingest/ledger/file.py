"""The SQLite file of the ledger: opened when it is used, set aside when it is damaged."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

import structlog

from ingest.ledger.sound import FAULTS, DamagedLedger, breaks_in_use, examine, is_damage
from ingest.ledger.sql import statement
from ingest.lock import locked

FILE = "ledger.sqlite"

_BUSY_SECONDS = 15.0
_POLL_SECONDS = 0.02

_log = structlog.get_logger()


class LedgerError(OSError):
    """The ledger cannot be written now: a disk fault, to be tried again like any other."""


class LedgerFile:
    """Safe for use from several threads and processes, one short transaction each."""

    def __init__(self, path: Path, *, mends: bool = True) -> None:
        self.path = path
        self._mends = mends
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
                    if connection.in_transaction:  # on a full disk SQLite has ended it itself
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except FAULTS as fault:
                self._disconnect()
                if self._mends and breaks_in_use(fault):
                    self._set_aside(fault)
                raise LedgerError(f"ledger {self.path}: {fault}{self._remedy(fault)}") from fault

    def _remedy(self, fault: Exception) -> str:
        """What puts it right, for those who do not."""
        if self._mends or not is_damage(fault, self.path):
            return ""
        return "; quietpager up sets it aside when it starts, and begins another"

    def _connected(self) -> sqlite3.Connection:
        if self._opened != _identity(self.path):  # set aside by another process, or deleted
            self._disconnect()
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.path.parent):
                try:
                    self._connection = self._open()
                except FAULTS as fault:
                    if not (self._mends and is_damage(fault, self.path)):
                        raise
                    self._make_room(fault)
                    self._connection = self._open()
                self._opened = _identity(self.path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        """The file, whole and with every table. Raises one of FAULTS when it is not."""
        made = lost = False
        if not self.path.exists():
            lost = self._remove_companions() or self._opened is not None
            _make(self.path)
            made = True
        elif _identity(self.path) is None:
            raise DamagedLedger("it is empty, or no file")
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            examine(connection)
            connection.executescript(f"BEGIN IMMEDIATE; {statement('schema')}; COMMIT")
            self._try_writing(connection)
            replaced = self._set_aside_at()  # kept here, too: the file may be deleted
            for at in [*replaced, time.time()] if lost else replaced:
                connection.execute(statement("note_replaced"), {"at": at})
        except BaseException:
            with suppress(sqlite3.Error):
                connection.close()
            if made:  # on a disk that is full, perhaps: nothing is in it
                self.path.unlink(missing_ok=True)
                self._remove_companions()
            raise
        if lost:
            _log.error("ledger.lost", file=str(self.path), error="it is gone; begun anew")
        return connection

    def _try_writing(self, connection: sqlite3.Connection) -> None:
        """Raises what is damage; who has no right to write may read."""
        try:
            connection.execute(statement("try_write"))
        except sqlite3.OperationalError as fault:
            if is_damage(fault, self.path):
                raise

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

    def _set_aside(self, fault: Exception) -> None:
        """Make room for a new file, which the next use makes, unless another process has."""
        with _alone(self.path.parent):
            if _identity(self.path) == self._opened:
                self._make_room(fault)

    def _make_room(self, fault: Exception) -> None:
        at = int(time.time())
        while (aside := self.path.with_name(f"{FILE}.damaged-{at}")).exists():
            at += 1
        _log.error("ledger.damaged", file=str(self.path), kept_as=str(aside), error=str(fault))
        with suppress(FileNotFoundError):
            self.path.replace(aside)
        self._remove_companions()
        self._opened = None

    def _remove_companions(self) -> bool:
        """Delete what SQLite keeps beside a file that is gone; returns whether there was any."""
        paths = [self.path.with_name(FILE + suffix) for suffix in ("-wal", "-shm", "-journal")]
        found = [path for path in paths if path.exists()]
        for path in found:
            path.unlink(missing_ok=True)
        return bool(found)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One process at a time: what is a damaged file to one must not be the new one of another."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise LedgerError(f"ledger in {directory}: {fault}") from fault
    try:
        deadline = time.monotonic() + _BUSY_SECONDS
        while not locked(handle):
            if time.monotonic() > deadline:
                raise LedgerError(f"ledger in {directory}: another process is opening it")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _make(path: Path) -> None:
    """An empty file of the directory's owner: root, who asks, must not keep others from writing."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
    finally:
        os.close(handle)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None if there is none, or nothing in it: SQLite leaves none so."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if S_ISREG(found.st_mode) and found.st_size else None
