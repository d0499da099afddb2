"""A range of a table as one Parquet file, for whoever reads no Delta."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import ColumnExpression, ConstantExpression, DuckDBPyConnection, DuckDBPyRelation

from lake.live_files import days_of
from lake.schema import TABLES
from lake.scratch import scratch, statement
from lake.select import create_day_rows, names, rows_at, traces_of, unnamed
from lake.table import Lake

_ROWS_AT_ONCE = 65_536


def export(
    lake: Lake,
    table: str,
    target: Path,
    *,
    since: datetime,
    until: datetime,
    tenant: str | None = None,
) -> int:
    """Write the rows with `since <= time < until` to `target`, each once; returns how many.

    All of one version of the table, whatever is written meanwhile. `target` appears when it is
    whole; a file of that name is replaced. With `tenant`, only its rows: those that name it, and
    those that name nobody in a trace that names it. Rows lie day by day, a tenant's together.
    """
    # Arrow takes what begins like "s3:" or "~" for something else, unless it is absolute.
    partial = target.absolute().with_name(f".{target.name}.partial")
    written = 0
    try:
        with pq.ParquetWriter(partial, TABLES[table].arrow, compression="zstd") as file:
            for batch in _batches(lake, table, since, until, tenant):
                file.write_batch(batch)
                written += batch.num_rows
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return written


def _batches(
    lake: Lake, table: str, since: datetime, until: datetime, tenant: str | None
) -> Iterator[pa.RecordBatch]:
    delta = lake.open(table)
    if delta is None:
        return
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    traces = None if tenant is None else traces_of(lake, tenant)
    for day in (day for day in days_of(delta) if first <= day <= last):
        with scratch() as connection:
            rows = _between(
                rows_at(connection, delta, table, day), TABLES[table].time, since, until
            )
            if tenant is not None:
                rows = _of_tenant(rows, connection, table, tenant, traces)
            create_day_rows(rows, TABLES[table])
            answer = connection.sql(statement("day_without_surplus"))
            yield from answer.to_arrow_reader(_ROWS_AT_ONCE).cast(TABLES[table].arrow)


def _between(
    rows: DuckDBPyRelation, time: str, since: datetime, until: datetime
) -> DuckDBPyRelation:
    at = ColumnExpression(time)
    return rows.filter((at >= ConstantExpression(since)) & (at < ConstantExpression(until)))


def _of_tenant(
    rows: DuckDBPyRelation,
    connection: DuckDBPyConnection,
    table: str,
    tenant: str,
    traces: pa.Table,
) -> DuckDBPyRelation:
    own = rows.filter(names(tenant))
    if not TABLES[table].has_traces:
        return own
    return own.union(unnamed(rows, connection, traces))
