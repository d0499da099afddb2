"""The lake: Delta tables on disk, one per signal, and the only door to them.

Comes in: Arrow tables with exactly the columns of `TABLES`, and the journal position they end at.
Goes out: a `Snapshot`, a consistent version of every table that DuckDB reads as views.
Never: knows what an agent, an SLO or a price is beyond the column contract of `lake.schema`.

One process at a time may append to a table, and one at a time may change what is there (compact,
remove, sweep); any number may read.
"""

from lake.column import Column, Source, TableSchema
from lake.export import export
from lake.removal import (
    Moment,
    Removal,
    RemovalConflict,
    moment_of,
    surplus_copies,
    tenants_own,
    tenants_unnamed,
    whole_day,
)
from lake.schema import TABLES
from lake.select import rows_of_tenant, traces_of
from lake.snapshot import Snapshot
from lake.table import CompactReport, DayFile, Lake, LakeError

__all__ = [
    "TABLES",
    "Column",
    "CompactReport",
    "DayFile",
    "Lake",
    "LakeError",
    "Moment",
    "Removal",
    "RemovalConflict",
    "Snapshot",
    "Source",
    "TableSchema",
    "export",
    "moment_of",
    "rows_of_tenant",
    "surplus_copies",
    "tenants_own",
    "tenants_unnamed",
    "traces_of",
    "whole_day",
]
