"""Where threads are kept: SQLite embedded by default, PostgreSQL by its DSN.

Comes in: a statement's name and its parameters.
Goes out: rows. A call is one statement and one transaction, and holds a connection no longer.
Never: SQL in Python (it is in ``agent_runtime/sql``, a folder per dialect, a statement per file);
a statement that does harm when it is sent twice, because one whose answer got lost is sent again.
"""

from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from agent_runtime.store.postgres import PostgresStore
from agent_runtime.store.sqlite import SqliteStore
from agent_runtime.tally import Tally

__all__ = ["PostgresStore", "Row", "SqliteStore", "Store", "open_store"]

DEFAULT_DSN = "sqlite:///agent_runtime.db"

Row = dict[str, Any]


class Store(Protocol):
    """A database that runs the statements of ``agent_runtime/sql``."""

    async def open(self) -> None:
        """Connect and bring the schema up to date; does nothing when that was done.

        :raises StoreError: when the database cannot be used.
        """

    async def execute(
        self, statement: str, tally: Tally | None = None, /, *, durable: bool = False, **values: Any
    ) -> list[Row]:
        """Run the statement of that name; its rows.

        The wait for a connection is added to ``tally``. A ``durable`` one outlives a loss of power,
        others the death of the process only, where that is much faster.

        :raises StoreError: when it was not done in time, or cannot be.
        """

    async def close(self) -> None:
        """Give the connections back, once what was begun is written."""


def open_store(dsn: str) -> Store:
    """The store that a DSN names: ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
    ``sqlite:///:memory:`` or ``postgresql://user@host/database``. It connects when it is opened.

    :raises ValueError: when it names none.
    """  # fmt: skip
    scheme = urlsplit(dsn).scheme
    if scheme in {"postgresql", "postgres"}:
        return PostgresStore(dsn)
    path = dsn.removeprefix("sqlite:///")
    if scheme != "sqlite" or path in {dsn, ""}:
        raise ValueError(
            f"store {scheme}:… is none of ours; write sqlite:///path.db or postgresql://host/database"
        )
    return SqliteStore(Path(path))
