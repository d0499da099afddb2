"""Rows of a table as it is at one version: of a day, of a tenant, counted by hour."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

import pyarrow as pa
from deltalake import DeltaTable
from duckdb import (
    ColumnExpression,
    ConstantExpression,
    DuckDBPyConnection,
    DuckDBPyRelation,
    Expression,
    FunctionExpression,
)

from lake.column import TableSchema
from lake.live_files import live_files
from lake.schema import TABLES
from lake.scratch import scratch, statement
from lake.snapshot import Snapshot
from lake.table import Lake


def traces_of(lake: Lake, tenant: str) -> pa.Table:
    """The traces of `tenant`: the columns trace_id, and owner, see `unnamed`."""
    with scratch() as connection:
        lake.snapshot().attach(connection)
        return connection.sql(
            statement("tenant_traces"), params={"tenant": tenant}
        ).to_arrow_table()


def rows_of_tenant(
    lake: Lake, table: str, tenant: str, traces: pa.Table, received_before: datetime
) -> int:
    """How many rows of `tenant` there are: that name it, or nobody and belong to `traces`."""
    delta = lake.open(table)
    if delta is None:
        return 0
    with scratch() as connection:
        rows = rows_at(connection, delta, table, None)
        received = rows.filter(
            ColumnExpression("received_at") < ConstantExpression(received_before)
        )
        found = len(received.filter(names(tenant)))
        if TABLES[table].has_traces:
            found += len(unnamed(received, connection, traces))
    return found


def counted(
    delta: DeltaTable,
    table: str,
    day: date | None,
    picked: Callable[[DuckDBPyRelation, DuckDBPyConnection], DuckDBPyRelation],
) -> Mapping[int, int]:
    """How many rows there are of those that `picked` picks, by the unix hour of reception."""
    with scratch() as connection:
        return by_hour(connection, picked(rows_at(connection, delta, table, day), connection))


def by_hour(connection: DuckDBPyConnection, picked: DuckDBPyRelation) -> Mapping[int, int]:
    """How many rows there are, by the unix hour (UTC) in which they were received."""
    picked.create_view("counted")
    return dict(connection.sql(statement("rows_by_hour")).fetchall())


def rows_at(
    connection: DuckDBPyConnection,
    delta: DeltaTable,
    table: str,
    day: date | None,
    schema: TableSchema | None = None,
) -> DuckDBPyRelation:
    """The rows of a day, or all, at the version that `delta` is; with the columns of `schema`."""
    files = live_files(delta, [("day", "=", day)] if day else None)
    version = Snapshot({table: delta.version()}, {table: files})
    return version.rows(connection, schema or TABLES[table])


def names(tenant: str) -> Expression:
    """That a row names `tenant`."""
    return ColumnExpression("tenant_id") == ConstantExpression(tenant)


def names_not(tenant: str) -> Expression:
    """That a row names another than `tenant`, or nobody."""
    return ColumnExpression("tenant_id").isnull() | ~names(tenant)


def unnamed(
    rows: DuckDBPyRelation, connection: DuckDBPyConnection, traces: pa.Table
) -> DuckDBPyRelation:
    """The rows that name no tenant and belong to `traces`, as `traces_of` gave them.

    Where the trace has an owner, rows that have another tenant by hearsay are its, too.
    """
    return rows.join(_owned(connection, traces), _THEIRS, how="semi")


def not_unnamed(
    rows: DuckDBPyRelation, connection: DuckDBPyConnection, traces: pa.Table
) -> DuckDBPyRelation:
    """The other rows than those of `unnamed`."""
    return rows.join(_owned(connection, traces), _THEIRS, how="anti")


_THEIRS = """
    trace_id = of_trace
    AND (tenant_id IS NULL OR (contains(hearsay, 'tenant_id') AND tenant_id <> owner))
"""


def _owned(connection: DuckDBPyConnection, traces: pa.Table) -> DuckDBPyRelation:
    return connection.from_arrow(traces).project(
        ColumnExpression("trace_id").alias("of_trace"), ColumnExpression("owner")
    )


def create_day_rows(rows: DuckDBPyRelation, schema: TableSchema) -> None:
    """Create the view day_rows: `rows` with row_key (equal for copies), row_time and row_trace."""
    key = FunctionExpression("row", *(ColumnExpression(name) for name in schema.key))
    columns = (ColumnExpression(column.name) for column in schema.columns)
    trace = ColumnExpression("trace_id") if schema.has_traces else ConstantExpression(None)
    rows.project(
        *columns,
        key.alias("row_key"),
        ColumnExpression(schema.time).alias("row_time"),
        trace.alias("row_trace"),
    ).create_view("day_rows")
