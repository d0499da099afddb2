"""Statements that may be asked of the lake: those that read."""

import re

import duckdb

READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
REFUSED = "only SELECT, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of these can be run"
EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)


class QueryError(Exception):
    """SQL that cannot be run or failed; the message is one line."""


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
        explained, found = EXPLAIN.subn("", statement.query, count=1)
        if not found:
            raise QueryError("cannot explain this: write EXPLAIN first, followed by a space")
        try:
            read_only(explained)
        except QueryError as error:
            raise QueryError(f"cannot explain this: {error}") from error
    return statement


def one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its drawing of the position, but with the line's number."""
    message, _, position = str(error).partition("\n\nLINE ")
    text = " ".join(message.split())
    line = position.partition(":")[0]
    return f"{text} (line {line} of the query)" if line else text
