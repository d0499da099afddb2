"""Rows that leave a table: counted first, then taken out in one commit that carries a number.

Whoever keeps account can note rows and number in between: after a crash the table says which
numbers it has committed. A removal is about one day: it rewrites no other day's files, and rows
may be appended to other days meanwhile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from lake.commits import commit, leaving
from lake.damage import damage_of_files
from lake.live_files import live_files, path_of
from lake.rewriting import Selection, files_of, replace, take_out
from lake.schema import TABLES
from lake.scratch import scratch, statement
from lake.select import (
    by_hour,
    counted,
    create_day_rows,
    names,
    names_not,
    not_unnamed,
    rows_at,
    unnamed,
)
from lake.table import DamagedTable, Lake, LakeError, RemovalConflict, committed_position
from lake.younger import widened

# The Delta transaction application whose version is the number of the last removal.
APPLICATION = "quietpager-removals"


@dataclass(frozen=True)
class Removal:
    """Rows of one day that are about to leave `table`; nothing has happened yet.

    `rows` counts them by the unix hour (UTC) in which they were received. `number` is one more
    than that of the last removal that the table has committed.
    """

    table: str
    day: date
    number: int
    rows: Mapping[int, int]
    delta: DeltaTable
    take_out: Callable[[CommitProperties], object]

    @property
    def total(self) -> int:
        """How many rows leave."""
        return sum(self.rows.values())

    def commit(self) -> None:
        """Take the rows out, all or none, and make it durable. Raises RemovalConflict."""
        present = DeltaTable(path_of(self.delta))
        if files_of(present, self.day) != files_of(self.delta, self.day):
            raise RemovalConflict(f"{self.table} of {self.day}: rows were appended meanwhile")
        number = Transaction(APPLICATION, self.number)
        try:
            self.take_out(CommitProperties(app_transactions=[number]))
        except CommitFailedError as conflict:
            raise RemovalConflict(f"{self.table} of {self.day}: {conflict}") from conflict


@dataclass(frozen=True)
class Moment:
    """A table at one moment: the journal position and the removal number it has committed.

    `rows` counts its rows by the unix hour (UTC) in which they were received.
    """

    position: int
    removals: int
    rows: Mapping[int, int]


def moment_of(lake: Lake, table: str) -> Moment:
    """The present moment of `table`. Raises DamagedTable when a file of it cannot be read."""
    delta = lake.open(table)
    if delta is None:
        return Moment(0, 0, {})
    try:
        rows = counted(delta, table, None, lambda rows, _: rows)
    except duckdb.Error as error:
        with scratch() as connection:
            damage = damage_of_files(connection, live_files(delta), error)
        if damage is None:
            raise
        raise DamagedTable(damage) from error
    return Moment(committed_position(delta), _committed(delta), rows)


def whole_day(lake: Lake, table: str, day: date) -> Removal:
    """All rows of `day`."""
    delta = _existing(lake, table)
    return _removal(
        delta,
        table,
        day,
        counted(delta, table, day, lambda rows, _: rows),
        lambda properties: commit(delta, [], leaving(files_of(delta, day), day), properties),
    )


def tenants_own(lake: Lake, table: str, day: date, tenant: str) -> Removal:
    """The rows of `day` that name `tenant`."""
    return _picked(
        lake,
        table,
        day,
        lambda rows, _: rows.filter(names(tenant)),
        lambda rows, _: rows.filter(names_not(tenant)),
    )


def tenants_unnamed(lake: Lake, table: str, day: date, traces: pa.Table) -> Removal:
    """The rows of `day` that name no tenant and belong to `traces`, see `lake.select.unnamed`."""
    return _picked(
        lake, table, day, partial(unnamed, traces=traces), partial(not_unnamed, traces=traces)
    )


def surplus_copies(lake: Lake, table: str, day: date) -> Removal:
    """The copies of rows that are stored more than once; its commit also puts the day in order.

    Columns that a later version of Quietpager wrote stay what they are. Afterwards the rows of a
    tenant lie together, so that a question about one reads little.
    """
    delta = _existing(lake, table)
    schema = widened(TABLES[table], delta)
    with scratch() as connection:
        create_day_rows(rows_at(connection, delta, table, day, schema), schema)
        rows = by_hour(connection, connection.sql(statement("surplus")))

    def put_in_order(properties: CommitProperties) -> None:
        with scratch() as connection:
            create_day_rows(rows_at(connection, delta, table, day, schema), schema)
            ordered = connection.sql(statement("day_without_surplus" if rows else "day_in_order"))
            replace(delta, table, day, files_of(delta, day), ordered, properties)

    return _removal(delta, table, day, rows, put_in_order)


def _picked(lake: Lake, table: str, day: date, picked: Selection, kept: Selection) -> Removal:
    delta = _existing(lake, table)
    return _removal(
        delta,
        table,
        day,
        counted(delta, table, day, picked),
        partial(take_out, delta, table, day, picked, kept),
    )


def _removal(
    delta: DeltaTable,
    table: str,
    day: date,
    rows: Mapping[int, int],
    take_out: Callable[[CommitProperties], object],
) -> Removal:
    return Removal(table, day, _committed(delta) + 1, rows, delta, take_out)


def _existing(lake: Lake, table: str) -> DeltaTable:
    delta = lake.open(table)
    if delta is None:
        raise LakeError(f"lake table {table!r} has no rows yet: there is nothing to remove")
    return delta


def _committed(delta: DeltaTable) -> int:
    return delta.transaction_version(APPLICATION) or 0
