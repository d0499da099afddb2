"""Every page of a table's files read and held against its checksum, as no question does."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq
from deltalake import DeltaTable

from lake.damage import damage_of_file, first_line, reason_of_duckdb
from lake.live_files import DayFile, days_of, path_of
from lake.scratch import scratch
from lake.table import Lake

_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class CheckedFile:
    """A file that was read as a whole; `damage` says what is wrong with it and what to do."""

    path: Path
    size_bytes: int
    damage: str | None


def size_of(lake: Lake, table: str) -> int:
    """The bytes of the files that `check` reads. Raises DamagedTable as it does."""
    return sum(file.size_bytes for files in lake.days(table).values() for file in files)


def check(lake: Lake, table: str, newest: int | None = None) -> Iterator[CheckedFile]:
    """Read the live files of `table`, the newest first, or only so many of those.

    DuckDB must read them, too, as it does for questions, and their columns must be the table's:
    what says so is behind no checksum. Of pages without one, which other engines may have written,
    only what cannot be decoded is found. It may run beside a sidecar. Raises DamagedTable when the
    log cannot be read.
    """
    delta = lake.open(table)
    if delta is None:
        return
    columns = {field.name for field in delta.schema().fields}
    live = [file for files in days_of(delta).values() for file in files]
    with scratch() as connection:
        for file in islice(sorted(live, key=lambda file: file.modified, reverse=True), newest):
            path = path_of(delta) / unquote(file.path)
            reason = _fault(path, columns) or reason_of_duckdb(connection, str(path))
            if reason is None or _is_live(delta, file):  # merged with others and swept meanwhile
                damage = None if reason is None else damage_of_file(path, reason)
                yield CheckedFile(path, file.size_bytes, damage)


def _fault(path: Path, columns: Set[str]) -> str | None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            if unknown := set(parquet.schema_arrow.names) - columns:
                return f"the table has no column {min(unknown)}"
            for _ in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                pass
    except FileNotFoundError:
        return "it is missing"
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is the reason
        return first_line(fault)
    return None


def _is_live(delta: DeltaTable, file: DayFile) -> bool:
    present = DeltaTable(path_of(delta))
    return any(file.path == each.path for files in days_of(present).values() for each in files)
