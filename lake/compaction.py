"""Small files of a day into large ones, a row group at a time.

Each merge is a commit of its own: killed in between, a compaction leaves what it has done, and
files that nobody refers to for the sweep.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from lake.commits import commit, leaving
from lake.day_files import NewFile, without_day
from lake.file_format import texts_in
from lake.live_files import DayFile, path_of

_ROWS_AT_ONCE = 8_192
_LARGE_ROW_GROUP = 16_384
"""Rows of a row group, on average, from which on they may stay what they are."""


def groups_of(files: Sequence[DayFile], target_bytes: int) -> Iterator[list[DayFile]]:
    """The small files in groups that make one of about `target_bytes`, oldest first."""
    small = sorted((f for f in files if f.size_bytes < target_bytes), key=lambda f: f.modified)
    group: list[DayFile] = []
    size = 0
    for file in small:
        if len(group) > 1 and size + file.size_bytes > target_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size_bytes
    if len(group) > 1:
        yield group


def merge(delta: DeltaTable, time_column: str, day: date, files: Sequence[DayFile]) -> None:
    """Replace files of `day` by one with the same rows, in one commit.

    Raises OSError or pyarrow.ArrowException when a file cannot be read, DeltaError when another
    took one of them away meanwhile: nothing has changed then.
    """
    merged = _merged(
        path_of(delta), without_day(pa.schema(delta.schema())), time_column, day, files
    )
    commit(delta, [_closed(merged)], leaving(files, day, data_change=False))


def _closed(merged: NewFile) -> AddAction:
    try:
        return merged.close()
    except BaseException:
        merged.discard()
        raise


def _merged(
    root: Path, schema: pa.Schema, time_column: str, day: date, files: Sequence[DayFile]
) -> NewFile:
    """A file with the rows of all, still to be closed; none is left after a failure."""
    paths = [root / unquote(file.path) for file in files]
    as_they_are = _can_stay(paths, schema)
    texts = texts_in(schema) if as_they_are else []
    # Without decoding and encoding their texts, row groups are copied at half the cost.
    present = _open(paths[0], texts).schema_arrow if as_they_are else schema
    merged = NewFile(root, day, present, time_column, data_change=False)
    try:
        for path in paths:
            if as_they_are:
                for rows in _row_groups(path, texts):
                    merged.write_row_group(rows)
            else:
                for batch in _batches(path, schema):
                    merged.write(batch)
    except BaseException:
        merged.discard()
        raise
    return merged


def _can_stay(paths: Sequence[Path], schema: pa.Schema) -> bool:
    """Whether all have the table's columns, in row groups that are large enough on the whole."""
    rows = row_groups = 0
    for path in paths:
        with _open(path) as parquet:
            if not schema.equals(parquet.schema_arrow):
                return False
            rows += parquet.metadata.num_rows
            row_groups += parquet.metadata.num_row_groups
    return rows >= _LARGE_ROW_GROUP * row_groups


def _row_groups(path: Path, texts: list[str]) -> Iterator[pa.Table]:
    with _open(path, texts) as parquet:
        for number in range(parquet.num_row_groups):
            yield parquet.read_row_group(number, use_threads=False)


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a file with every column of the table: one younger than the file is NULL."""
    with _open(path) as parquet:
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
            yield pa.record_batch([_column(batch, field) for field in schema], schema=schema)


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    position = batch.schema.get_field_index(field.name)
    if position < 0:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(position)
    return column if column.type == field.type else pc.cast(column, field.type)


def _open(path: Path, texts: list[str] | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(path, read_dictionary=texts or None, page_checksum_verification=True)
