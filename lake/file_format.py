"""How the Parquet files of the lake are encoded, whoever writes them.

Times grow by a little and durations are alike in their high bytes: a dictionary of either is as
long as the column, and so is one of ids that occur once. Everything else repeats.
"""

from typing import Literal

import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

ROW_GROUP_ROWS = 122_880
"""Few enough to be skipped by their statistics, and to be held while they are written."""

TARGET_FILE_BYTES = 64 * 1024 * 1024
"""Of a file; a smaller one is worth merging. Enough for fast scans, cheap enough to rewrite."""

COMPRESSION_LEVEL = 1
"""Of Zstandard; a higher one saves nothing of these files."""

_PACKED: Literal["DELTA_BINARY_PACKED"] = "DELTA_BINARY_PACKED"
_SPLIT: Literal["BYTE_STREAM_SPLIT"] = "BYTE_STREAM_SPLIT"
ENCODINGS: dict[str, Literal["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]] = {
    "start_time": _PACKED,
    "end_time": _PACKED,
    "time": _PACKED,
    "observed_time": _PACKED,
    "duration_ms": _SPLIT,
    "ttfb_ms": _SPLIT,
}
"""Of columns that are better off without a dictionary; what a table does not have is ignored."""

UNIQUE = frozenset({"span_id", "log_id"})
"""Columns of which no two rows are alike: no dictionary, and no statistics that would tell."""

BY_DELTA = WriterProperties(
    compression="ZSTD",
    compression_level=COMPRESSION_LEVEL,
    max_row_group_size=ROW_GROUP_ROWS,
    column_properties={
        **{
            name: ColumnProperties(dictionary_enabled=False, encoding=encoding)
            for name, encoding in ENCODINGS.items()
        },
        **{name: ColumnProperties(dictionary_enabled=False) for name in UNIQUE},
    },
)
"""The same for files that Delta's library writes: appends that bring or lack a column."""


def by_arrow(schema: pa.Schema) -> dict[str, object]:
    """The options of `pyarrow.parquet.ParquetWriter` for a file of these columns."""
    plain = ENCODINGS.keys() | UNIQUE
    flat = [field.name for field in schema if not pa.types.is_nested(field.type)]
    nested = [leaf for field in schema for leaf in _leaves(field)]
    return {
        "compression": "zstd",
        "compression_level": COMPRESSION_LEVEL,
        "use_dictionary": [*(name for name in flat if name not in plain), *nested],
        "column_encoding": {name: each for name, each in ENCODINGS.items() if name in flat},
        # Nobody asks for a range of keys or values in a map; ids are too random for any range.
        "write_statistics": [name for name in flat if name not in UNIQUE],
        "write_page_checksum": True,
        "store_schema": False,
    }


def texts_in(schema: pa.Schema) -> list[str]:
    """The paths of texts that repeat: read with their dictionaries they need not be spelt out."""
    flat = [field.name for field in schema if pa.types.is_string(field.type)]
    maps = [leaf for field in schema if pa.types.is_map(field.type) for leaf in _leaves(field)]
    return [*(name for name in flat if name not in UNIQUE), *maps]


def _leaves(field: pa.Field) -> list[str]:
    """The paths of the leaves of a nested column, as Parquet names them; none of a flat one."""
    kind = field.type
    if pa.types.is_map(kind):
        return [
            f"{field.name}.key_value.{part}{rest}"
            for part, inner in (("key", kind.key_field), ("value", kind.item_field))
            for rest in _below(inner)
        ]
    if pa.types.is_list(kind):
        return [f"{field.name}.list.element{rest}" for rest in _below(kind.value_field)]
    if pa.types.is_struct(kind):
        return [f"{field.name}.{inner.name}{rest}" for inner in kind for rest in _below(inner)]
    return []


def _below(field: pa.Field) -> list[str]:
    if not pa.types.is_nested(field.type):
        return [""]
    return [leaf.removeprefix(field.name) for leaf in _leaves(field)]
