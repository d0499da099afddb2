"""Up to where a signal's segments are numbered, by what stands beside its journal.

A journal may remember less: it was put back from an older copy, or deleted.
"""

from pathlib import Path

import structlog

from ingest.ledger import Ledger, LedgerError
from ingest.segments import newest_sequence
from ingest.tables import TABLE_OF

_log = structlog.get_logger()


def known_sequence(data: Path, ledger: Ledger, signal: str) -> int:
    """The highest sequence that the ledger or else the lake knows; that the journal is behind it
    is logged and noted.
    """
    newest = newest_sequence(data / "journal" / signal)
    try:
        known = ledger.last_sequence(signal) or _committed(data, signal)
        if newest < known:
            ledger.note_rewind(signal, newest, known)
    except LedgerError:
        known = _committed(data, signal)
    if newest < known:
        _log.warning(
            "journal.behind",
            signal=signal,
            newest=newest,
            known=known,
            reason="the journal is older than its lake: put back from a copy, or deleted",
            remedy="quietpager verify says whether anything is missing",
        )
    return known


def _committed(data: Path, signal: str) -> int:
    """The lake's position. It takes memory to ask, which a ledger that knows the signal saves."""
    tables = dict[str, str](TABLE_OF.items())
    if not (data / "lake" / tables[signal]).exists():
        return 0
    from lake import Lake, LakeError

    try:
        return Lake(data / "lake").position(tables[signal])
    except LakeError:
        return 0  # the journal and the clock have to do
