"""The ledger: what was accepted in each hour, and what became of it.

Comes in: from the receiver, how many records each journal segment holds; from the writer, how many
of them are rows of the lake; from whoever removes rows, how many and why.
Goes out: one `Entry` per signal and hour, for `quietpager verify`.
Never: decides anything. Data is kept and committed without it; it only proves.
"""

from ingest.ledger.file import LedgerError
from ingest.ledger.store import (
    HOUR_SECONDS,
    Commits,
    Entry,
    Ledger,
    NoteSegment,
    Reason,
    SetAside,
    Settlement,
    hour_of,
)

__all__ = [
    "HOUR_SECONDS",
    "Commits",
    "Entry",
    "Ledger",
    "LedgerError",
    "NoteSegment",
    "Reason",
    "SetAside",
    "Settlement",
    "hour_of",
]
