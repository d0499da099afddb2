"""The contract is consistent, and its documentation is made from it."""

import pytest

from lake.agent_columns import AGENT_COLUMNS
from lake.column import TableSchema
from lake.docs import reference
from lake.mapping_file import SHIPPED
from lake.schema import TABLES


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_columns_are_named_once_and_explained(table: TableSchema) -> None:
    """Every column has a name of its own, a meaning, and a time to be placed by."""
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))
    assert table.time in names
    assert "filename" not in names, "which is DuckDB's for the file that a row is in"
    assert all(column.meaning for column in table.columns)


def test_numbers_say_their_unit() -> None:
    """A column of numbers without a unit would be read wrongly one day."""
    for column in AGENT_COLUMNS:
        if column.type in {"int64", "double"}:
            assert column.unit, column.name


def test_span_classes_are_the_documented_ones() -> None:
    """Views ask for these words."""
    assert {kind.span_class for kind in SHIPPED.kinds} == {"agent", "llm", "tool", "node", "other"}


def test_every_column_is_documented() -> None:
    """The reference page leaves nothing out."""
    page = reference()
    for table in TABLES.values():
        for column in table.columns:
            assert f"| `{column.name}` |" in page
