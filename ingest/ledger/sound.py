"""Whether the SQLite file of the ledger is what was written, and what a fault says about it."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from ingest.ledger.sql import statement

FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What is raised by a ledger that cannot be used. The names in SQLite's messages may be damaged
themselves: they are no UTF-8 then.
"""

_PASSING = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
    }
)
"""Of the disk, of rights, and of others who use the file: it may be whole all the same."""


_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedLedger(sqlite3.DatabaseError):
    """A ledger that SQLite can use and that is not what was written."""


def breaks_in_use(fault: Exception) -> bool:
    """Whether a file that was whole when it was opened is damaged; of others that shows then."""
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in _BROKEN or code == sqlite3.SQLITE_IOERR_SHORT_READ


def is_damage(fault: Exception, path: Path) -> bool:
    """Whether a file that cannot be opened is itself at fault: trying again is of no use."""
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code == sqlite3.SQLITE_READONLY:  # the file says so, or those who may write it do
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:  # less is there than was written
        return True
    return code & 0xFF not in _PASSING


def examine(connection: sqlite3.Connection) -> None:
    """Raises DamagedLedger when the pages, the tables or their columns are not what was written.

    Tables of earlier versions may be fewer, and those of later ones more and wider.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedLedger(found)
    made, tables = _made(), {name for (name,) in connection.execute(_TABLES)}
    unknown = {name for name in tables - made.keys() if not name.startswith(_OF_TOOLS)}
    if made.keys() - tables and unknown:
        raise DamagedLedger(f"the names of its tables are damaged: {sorted(unknown)}")
    for table in made.keys() & tables:
        if not made[table] <= _columns(connection, table):
            raise DamagedLedger(f"the columns of its table {table} are damaged")


_TABLES = "SELECT name FROM sqlite_master"
_OF_TOOLS = ("sqlite_", "_litestream")
"""How tables begin that ANALYZE and tools that copy databases make."""


@cache
def _made() -> Mapping[str, frozenset[tuple[object, ...]]]:
    """The columns of every table as the schema makes them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(statement("schema"))
        tables = [name for (name,) in connection.execute(_TABLES)]
        return {table: _columns(connection, table) for table in tables}


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[tuple[object, ...]]:
    """Name, type, whether it is NOT NULL, default, and place in the key of each."""
    rows = connection.execute("SELECT * FROM pragma_table_info(?)", (table,))
    return frozenset(row[1:] for row in rows)
