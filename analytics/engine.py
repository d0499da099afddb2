"""The embedded DuckDB: one database in memory, locked down, with the views in place."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import duckdb
import pyarrow as pa

from analytics.prices import PRICE_MATCHES, PriceBook
from analytics.questions import VIEW_FILES, internal_sql, view_sql
from lake import Snapshot

READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
REFUSED = "only SELECT, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of these can be run"
EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)


class QueryError(Exception):
    """SQL that cannot be run or failed; the message is one line."""


class Engine:
    """A DuckDB that reads the files under `readable` and nothing else, and writes nothing.

    Safe for use from several threads: each request has a cursor of its own, with its own snapshot.
    """

    def __init__(
        self, readable: Path, prices: PriceBook, *, memory_limit: str, threads: int
    ) -> None:
        self._prices = prices
        self._spill = TemporaryDirectory(prefix="quietpager-")
        self._opening = Lock()
        self._database = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                "temp_directory": self._spill.name,
                "python_enable_replacements": False,
            }
        )
        self._prepare(readable)

    def close(self) -> None:
        self._database.close()
        self._spill.cleanup()

    @contextmanager
    def reading(self, snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor on which every view shows `snapshot`."""
        with self._opening:
            cursor = self._database.cursor()
        try:
            snapshot.attach(cursor)
            self._match_models(cursor)
            yield cursor
        except duckdb.Error as error:
            raise QueryError(one_line(error)) from error
        finally:
            cursor.close()

    def _prepare(self, readable: Path) -> None:
        database = self._database
        database.execute("SET GLOBAL TimeZone = 'UTC'")
        # The views are bound once to an empty lake; each cursor lays its snapshot's over it.
        Snapshot(versions={}, files={}).attach(database)
        database.register("listed", self._prices.price_list())
        database.execute("CREATE TABLE price_list AS FROM listed")
        database.unregister("listed")
        database.register("price_matches", PRICE_MATCHES.empty_table())
        for name in VIEW_FILES:
            database.execute(view_sql(name))
        database.execute("SET allowed_directories = [$1]", [str(readable.absolute())])
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")

    def _match_models(self, cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.register("price_matches", PRICE_MATCHES.empty_table())
        used = cursor.execute(internal_sql("models_used")).fetchall()
        cursor.register("price_matches", self._prices.match_models(used))


def fetch(
    cursor: duckdb.DuckDBPyConnection, statement: duckdb.Statement, params: Mapping[str, object]
) -> pa.Table:
    """The whole answer: an open result would hold its connection."""
    return cursor.sql(statement, params=dict(params)).to_arrow_table()


def read_only(sql: str) -> duckdb.Statement:
    """The one reading statement that `sql` is. Raises QueryError if it is anything else."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(one_line(error)) from error
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} SQL statements given; give one")
    (statement,) = statements
    if statement.type not in READING:
        raise QueryError(f"{statement.type.name} is refused: the lake is read-only; {REFUSED}")
    if statement.type == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains.
        explained = read_only(EXPLAIN.sub("", statement.query, count=1))
        if explained.type == duckdb.StatementType.EXPLAIN:
            raise QueryError(f"EXPLAIN of an EXPLAIN is refused; {REFUSED}")
    return statement


def one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its drawing of the position, but with the line's number."""
    message, _, position = str(error).partition("\n\nLINE ")
    text = " ".join(message.split())
    line = position.partition(":")[0]
    return f"{text} (line {line} of the query)" if line else text
