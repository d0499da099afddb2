"""The lake: Delta tables on disk, one per signal, and the only door to them.

Comes in: Arrow tables with exactly the columns of `TABLES`, and the journal position they end at.
Goes out: a `Snapshot`, a consistent version of every table that DuckDB reads as views.
Never: knows what an agent, an SLO or a price is beyond the column contract of `lake.schema`.

One process at a time may write a table (append, compact, expire, sweep); any number may read.
"""

from lake.column import Column, Source, TableSchema
from lake.schema import TABLES
from lake.snapshot import Snapshot
from lake.table import CompactReport, DamagedTable, Lake, LakeError

__all__ = [
    "TABLES",
    "Column",
    "CompactReport",
    "DamagedTable",
    "Lake",
    "LakeError",
    "Snapshot",
    "Source",
    "TableSchema",
]
