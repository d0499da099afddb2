"""Rows of a day that are written anew, in files of our own: with checksums, and in one commit.

Delta's library would write pages without checksums, and what it was asked to delete, a tenant's
name, into the log.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from lake.column import TableSchema
from lake.commits import commit, leaving
from lake.day_files import write_files
from lake.live_files import DayFile, days_of, path_of
from lake.schema import TABLES
from lake.scratch import scratch
from lake.snapshot import Snapshot
from lake.younger import widened

Selection = Callable[[DuckDBPyRelation, DuckDBPyConnection], DuckDBPyRelation]

_ROWS_AT_ONCE = 65_536


def take_out(
    delta: DeltaTable,
    table: str,
    day: date,
    picked: Selection,
    kept: Selection,
    properties: CommitProperties,
) -> None:
    """Write the files of `day` anew in which there is a row that is `picked`, with what is `kept`.

    Raises DeltaError when another took one of them away meanwhile: nothing has changed then.
    """
    schema = widened(TABLES[table], delta)
    with scratch() as connection:
        touched = [
            file
            for file, path in _files(delta, day)
            if picked(_rows(connection, schema, [path]), connection).limit(1).fetchall()
        ]
        paths = [path for file, path in _files(delta, day) if file in touched]
        left = kept(_rows(connection, schema, paths), connection)
        replace(delta, table, day, touched, left, properties)


def replace(
    delta: DeltaTable,
    table: str,
    day: date,
    files: Sequence[DayFile],
    rows: DuckDBPyRelation,
    properties: CommitProperties,
) -> None:
    """Replace `files` of `day` by ones with `rows`. A column the table has not yet is left out.

    Raises DeltaError as `take_out` does.
    """
    root = path_of(delta)
    columns = pa.schema(delta.schema())
    reader = rows.to_arrow_reader(_ROWS_AT_ONCE)
    written = write_files(root, columns, TABLES[table].time, _as(columns, reader))
    commit(delta, written, leaving(files, day), properties)


def files_of(delta: DeltaTable, day: date) -> list[DayFile]:
    """The files of `day` at the version that `delta` is."""
    return list(days_of(delta).get(day, ()))


def _as(columns: pa.Schema, rows: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in rows:
        yield batch.select(columns.names).cast(columns)


def _files(delta: DeltaTable, day: date) -> list[tuple[DayFile, str]]:
    """The files of a day, each with where DuckDB finds it."""
    root = path_of(delta)
    return [(file, str(root / unquote(file.path))) for file in files_of(delta, day)]


def _rows(
    connection: DuckDBPyConnection, schema: TableSchema, paths: Sequence[str]
) -> DuckDBPyRelation:
    return Snapshot({}, {schema.name: tuple(paths)}).rows(connection, schema)
