"""Answers on stdout, in the format asked for; nothing else goes there.

``table`` is for people: units, thousands, aligned. The others are for programs: values as they
are, times in ISO 8601 UTC, exact decimals, NULL as empty (csv) or null.
"""

import csv
import io
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

from cli.failure import Failure, ReaderGone

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 4096
UNBOUNDED_WIDTH = 10_000
LONGEST_CELL = 80
"""Characters of a text in a table; the other formats have the whole."""


class Format(StrEnum):
    """How an answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


STEERING = frozenset(("Cc", "Cf", "Zl", "Zp"))
JOINERS = "\u200c\u200d"
"""Part of words and emoji."""


@dataclass(frozen=True)
class Column:
    """A column of a table for people: numbers stand at its right.

    A text is one line of at most `LONGEST_CELL` characters, unless it is ``drawn`` over several.
    """

    title: str
    cells: Sequence[str]
    right: bool = False
    drawn: bool = False


def write(
    answer: "pa.Table",
    form: Format,
    *,
    shown: Sequence[Column] | None = None,
    empty: str = "no rows",
) -> None:
    """Write ``answer`` to stdout.

    ``shown`` is what people see of it in the table format; every column as it is when left out.
    ``empty`` is said on stderr when there is no row and a person is meant to read it.
    """
    answer = answer.rename_columns(_told_apart(answer.column_names))
    if form is not Format.parquet:
        answer = spelt_out(answer)
    try:
        match form:
            case Format.table:
                sys.stdout.write(render_table(columns_of(answer) if shown is None else shown))
            case Format.csv:
                _write_csv(answer)
            case Format.json:
                _write_json(answer)
            case Format.jsonl:
                for row in rows(answer):
                    sys.stdout.write(to_json(row) + "\n")
            case Format.parquet:
                _write_parquet(answer)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
    if form is Format.table and not answer.num_rows:
        say(empty)


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, with a number where one is taken: JSON would keep only the last of two `id`s."""
    told: list[str] = []
    for name in names:
        free = (f"{name}_{number}" if number else name for number in count())
        told.append(next(candidate for candidate in free if candidate not in told))
    return told


def spelt_out(answer: "pa.Table") -> "pa.Table":
    """With as DuckDB writes it what Python has no value for: infinity, year 290000, INTERVAL."""
    strange = [name for name in answer.column_names if not _fits_python(answer[name])]
    if not strange:
        return answer
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        quoted = ['"' + name.replace('"', '""') + '"' for name in strange]
        casts = ", ".join(f"{name}::VARCHAR AS {name}" for name in quoted)
        relation = connection.from_arrow(answer)
        return relation.project(f"* REPLACE ({casts})").to_arrow_table()


def _fits_python(column: "pa.ChunkedArray") -> bool:
    kind = str(column.type)
    if "interval" in kind:
        return False
    if not any(word in kind for word in ("date", "time")):
        return True
    try:
        column.to_pylist(maps_as_pydicts="lossy")
    except (OverflowError, ValueError):
        return False
    return True


def say(message: str) -> None:
    """A message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def rows(answer: "pa.Table") -> Iterator[dict[str, Any]]:
    """Row by row, as Python values."""
    for batch in answer.to_batches(max_chunksize=BATCH_ROWS):
        yield from batch.to_pylist(maps_as_pydicts="lossy")


def columns_of(answer: "pa.Table", titles: Mapping[str, str] | None = None) -> list[Column]:
    """The columns of ``answer``, or those in ``titles`` under their titles, with units."""
    from cli import figures

    titles = titles or dict(zip(answer.column_names, answer.column_names, strict=True))
    columns = []
    for name, title in titles.items():
        values = answer[name].to_pylist()
        columns.append(Column(title, figures.column(name, values), figures.is_numeric(values)))
    return columns


def render_table(columns: Sequence[Column]) -> str:
    """A table for people, as wide as it needs to be: a terminal breaks lines where it must."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=column.right,
            overflow="fold",
        )
    for row in zip(*(_shown(column) for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return rendered(table)


def _shown(column: Column) -> Iterator[str]:
    for cell in column.cells:
        text = cell if column.drawn else "".join(_visible(letter) for letter in cell)
        cut = not (column.right or column.drawn) and len(text) > LONGEST_CELL
        yield text[: LONGEST_CELL - 1] + "…" if cut else text


def _visible(letter: str) -> str:
    """What would move the cursor or turn the writing around, as its escape: \\x1b, \\u202e."""
    steers = unicodedata.category(letter) in STEERING and letter not in JOINERS
    return letter.encode("unicode_escape").decode() if steers else letter


def rendered(renderable: Any) -> str:
    """What rich makes of it for this stdout: colours on a terminal only, and NO_COLOR obeyed."""
    from rich.console import Console

    console = Console(width=UNBOUNDED_WIDTH)
    with console.capture() as captured:
        console.print(renderable)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def to_json(value: object) -> str:
    """Compact JSON: decimals as exact numbers, times as ISO 8601."""
    import orjson

    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    return orjson.dumps(value, default=_raw, option=options).decode()


def _raw(value: object) -> Any:
    import orjson

    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}" if value.is_finite() else "null")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _write_json(answer: "pa.Table") -> None:
    sys.stdout.write("[")
    for number, row in enumerate(rows(answer)):
        sys.stdout.write((",\n " if number else "\n ") + to_json(row))
    sys.stdout.write("\n]\n" if answer.num_rows else "]\n")


def _write_csv(answer: "pa.Table") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.column_names)
    for batch in answer.to_batches(max_chunksize=BATCH_ROWS):
        columns = (column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns)
        writer.writerows([_csv_cell(value) for value in row] for row in zip(*columns, strict=True))


def _csv_cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime():
            utc = value.astimezone(UTC) if value.tzinfo else value
            return utc.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list() | dict():
            return to_json(value)
        case timedelta() | bytes():
            return _raw(value)
    return value


def _write_parquet(answer: "pa.Table") -> None:
    import pyarrow.parquet as pq

    if sys.stdout.isatty():
        raise Failure("parquet is not for a terminal; redirect it, e.g. > answer.parquet", 2)
    whole = io.BytesIO()
    pq.write_table(answer, whole, compression="zstd")
    sys.stdout.buffer.write(whole.getbuffer())
