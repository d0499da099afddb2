"""`quietpager verify`: is everything that was accepted there?"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data, Output, Since
from cli.output import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from cli.output import Column
    from ingest import HourAccount

COUNTS = (
    "accepted",
    "retried",
    "waiting",
    "stored",
    "quarantined",
    "duplicates",
    "expired",
    "erased",
    "missing",
)
UNBALANCED = 1


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager verify --since 24h || echo 'call somebody'")(verify)


def verify(
    since: Since = "7d",
    every_hour: Annotated[bool, typer.Option("--hours", help="Show every hour, not days.")] = False,
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Read every file of the lake, too.")
    ] = True,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Prove that every record that was acknowledged is accounted for, per signal and hour (UTC).

    accepted = waiting + stored + quarantined + duplicates + expired + erased + missing.
    Waiting is in the journal still; retried was acknowledged again and dropped, and is counted
    beside. It also reads every file of the lake, of all time, and holds each page against its
    checksum, which no question does; --no-files leaves that out, where it would take hours. It may
    run beside the sidecar.

    Exit code 0: nothing is missing, nothing is there that was not accepted, every file is sound.
    1: something is, a file is damaged, or segments are set aside of which nobody knows how many
    records they hold; stderr names it and says what to do.
    """
    from cli.load import load_config
    from cli.options import read_since
    from cli.output import say, write
    from cli.rooms import one_line_errors
    from ingest import prove, uncounted

    begin = read_since(since, datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    settings = load_config(config, data=data)
    if not any((settings.data / part).is_dir() for part in ("state", "journal", "lake")):
        raise Failure(f"{settings.data}: no data there; name the directory with --data", 2)
    with one_line_errors():
        proof = prove(settings.data)
        accounts = [each for each in proof.accounts if each.hour >= begin]
        unclear = uncounted(settings.data)
        damaged = _damaged_files(settings.data / "lake") if files else []
    write(_answer(accounts), form, shown=_shown(accounts, every_hour), empty="nothing was accepted")
    for signal, damage in proof.damaged.items():
        say(f"{signal} cannot be accounted for: {damage}")
    for damage in damaged:
        if damage not in proof.damaged.values():
            say(damage)
    wrong = [each for each in accounts if each.missing]
    unknown = sum(each.missing is None for each in accounts)
    if unknown:
        say(f"{unknown} hours are from before the ledger, or its damage: they prove nothing")
    for each in unclear:
        say(
            f"{each.bytes:,} bytes in {each.segments} segments of {each.signal} are damaged: how "
            "many records they hold is not known, they are in no column; see quietpager doctor"
        )
    if wrong:
        first = wrong[0]
        say(
            f"{len(wrong)} hours do not add up, the first being {first.hour:%Y-%m-%d %H}:00 UTC of "
            f"{first.signal}: look for lost or added files in {settings.data}"
        )
    if wrong or damaged or proof.damaged or unclear:
        raise typer.Exit(UNBALANCED)


def _damaged_files(root: Path) -> list[str]:
    """What is wrong with files of the lake; tables whose log is damaged are left out."""
    from cli.check_progress import check_progress
    from lake import TABLES, DamagedTable, Lake, check, size_of

    lake = Lake(root)
    sizes: dict[str, int] = {}
    for table in TABLES:
        with suppress(DamagedTable):  # which their accounts tell of
            sizes[table] = size_of(lake, table)
    found: list[str] = []
    with check_progress(sum(sizes.values())) as advance:
        for table in sizes:
            for file in check(lake, table):
                advance(file.size_bytes)
                found += [file.damage] if file.damage else []
    return found


def _answer(accounts: "Sequence[HourAccount]") -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema(
        [("signal", pa.string()), ("hour", pa.timestamp("s", tz="UTC"))]
        + [(name, pa.int64()) for name in COUNTS]
    )
    rows = [{name: getattr(each, name) for name in schema.names} for each in accounts]
    return pa.Table.from_pylist(rows, schema=schema)


def _shown(accounts: "Sequence[HourAccount]", every_hour: bool) -> "list[Column]":
    """Every hour, or days."""
    from cli.figures import plain
    from cli.output import Column

    lines: list[tuple[str, str, dict[str, int | None]]] = []
    for each in accounts:
        counts = {name: getattr(each, name) for name in COUNTS}
        if every_hour:
            lines.append((each.signal, f"{each.hour:%Y-%m-%d %H}:00", counts))
            continue
        day = f"{each.hour:%Y-%m-%d}"
        if lines and lines[-1][:2] == (each.signal, day):
            lines[-1] = (each.signal, day, _sum(lines[-1][2], counts))
        else:
            lines.append((each.signal, day, counts))
    return [
        Column("signal", [signal for signal, _, _ in lines]),
        Column("hour (UTC)" if every_hour else "day (UTC)", [when for _, when, _ in lines]),
        *(
            Column(name, [plain(counts[name]) for _, _, counts in lines], right=True)
            for name in COUNTS
        ),
    ]


def _sum(one: "dict[str, int | None]", other: "dict[str, int | None]") -> "dict[str, int | None]":
    """Name by name; unknown where one is: what is missing must not cancel out unseen."""
    return {
        name: None if (a := one[name]) is None or (b := other[name]) is None else a + b
        for name in COUNTS
    }
