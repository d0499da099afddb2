"""What a reader sees: the files of one version of each table, handed out as DuckDB views."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from lake.column import TableSchema
from lake.schema import TABLES

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Snapshot:
    """One version of every table, cut to `since <= time < until`.

    `versions` holds the Delta version of each table that exists. `files` are those that may hold
    rows of the range. They stay readable for `lake.table.SWEEP_GRACE_HOURS` whatever the writer
    does meanwhile.
    """

    versions: Mapping[str, int]
    files: Mapping[str, tuple[str, ...]]
    since: datetime | None = None
    until: datetime | None = None

    def attach(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Create or replace the temporary views `lake_<table>`, one per table of the contract.

        A view has every column of the contract with its type: it is empty when there is no data
        yet, and a column younger than a file is NULL there. Temporary views belong to one cursor,
        so concurrent questions do not see each other's snapshot.
        """
        for table in TABLES.values():
            rows = self.rows(connection, table)
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW lake_{table.name} AS {rows.sql_query()}"
            )

    def rows(
        self, connection: "duckdb.DuckDBPyConnection", table: TableSchema
    ) -> "duckdb.DuckDBPyRelation":
        """The rows of one table, with every column of the contract."""
        from duckdb import ColumnExpression, ConstantExpression

        files = list(self.files.get(table.name, ()))
        stored = (
            connection.read_parquet(files, union_by_name=True, hive_partitioning=True)
            if files
            else connection.values([ConstantExpression(None)]).limit(0)  # type: ignore[list-item] # stub
        )
        present = set(stored.columns)
        types = connection.from_arrow(table.arrow.empty_table()).types
        rows = stored.project(
            *(
                ColumnExpression(column.name)
                if column.name in present
                else ConstantExpression(None).cast(kind).alias(column.name)
                for column, kind in zip(table.columns, types, strict=True)
            )
        )
        time = ColumnExpression(table.time)
        if self.since is not None:
            rows = rows.filter(time >= ConstantExpression(self.since))
        if self.until is not None:
            rows = rows.filter(time < ConstantExpression(self.until))
        return rows
