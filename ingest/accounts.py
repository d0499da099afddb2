"""Proves from the ledger that what was accepted is in the lake, or says where it went instead."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.ledger import Entry, Ledger
from ingest.write import TABLE_OF
from lake import Lake, Moment, moment_of


@dataclass(frozen=True)
class HourAccount:
    """What became of the records of a signal that were received in the hour that began at `hour`.

    Counts are records. `retried` were acknowledged again and dropped, and are not in `accepted`.
    `missing` is what nothing accounts for: positive when records are lost, negative when there
    are rows that were never accepted. It is None for hours from before the ledger.
    """

    signal: str
    hour: datetime
    accepted: int
    retried: int
    waiting: int
    stored: int
    quarantined: int
    duplicates: int
    expired: int
    erased: int
    missing: int | None


def verify(data: Path) -> list[HourAccount]:
    """An account for every signal and hour, oldest first. It may run beside the sidecar.

    accepted = waiting + stored + quarantined + duplicates + expired + erased + missing
    """
    lake = Lake(data / "lake")
    accounts = []
    with closing(Ledger(data)) as ledger:
        for signal, table in TABLE_OF.items():
            # The lake first: the ledger keeps apart what it is told of meanwhile.
            moment = moment_of(lake, table)
            entries = {entry.hour: entry for entry in ledger.entries(signal, moment.position)}
            removed = ledger.removed(table, moment.removals)
            accounts += _accounts(signal, moment, entries, removed)
    return accounts


def _accounts(
    signal: str,
    moment: Moment,
    entries: Mapping[int, Entry],
    removed: Mapping[tuple[int, str], int],
) -> list[HourAccount]:
    first = min(entries, default=None)
    accounts = []
    for hour in sorted(entries.keys() | moment.rows.keys() | {hour for hour, _ in removed}):
        entry = entries.get(hour, Entry(hour, 0, 0, 0, 0))
        stored = moment.rows.get(hour, 0)
        gone = {
            reason: removed.get((hour, reason), 0) for reason in ("duplicate", "expired", "erased")
        }
        known = entry.waiting + stored + entry.quarantined + sum(gone.values())
        accounts.append(
            HourAccount(
                signal=signal,
                hour=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour),
                accepted=entry.accepted,
                retried=entry.retried,
                waiting=entry.waiting,
                stored=stored,
                quarantined=entry.quarantined,
                duplicates=gone["duplicate"],
                expired=gone["expired"],
                erased=gone["erased"],
                missing=entry.accepted - known if first is not None and hour >= first else None,
            )
        )
    return accounts
