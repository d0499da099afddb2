"""SQLite: one file and one connection, in WAL mode; other processes may have the file open as well.

A statement takes less time than handing it to a thread and its rows back, which under load costs
two turns of the interpreter's lock at 5 ms each. So it is run where it is asked for, and only what
would wait goes to a thread: for the disk, for other processes that write, or for what is there.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import stamina

from agent_runtime.errors import StoreError
from agent_runtime.store.statements import schema_steps, statement
from agent_runtime.tally import Tally

BUSY_S = 5.0
"""How long a statement waits, also for those before it, when another process writes."""
MOVE_AFTER = 256
"""Statements until what they wrote is moved from the log to the file; about 4 MB."""

T = TypeVar("T")


class SqliteStore:
    """A `Store` in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agent_runtime_sqlite")
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._unmoved = 0

    async def open(self) -> None:
        """Open the file; it is made if it is not there."""
        await self._in_thread(self._connection)

    async def execute(
        self, name: str, tally: Tally | None = None, /, *, durable: bool = False, **values: Any
    ) -> list[dict[str, Any]]:
        """Run a statement of ``sql/sqlite``."""
        text = statement("sqlite", name)
        if not durable and self._opened and self._lock.acquire(blocking=False):
            try:
                return _rows(self._opened, text, values)
            except sqlite3.Error as error:
                if not _is_busy(error):
                    raise self._failed(error) from error
            finally:
                self._lock.release()
                self._count()
        return await self._in_thread(lambda until: self._run(text, values, durable, until), tally)

    async def close(self) -> None:
        """Close the file behind everything that was begun."""
        await self._in_thread(lambda _: self._close())

    async def _in_thread(self, work: Callable[[float], T], tally: Tally | None = None) -> T:
        submitted = time.perf_counter()
        until = time.monotonic() + BUSY_S
        began = submitted

        def timed() -> T:
            nonlocal began
            began = time.perf_counter()
            with self._lock:
                return work(until)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, timed)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            if tally is not None:
                tally.db_wait_ms += (began - submitted) * 1000

    def _failed(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"{self.path.absolute()}: {error}; the file must be writable, with room on its disk"
        )

    def _count(self) -> None:
        self._unmoved += 1
        if self._unmoved == MOVE_AFTER:
            self._unmoved = 0
            self._thread.submit(self._move)

    def _move(self) -> None:
        with self._lock:
            if self._opened:
                self._opened.execute("PRAGMA wal_checkpoint")

    def _run(
        self, text: str, values: dict[str, Any], durable: bool, until: float
    ) -> list[dict[str, Any]]:
        connection = self._connection(until)
        connection.execute(f"PRAGMA busy_timeout = {_left_s(until) * 1000:.0f}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        try:
            return _rows(connection, text, values)
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA busy_timeout = 0")

    def _connection(self, until: float) -> sqlite3.Connection:
        if self._opened is None:
            connection = sqlite3.connect(
                self.path, timeout=_left_s(until), isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            _write_ahead(connection, until)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            _migrate(connection)
            connection.execute("PRAGMA busy_timeout = 0")
            self._opened = connection
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def _rows(
    connection: sqlite3.Connection, text: str, values: dict[str, Any]
) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text, values)]


def _is_busy(error: Exception) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError)
        and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )


def _left_s(until: float) -> float:
    return max(0.001, until - time.monotonic())  # 0 stands for no limit in some places


def _write_ahead(connection: sqlite3.Connection, until: float) -> None:
    """Turn the log on. Where two ask for it at once SQLite refuses one, without waiting first."""
    for attempt in stamina.retry_context(
        on=_is_busy, attempts=None, timeout=_left_s(until), wait_initial=0.01, wait_max=0.2
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode = WAL")


def _migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing; another process that does the same waits."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        steps = schema_steps("sqlite")
        for step in steps[version:]:
            for part in step.split(";\n"):
                connection.execute(part)
        connection.execute(f"PRAGMA user_version = {max(version, len(steps))}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
