"""A table whose columns are not quite the contract's: another version of Quietpager wrote it.

A column that is only ours comes with the next append; a column that is only the table's is left
NULL in what we append, and is carried along where rows are rewritten. So one can go back to an
earlier version, and forward again, and lose nothing.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from lake.column import Column, TableSchema
from lake.schema import TABLES

if TYPE_CHECKING:
    from lake.table import Lake


def widened(schema: TableSchema, delta: DeltaTable) -> TableSchema:
    """The schema with the columns that only the table has, as it has them, behind its own."""
    ours = set(schema.arrow.names)
    found = _stored(delta)
    extra = (Column(field.name, field.type, "") for field in found if field.name not in ours)
    return replace(schema, columns=(*schema.columns, *extra))


def has_same_columns(schema: TableSchema, delta: DeltaTable) -> bool:
    """Whether the table has the columns of the contract and no other."""
    return set(schema.arrow.names) == {field.name for field in delta.schema().fields}


def misfit(schema: TableSchema, delta: DeltaTable) -> str | None:
    """Why rows of the contract cannot be appended to the table, and what to do; None if they can.

    It is so where another version gave a column another type, or demands a column we do not know.
    """
    ours = schema.arrow
    for field in _stored(delta):
        if field.name not in ours.names:
            if not field.nullable:
                return f"needs column {field.name}, which this Quietpager does not know; {_REMEDY}"
        elif field.type != (expected := ours.field(field.name).type):
            return f"has column {field.name} as {field.type}, not {expected}; {_REMEDY}"
    return None


def misfits(lake: "Lake") -> dict[str, str]:
    """The tables that cannot be appended to, and what is the case and to be done."""
    opened = ((schema, lake.open(schema.name)) for schema in TABLES.values())
    found = {schema.name: delta and misfit(schema, delta) for schema, delta in opened}
    return {name: reason for name, reason in found.items() if reason}


def _stored(delta: DeltaTable) -> pa.Schema:
    return pa.schema(delta.schema())


_REMEDY = (
    "another version of Quietpager wrote it: run that one, or another data directory. What is "
    "received meanwhile waits in the journal"
)
