"""Rows into Parquet files, each of one day, as they come: never more than a row group in memory."""

import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from lake.file_format import TARGET_FILE_BYTES, by_arrow

DAY = "day"
ROW_GROUP_BYTES = 32 * 1024 * 1024
"""Of rows in memory, about 45,000 spans: a row group holds so much, or what a commit brings."""
_MOST_OPEN = 16
"""Days written side by side; of a backfill of more, a day may get more than one file."""


def write_files(
    root: Path, schema: pa.Schema, time: str, batches: Iterable[pa.RecordBatch]
) -> list[AddAction]:
    """Write rows to new files below `root`, the directory of a table whose time is `time`.

    They are nobody's until what this returns is committed; after a failure none of them is left.
    """
    files = _DayFiles(root, without_day(schema), time)
    try:
        for batch in batches:
            files.write(batch)
        return files.close()
    except BaseException:
        files.discard()
        raise


def without_day(schema: pa.Schema) -> pa.Schema:
    """The columns that are in the files: the day is in their path."""
    return schema.remove(schema.get_field_index(DAY))


class _DayFiles:
    """The files of all days of one commit."""

    def __init__(self, root: Path, schema: pa.Schema, time: str) -> None:
        self._root = root
        self._schema = schema
        self._time = time
        self._open: OrderedDict[date, NewFile] = OrderedDict()
        self._all: list[NewFile] = []
        self._closed: list[AddAction] = []

    def write(self, rows: pa.RecordBatch) -> None:
        for day, of_day in _by_day(rows):
            file = self._file_of(day)
            file.write(of_day.select(self._schema.names))
            if file.size_bytes >= TARGET_FILE_BYTES:
                self._closed.append(self._open.pop(day).close())

    def close(self) -> list[AddAction]:
        while self._open:
            self._close_oldest()
        return self._closed

    def discard(self) -> None:
        for file in self._all:
            file.discard()

    def _file_of(self, day: date) -> "NewFile":
        if day not in self._open:
            if len(self._open) == _MOST_OPEN:
                self._close_oldest()
            self._open[day] = NewFile(self._root, day, self._schema, self._time)
            self._all.append(self._open[day])
        self._open.move_to_end(day)
        return self._open[day]

    def _close_oldest(self) -> None:
        self._closed.append(next(iter(self._open.values())).close())
        self._open.popitem(last=False)


class NewFile:
    """A file that is being written, and what the log is to say of it.

    `data_change` is false for rows that the table already has.
    """

    def __init__(
        self, root: Path, day: date, schema: pa.Schema, time: str, *, data_change: bool = True
    ) -> None:
        folder = root / f"{DAY}={day.isoformat()}"
        folder.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._path = folder / f"part-00000-{uuid4()}-c000.zstd.parquet"
        self._day = day
        self._time = time
        self._data_change = data_change
        self._rows = self._nulls = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._writer = pq.ParquetWriter(self._path, schema, **by_arrow(schema))

    def write(self, rows: pa.RecordBatch) -> None:
        """Write rows into a row group with those before and after them."""
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._write_waiting()

    def write_row_group(self, rows: pa.Table) -> None:
        """Write rows as a row group of their own."""
        self._writer.write_table(rows, max(1, rows.num_rows))
        self._rows += rows.num_rows
        self._nulls += rows[self._time].null_count
        for moment in filter(None, pc.min_max(rows[self._time]).as_py().values()):
            self._first = min(moment, self._first or moment)
            self._last = max(moment, self._last or moment)

    @property
    def size_bytes(self) -> int:
        """How much of it is on the disk."""
        return self._path.stat().st_size

    def close(self) -> AddAction:
        """Finish the file; returns what to commit."""
        self._write_waiting()
        self._writer.close()
        return AddAction(
            path=self._path.relative_to(self._root).as_posix(),
            size=self._path.stat().st_size,
            partition_values={DAY: self._day.isoformat()},
            modification_time=int(time.time() * 1000),
            data_change=self._data_change,
            stats=json.dumps(self._statistics()),
        )

    def discard(self) -> None:
        """Delete it, finished or not; what fails here is not what went wrong."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write_waiting(self) -> None:
        if self._waiting:
            rows = pa.Table.from_batches(self._waiting)
            self._waiting, self._waiting_bytes = [], 0
            self.write_row_group(rows)

    def _statistics(self) -> dict[str, object]:
        """As Delta's library has them: times cut off behind the millisecond."""
        statistics: dict[str, object] = {
            "numRecords": self._rows,
            "nullCount": {self._time: self._nulls},
        }
        if self._first is not None and self._last is not None:
            statistics["minValues"] = {self._time: _in_milliseconds(self._first)}
            statistics["maxValues"] = {self._time: _in_milliseconds(self._last)}
        return statistics


def _by_day(rows: pa.RecordBatch) -> Iterator[tuple[date, pa.RecordBatch]]:
    days = pc.unique(rows[DAY]).to_pylist()
    for day in sorted(days):
        yield day, rows if len(days) == 1 else rows.filter(pc.equal(rows[DAY], day))


def _in_milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
