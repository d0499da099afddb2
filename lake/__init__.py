"""The lake: Delta tables on disk, one per signal, and the only door to them.

Comes in: Arrow tables with exactly the columns of `TABLES`, and the journal position they end at.
Goes out: a `Snapshot`, a consistent version of every table that DuckDB reads as views.
Never: knows what an agent, an SLO or a price is beyond the column contract of `lake.schema`.

One process at a time may append to a table, and one at a time may change what is there (compact,
remove, sweep); any number may read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.checking import CheckedFile, check, size_of
    from lake.column import Column, TableSchema
    from lake.exporting import export
    from lake.live_files import DayFile
    from lake.mapping import AttributeMap, Kind, Source, known_attributes
    from lake.paths import literally
    from lake.removal import (
        Moment,
        Removal,
        moment_of,
        surplus_copies,
        tenants_own,
        tenants_unnamed,
        whole_day,
    )
    from lake.schema import TABLES
    from lake.select import rows_of_tenant, traces_of
    from lake.snapshot import Snapshot
    from lake.table import CompactReport, DamagedTable, Lake, LakeError, RemovalConflict
    from lake.younger import misfits

__all__ = [
    "TABLES",
    "AttributeMap",
    "CheckedFile",
    "Column",
    "CompactReport",
    "DamagedTable",
    "DayFile",
    "Kind",
    "Lake",
    "LakeError",
    "Moment",
    "Removal",
    "RemovalConflict",
    "Snapshot",
    "Source",
    "TableSchema",
    "check",
    "export",
    "known_attributes",
    "literally",
    "misfits",
    "moment_of",
    "rows_of_tenant",
    "size_of",
    "surplus_copies",
    "tenants_own",
    "tenants_unnamed",
    "traces_of",
    "whole_day",
]

_HOME = {
    "AttributeMap": "lake.mapping",
    "CheckedFile": "lake.checking",
    "Column": "lake.column",
    "CompactReport": "lake.table",
    "DamagedTable": "lake.table",
    "DayFile": "lake.live_files",
    "Kind": "lake.mapping",
    "Lake": "lake.table",
    "LakeError": "lake.table",
    "Moment": "lake.removal",
    "Removal": "lake.removal",
    "RemovalConflict": "lake.table",
    "Snapshot": "lake.snapshot",
    "Source": "lake.mapping",
    "TABLES": "lake.schema",
    "TableSchema": "lake.column",
    "check": "lake.checking",
    "export": "lake.exporting",
    "known_attributes": "lake.mapping",
    "literally": "lake.paths",
    "misfits": "lake.younger",
    "moment_of": "lake.removal",
    "rows_of_tenant": "lake.select",
    "size_of": "lake.checking",
    "surplus_copies": "lake.removal",
    "tenants_own": "lake.removal",
    "tenants_unnamed": "lake.removal",
    "traces_of": "lake.select",
    "whole_day": "lake.removal",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: who configures or receives does without Delta, who appends without
    DuckDB."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
