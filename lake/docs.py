"""The columns of the lake as Markdown: `python -m lake.docs > docs/reference/columns.md`."""

import sys
from collections.abc import Iterator

import pyarrow as pa

from lake.column import ATTRIBUTES, Column, Source, TableSchema
from lake.schema import TABLES


def reference() -> str:
    """The whole page, generated from the contract alone."""
    parts = [
        "# Columns of the lake\n",
        (
            "The tables behind the views `spans`, `logs` and `metrics`. Where several sources are "
            "given, the first that is present wins; `resource:` is a resource attribute, every "
            "other an attribute of the span, log record or data point. A value that does not fit "
            "the type is NULL; the attribute itself stays in `attributes`.\n"
        ),
        *(_table(table) for table in TABLES.values()),
    ]
    return "\n".join(parts)


def _table(table: TableSchema) -> str:
    head = f"## {table.name}\n\n{table.meaning}. Rows are placed in a day by `{table.time}`.\n"
    rows = "\n".join(_row(column) for column in table.columns)
    return f"{head}\n| column | type | unit | meaning | sources |\n|---|---|---|---|---|\n{rows}\n"


def _row(column: Column) -> str:
    sources = ", ".join(_source(source) for source in column.sources)
    cells = (f"`{column.name}`", _type(column.type), column.unit, column.meaning, sources)
    return f"| {' | '.join(cells)} |"


def _source(source: Source) -> str:
    place = "resource:" if source.on == "resource" else ""
    scale = "" if source.scale == 1 else f" × {source.scale:g}"
    return f"`{place}{source.attribute}`{scale}"


def _type(kind: pa.DataType) -> str:
    """As DuckDB calls it."""
    names = {
        pa.string(): "VARCHAR",
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        ATTRIBUTES: "MAP(VARCHAR, VARCHAR)",
    }
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"STRUCT({', '.join(_fields(kind))})"
    return names[kind]


def _fields(struct: pa.StructType) -> Iterator[str]:
    return (f'"{field.name}" {_type(field.type)}' for field in struct)


if __name__ == "__main__":
    sys.stdout.write(reference())
