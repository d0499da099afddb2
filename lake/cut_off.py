"""What a power cut leaves of the newest entry of a table's log: a name, with nothing behind it.

Nothing rests on such an entry: what it stands for is deleted, and the next one made, once it is on
the disk. Delta's library takes an empty one for one that changes nothing, unless it is the first.
"""

import json
from contextlib import suppress
from pathlib import Path

from lake.to_disk import sync


def has_rows(table: Path) -> bool:
    """Whether there are Parquet files of a table, whatever its log says."""
    return any(table.glob("day=*/*.parquet"))


def cut_off_entry(table: Path) -> Path | None:
    """The newest entry, if it keeps the table from being opened and was never on the disk."""
    log = table / "_delta_log"
    entries = sorted(path for path in log.glob("*.json") if path.stem.isdigit())
    if not entries:
        return None
    newest, content = entries[-1], entries[-1].read_bytes()
    if int(newest.stem) > 0:
        return newest if content and not content.strip(b"\0") else None
    # Rows are written once the first entry is on the disk: with them it is damaged, not cut off.
    unbegun = not has_rows(table) and not any(log.glob("*.parquet")) and not _is_whole(content)
    return newest if unbegun else None


def drop_cut_off(table: Path) -> list[Path]:
    """Delete that entry; returns the file."""
    if (entry := cut_off_entry(table)) is None:
        return []
    entry.unlink()
    with suppress(OSError):
        sync(entry.parent)
    return [entry]


def _is_whole(content: bytes) -> bool:
    try:
        return any("metaData" in json.loads(line) for line in content.splitlines())
    except (ValueError, TypeError):
        return False
