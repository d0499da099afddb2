"""Which files of a journal name a tenant: what waits, and what was set aside.

OTLP stores a name as it is, so the bytes of a file tell, also those of a damaged one. A name that
occurs elsewhere, in a message or within a longer name, is found as well: to look at one file too
many is better than to miss one.
"""

from mmap import ACCESS_READ, mmap
from pathlib import Path

_WAITING = ("*/*.open", "*/*.journal")
_SET_ASIDE = ("*/quarantine/*.open", "*/quarantine/*.journal")


def waiting_files_naming(data: Path, tenant: str) -> tuple[Path, ...]:
    """Segments that are not in the lake and name `tenant`."""
    return _naming(data / "journal", _WAITING, tenant)


def quarantined_files_naming(data: Path, tenant: str) -> tuple[Path, ...]:
    """Segments in quarantine, and copies of torn ones, that name `tenant`."""
    return _naming(data / "journal", _SET_ASIDE, tenant)


def _naming(journal: Path, patterns: tuple[str, ...], tenant: str) -> tuple[Path, ...]:
    paths = sorted(path for pattern in patterns for path in journal.glob(pattern))
    return tuple(path for path in paths if _holds(path, tenant.encode()))


def _holds(path: Path, name: bytes) -> bool:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:  # which mmap refuses
                return False
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                return content.find(name) >= 0
    except FileNotFoundError:
        return False  # taken to the lake meanwhile
