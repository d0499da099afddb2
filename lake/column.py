"""What a column of the contract is: name, Arrow type, meaning, unit and ordered sources."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Place = Literal["record", "resource"]


@dataclass(frozen=True, slots=True)
class Source:
    """One attribute a column may be taken from.

    ``scale`` converts the attribute's unit into the column's: the unit is known per attribute
    and never guessed from the magnitude. ``metadata.x`` is also the member ``x`` of a JSON object
    in the attribute ``metadata``, which is how OpenInference sends what LangChain was given.
    """

    attribute: str
    on: Place = "record"
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Column:
    """A lake column: ``sources`` are tried in order; none means the writer derives it."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    sources: tuple[Source, ...] = ()


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


def record(*attributes: str, scale: float = 1.0) -> tuple[Source, ...]:
    return tuple(Source(a, scale=scale) for a in attributes)


def resource(*attributes: str) -> tuple[Source, ...]:
    return tuple(Source(a, on="resource") for a in attributes)


TEXT = pa.string()
COUNT = pa.int64()
REAL = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
ATTRIBUTES = pa.map_(pa.string(), pa.string())
