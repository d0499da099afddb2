"""What a reader sees: the files of one version of each table, handed out as DuckDB views."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from lake.column import TableSchema
from lake.damage import damage_of_files
from lake.paths import literally
from lake.schema import TABLES

if TYPE_CHECKING:
    import duckdb

_DAY_OF_FILE = r"CAST(regexp_extract(filename, '/day=([^/]*)/[^/]*$', 1) AS DATE) AS day"
_REFUSAL = "the lake is damaged: "


@dataclass(frozen=True)
class Snapshot:
    """One version of every table, cut to `since <= time < until`.

    `versions` holds the Delta version of each table that exists. `files` are those that may hold
    rows of the range. They stay readable for `lake.table.SWEEP_GRACE_HOURS` whatever the writer
    does meanwhile. `damaged` says of each table whose log cannot be read why.
    """

    versions: Mapping[str, int]
    files: Mapping[str, tuple[str, ...]]
    since: datetime | None = None
    until: datetime | None = None
    damaged: Mapping[str, str] = field(default_factory=dict)

    def attach(self, connection: "duckdb.DuckDBPyConnection") -> bool:
        """Create or replace the temporary views `lake_<table>`, one per table of the contract.

        A view has every column of the contract with its type: it is empty when there is no data
        yet, and a column younger than a file is NULL there. Temporary views belong to one cursor,
        so concurrent questions do not see each other's snapshot.

        Returns whether every table can be read. To ask one that cannot raises duckdb.Error with
        the reason: an answer without some of the rows would be worse than none.
        """
        shown = [self.show(connection, table, f"lake_{table}") for table in TABLES]
        return all(shown)

    def show(self, connection: "duckdb.DuckDBPyConnection", table: str, view: str) -> bool:
        """Create or replace one temporary view, of one table, as `attach` does."""
        import duckdb

        schema = TABLES[table]
        damage = self.damaged.get(table)
        if damage is None:
            try:
                rows = self.rows(connection, schema)
            except duckdb.Error as error:
                damage = self.damage_behind(error, connection)
                if damage is None:
                    raise
        if damage is not None:
            rows = _refusing(connection, schema, damage)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {rows.sql_query()}")
        return damage is None

    def damage_behind(
        self, error: "duckdb.Error", connection: "duckdb.DuckDBPyConnection"
    ) -> str | None:
        """The damaged file that made a question fail, and what to do; None if none did.

        It may read every file of the snapshot to find it.
        """
        text = str(error)
        if _REFUSAL in text:
            return text.partition(_REFUSAL)[2].partition("\n")[0]
        files = [file for of_table in self.files.values() for file in of_table]
        return damage_of_files(connection, files, error)

    def rows(
        self, connection: "duckdb.DuckDBPyConnection", table: TableSchema
    ) -> "duckdb.DuckDBPyRelation":
        """The rows of one table, with every column of the contract."""
        from duckdb import ColumnExpression, ConstantExpression

        files = list(self.files.get(table.name, ()))
        stored = (
            _stored(connection, files)
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
        bounds = []
        if self.since is not None:
            bounds.append(time >= ConstantExpression(self.since))
        if self.until is not None:
            bounds.append(time < ConstantExpression(self.until))
        return rows.filter(reduce(and_, bounds)) if bounds else rows


def _stored(connection: "duckdb.DuckDBPyConnection", files: list[str]) -> "duckdb.DuckDBPyRelation":
    """The rows of files. That the name of a column is no text is no duckdb.Error of its own.

    DuckDB takes columns from the names of all folders: where one further up is called day=... or
    tenant_id=..., the day is read from the file's own folder, which costs a little more.
    """
    import duckdb

    only_day = all(file.count("=") == 1 for file in files)
    try:
        rows = connection.read_parquet(
            [*map(literally, files)], union_by_name=True, hive_partitioning=only_day
        )
    except RuntimeError as error:
        raise duckdb.Error(f"the footer of a file cannot be read: {error}") from error
    return rows if only_day else rows.project(f"*, {_DAY_OF_FILE}")


def _refusing(
    connection: "duckdb.DuckDBPyConnection", table: TableSchema, damage: str
) -> "duckdb.DuckDBPyRelation":
    """A relation with the columns of `table` that is an error to read, even to count."""
    from duckdb import ConstantExpression, FunctionExpression

    types = connection.from_arrow(table.arrow.empty_table()).types
    refuse = FunctionExpression("error", ConstantExpression(_REFUSAL + damage))
    return (
        connection.values([ConstantExpression(value=None)])  # type: ignore[list-item] # stub
        .filter(refuse.isnotnull())
        .project(
            *(
                ConstantExpression(value=None).cast(kind).alias(column.name)
                for column, kind in zip(table.columns, types, strict=True)
            )
        )
    )
