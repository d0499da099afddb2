"""Paths that DuckDB and Delta's library would take for something else. Imports neither."""

import os
import re
from pathlib import Path


def literally(path: str) -> str:
    """What DuckDB, which takes paths for patterns, is given to read this file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def unusable(root: Path) -> str | None:
    """Why no table can be kept in a directory, as it is named and without links; None if one can.

    Delta's library panics at some characters, takes a backslash for a separator, `_delta_log` for
    its log, and decodes what looks encoded: it would read and sweep another directory.
    """
    found = _IN_ITS_NAME.search(str(root.absolute())) or _BEHIND_LINKS.search(
        os.path.realpath(root)
    )
    return found and (
        f"{str(root)!r} has {found.group()!r} in its path, with which no table can be kept; "
        "rename that directory or choose another"
    )


_BEHIND_LINKS = re.compile(
    r"(?<=/)_delta_log(?=/|$)|[\\\x00-\x1f\x7f\ud800-\udfff]|%[0-9a-fA-F]{2}"
)
_IN_ITS_NAME = re.compile(rf"{_BEHIND_LINKS.pattern}|[\[\]^|]")
