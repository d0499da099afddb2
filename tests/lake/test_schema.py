"""The contract is consistent, and its documentation is made from it."""

import pytest

from lake.agent_columns import AGENT_COLUMNS, SPAN_CLASSES
from lake.column import TableSchema
from lake.docs import reference
from lake.schema import TABLES


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_columns_are_named_once_and_explained(table: TableSchema) -> None:
    """Every column has a name of its own, a meaning, and a time to be placed by."""
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))
    assert table.time in names
    assert all(column.meaning for column in table.columns)


def test_numbers_say_their_unit() -> None:
    """A column of numbers without a unit would be read wrongly one day."""
    for column in AGENT_COLUMNS:
        if column.type in {"int64", "double"}:
            assert column.unit, column.name


def test_resource_sources_come_last() -> None:
    """The record knows better than its resource; the writer relies on that order."""
    for table in TABLES.values():
        for column in table.columns:
            places = [source.on for source in column.sources]
            assert places == sorted(places), column.name


def test_span_classes_are_the_documented_ones() -> None:
    """Views ask for these words."""
    assert set(SPAN_CLASSES.values()) == {"agent", "llm", "tool", "node"}


def test_every_column_and_source_is_documented() -> None:
    """The reference page leaves nothing out."""
    page = reference()
    for table in TABLES.values():
        for column in table.columns:
            assert f"| `{column.name}` |" in page
            assert all(source.attribute in page for source in column.sources)
