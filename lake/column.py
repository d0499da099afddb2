"""What a column of the contract is: name, Arrow type, meaning and unit."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A lake column; from which attributes it is taken says `lake.mapping`."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A lake table.

    ``time`` is the column by which rows are placed in a day and pruned; rows that agree in all of
    ``key`` are the same row, delivered more than once.
    """

    name: str
    meaning: str
    time: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def has_traces(self) -> bool:
        """Whether its rows belong to traces."""
        return any(column.name == "trace_id" for column in self.columns)

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])


TEXT = pa.string()
COUNT = pa.int64()
REAL = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
ATTRIBUTES = pa.map_(pa.string(), pa.string())
