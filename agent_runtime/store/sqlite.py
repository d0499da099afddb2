"""SQLite: one file, one connection, in a thread of its own.

The standard library's driver behind one thread is all that a driver for asyncio would add, and
writers of one file wait for each other anyway. The file is in WAL mode; other processes of the same
machine may have it open as well.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from agent_runtime.errors import StoreError
from agent_runtime.store.statements import schema_steps, statement
from agent_runtime.tally import Tally

BUSY_S = 5.0
"""How long to wait for another process that writes."""

T = TypeVar("T")


class SqliteStore:
    """A `Store` in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agent_runtime_sqlite")
        self._opened: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open the file; it is made if it is not there."""
        await self._in_thread(self._connection)

    async def execute(
        self, name: str, tally: Tally | None = None, /, *, durable: bool = False, **values: Any
    ) -> list[dict[str, Any]]:
        """Run a statement of ``sql/sqlite``."""
        text = statement("sqlite", name)
        return await self._in_thread(lambda: self._run(text, values, durable), tally)

    async def close(self) -> None:
        """Close the file behind everything that was begun."""
        await self._in_thread(self._close)

    async def _in_thread(self, work: Callable[[], T], tally: Tally | None = None) -> T:
        submitted = time.perf_counter()
        began = submitted

        def timed() -> T:
            nonlocal began
            began = time.perf_counter()
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, timed)
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path.absolute()}: {error}; the file must be writable, with room on its disk"
            ) from error
        finally:
            if tally is not None:
                tally.db_wait_ms += (began - submitted) * 1000

    def _run(self, text: str, values: dict[str, Any], durable: bool) -> list[dict[str, Any]]:
        connection = self._connection()
        if not durable:
            return [dict(row) for row in connection.execute(text, values)]
        connection.execute("PRAGMA synchronous = FULL")
        try:
            return [dict(row) for row in connection.execute(text, values)]
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(connection)
            self._opened = connection
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


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
