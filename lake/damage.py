"""What is wrong with the files of a table that cannot be read, in a line that says what to do."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lake.cut_off import cut_off_entry
from lake.paths import literally

if TYPE_CHECKING:
    import duckdb


def damage_of_log(table: Path, error: Exception) -> str:
    """Why the Delta log of `table` cannot be opened: the file that is missing or unreadable."""
    log = table / "_delta_log"
    entries = {int(path.stem): path for path in log.glob("*.json") if path.stem.isdigit()}
    checkpoints = sorted(log.glob("*.checkpoint*.parquet"))
    if checkpoints and (reason := reason_not_parquet(checkpoints[-1])):
        from lake.checkpoints import HINT, unreadable_checkpoints

        _, told_elsewhere = unreadable_checkpoints(log)
        remedy = (
            f"delete it and {log / HINT}: the log entries that it sums up are there; "
            "quietpager up does so when it starts"
            if told_elsewhere
            else _RESTORE
        )
        return f"{checkpoints[-1]}: cannot be read ({reason}); {remedy}"
    if entry := cut_off_entry(table):
        return (
            f"{entry}: is empty, as a power cut leaves it; delete it: nothing rests on it yet; "
            "quietpager up does so when it starts"
        )
    first = int(checkpoints[-1].name.partition(".")[0]) + 1 if checkpoints else 0
    for number in range(first, max(entries, default=0)):
        if number not in entries:
            return f"{log / f'{number:020d}.json'}: is missing; {_RESTORE}"
    for number in sorted(entries, reverse=True):
        try:
            for line in entries[number].read_text().splitlines():
                json.loads(line)
        except (OSError, ValueError) as fault:
            return f"{entries[number]}: cannot be read ({fault}); {_RESTORE}"
    hint = log / "_last_checkpoint"
    if wrong := _fault_of_hint(hint):
        return f"{hint}: {wrong}; delete it: what it is a hint to is there"
    return f"{table}: cannot be opened ({first_line(error)}); {_RESTORE}"


def _fault_of_hint(hint: Path) -> str | None:
    """That the file which says where the newest checkpoint is, if there is one, leads nowhere.

    One that cannot be read is no fault: Delta's library does without it.
    """
    try:
        number = int(json.loads(hint.read_bytes())["version"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not any(hint.parent.glob(f"{number:020d}.checkpoint*.parquet")):
        return f"names checkpoint {number}, which is missing"
    return None


def damage_of_files(
    connection: "duckdb.DuckDBPyConnection", files: Iterable[str], error: "duckdb.Error"
) -> str | None:
    """The first of `files` that cannot be read, None if `error` has another reason.

    Reads all of them up to that one, unless the error already names a file or speaks of
    something else than files.
    """

    text = str(error)
    if not _speaks_of_files(error, text):
        return None
    for file in sorted(files, key=lambda file: file not in text):
        if (reason := reason_of_duckdb(connection, file)) is not None:
            path = Path(file)
            return damage_of_file(path, reason if path.exists() else "it is missing")
    return None


def reason_of_duckdb(connection: "duckdb.DuckDBPyConnection", file: str) -> str | None:
    """Why DuckDB cannot read all of a file; None if it can."""
    import duckdb

    try:
        for _ in (
            connection.cursor()
            .read_parquet(literally(file), hive_partitioning=False)
            .to_arrow_reader()
        ):
            pass
    except (duckdb.Error, RuntimeError, UnicodeError) as fault:
        return first_line(fault)
    return None


def damage_of_file(path: Path, reason: str) -> str:
    """What is wrong with a Parquet file of a table, and what to do."""
    table = json.dumps(str(path.parent.parent), ensure_ascii=False)
    repair = f"import deltalake; deltalake.DeltaTable({table}).repair()"
    return (
        f"{path}: cannot be read ({reason}); restore it from a backup, or ask about other "
        f"days; to give up its rows, move it away and run: python -c {shlex.quote(repair)}"
    )


_RESTORE = "restore it from a backup"


def _speaks_of_files(error: "duckdb.Error", text: str) -> bool:
    """Damage has many names in DuckDB: errors without a kind of their own, and some that have."""
    import duckdb

    unspecific = type(error) is duckdb.Error
    parquet = "parquet" in text.lower() or "Failed to read file" in text
    return unspecific or isinstance(error, duckdb.IOException | duckdb.InternalException) or parquet


def reason_not_parquet(path: Path) -> str | None:
    import pyarrow.parquet as pq

    try:
        pq.read_table(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        return first_line(error)
    return None


def first_line(error: Exception) -> str:
    """What an error says, without the lines that follow."""
    return str(error).strip().partition("\n")[0].strip()
