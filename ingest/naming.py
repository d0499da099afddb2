"""Which files of a journal name a tenant: what waits, and what was set aside.

OTLP stores a name as it is, so the bytes of a file tell, also those of a damaged one. A name that
occurs elsewhere, in a message or within a longer name, is found as well: to look at one file too
many is better than to miss one.
"""

import json
import re
from mmap import ACCESS_READ, mmap
from pathlib import Path

from ingest.record import varint

_WAITING = ("*/*.open", "*/*.journal")
_SET_ASIDE = ("*/quarantine/*.open", "*/quarantine/*.journal", "*/quarantine/*.reason")

_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
_PART_OF_A_WORD = rb"[0-9A-Za-z_.\x80-\xff-]"
_STRING_VALUE = b"\x0a"  # the field of an AnyValue that holds text, length-delimited


def waiting_files_naming(data: Path, tenant: str) -> tuple[Path, ...]:
    """Segments that are not in the lake and name `tenant`."""
    return _naming(data / "journal", _WAITING, tenant)


def quarantined_files_naming(data: Path, tenant: str) -> tuple[Path, ...]:
    """Segments in quarantine, copies of torn ones, and reasons, that name `tenant`."""
    return _naming(data / "journal", _SET_ASIDE, tenant)


def as_a_whole(tenant: str) -> re.Pattern[bytes]:
    """Finds the name where it is a value or a word of its own, not within a longer name."""
    name = tenant.encode()
    value = re.escape(_STRING_VALUE + varint(len(name)) + name)
    words = b"|".join(re.escape(spelling) for spelling in _spellings(tenant))
    return re.compile(b"%b|(?<!%b)(?:%b)(?!%b)" % (value, _PART_OF_A_WORD, words, _PART_OF_A_WORD))


def _naming(journal: Path, patterns: tuple[str, ...], tenant: str) -> tuple[Path, ...]:
    paths = sorted(path for pattern in patterns for path in journal.glob(pattern))
    spellings = _spellings(tenant)
    return tuple(path for path in paths if _holds(path, spellings))


def _spellings(tenant: str) -> list[bytes]:
    """The name as it is, and as it stands in metadata that was sent as JSON text."""
    escaped = json.dumps(tenant)[1:-1]
    upper = _ESCAPE.sub(lambda found: r"\u" + found[0][2:].upper(), escaped)
    plain = json.dumps(tenant, ensure_ascii=False)[1:-1]
    return [each.encode() for each in dict.fromkeys((tenant, plain, escaped, upper))]


def _holds(path: Path, spellings: list[bytes]) -> bool:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:  # which mmap refuses
                return False
            with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                return any(content.find(spelling) >= 0 for spelling in spellings)
    except FileNotFoundError:
        return False  # taken to the lake meanwhile
