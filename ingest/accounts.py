"""Proves from the ledger that what was accepted is in the lake, or says where it went instead."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.ledger import HOUR_SECONDS, Entry, Ledger, SetAside
from ingest.ledger.totals import settled_up_to
from ingest.tables import TABLE_OF
from lake import DamagedTable, Lake, Moment, moment_of


@dataclass(frozen=True)
class HourAccount:
    """What became of the records of a signal that were received in the hour that began at `hour`.

    Counts are records. `retried` were acknowledged again and dropped, and are not in `accepted`.
    `missing` is what nothing accounts for: positive when records are lost, negative when there
    are rows that were never accepted. It is None for hours from before the ledger, up to the one
    in which a damaged one was set aside, or the first of the ledger when the clock was ahead then.
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


@dataclass(frozen=True)
class Proof:
    """An account for every signal and hour, oldest first.

    `damaged` says of each signal whose table cannot be read why; it has no accounts.
    """

    accounts: tuple[HourAccount, ...]
    damaged: Mapping[str, str]


@dataclass(frozen=True)
class Uncounted:
    """Damage in segments of a signal that wait or are set aside: how many records it holds is in
    no account, as it came before anybody had noted their number.
    """

    signal: str
    segments: int
    bytes: int


def uncounted(data: Path) -> list[Uncounted]:
    """What `verify` cannot count, by signal, as long as the segments are there."""
    found: dict[str, list[int]] = {}
    with closing(Ledger(data, mends=False)) as ledger:
        for signal, sequence, size in ledger.uncounted():
            journal, name = data / "journal" / signal, f"{sequence:020d}.journal"
            if any((folder / name).exists() for folder in (journal, journal / "quarantine")):
                found.setdefault(signal, []).append(size)
    return [Uncounted(signal, len(sizes), sum(sizes)) for signal, sizes in found.items()]


def prove(data: Path) -> Proof:
    """What became of all that was accepted. It may run beside the sidecar.

    accepted = waiting + stored + quarantined + duplicates + expired + erased + missing
    """
    accounts: list[HourAccount] = []
    damaged: dict[str, str] = {}
    lake = Lake(data / "lake")
    with closing(Ledger(data, mends=False)) as ledger:
        for signal, table in TABLE_OF.items():
            try:
                accounts += _of_signal(data, lake, ledger, signal, table)
            except DamagedTable as damage:
                damaged[signal] = str(damage)
    return Proof(tuple(accounts), damaged)


def verify(data: Path) -> list[HourAccount]:
    """The accounts of `prove`. Raises DamagedTable when a table cannot be read."""
    proof = prove(data)
    for damage in proof.damaged.values():
        raise DamagedTable(damage)
    return list(proof.accounts)


def _of_signal(
    data: Path, lake: Lake, ledger: Ledger, signal: str, table: str
) -> list[HourAccount]:
    aside = ledger.last_set_aside()
    # What was settled before the lake is looked at waits no more, whatever the lake says: its
    # newest commits may have been lost. What is settled behind the lake waits in its eyes.
    settled = settled_up_to(data, signal)
    moment = moment_of(lake, table)
    position = max(moment.position, settled)
    entries = {entry.hour: entry for entry in ledger.entries(signal, position)}
    first = _first_proved(min(entries, default=None), aside)
    return _accounts(signal, moment, entries, ledger.removed(table, moment.removals), first)


def _first_proved(begun: int | None, aside: SetAside) -> int | None:
    """The first hour of which the ledger, whose first one is `begun`, knows all.

    When another one was set aside by a clock that was ahead, nobody knows; this one was begun then.
    """
    hours = [] if aside.at is None else [int(aside.at // HOUR_SECONDS) + 1]
    if begun is not None and (aside.doubted or not hours):
        hours.append(begun + 1 if aside.doubted else begun)
    return max(hours, default=None)


def _accounts(
    signal: str,
    moment: Moment,
    entries: Mapping[int, Entry],
    removed: Mapping[tuple[int, str], int],
    first: int | None,
) -> list[HourAccount]:
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
