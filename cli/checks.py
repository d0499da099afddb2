"""What `quietpager doctor` looks at. Each check says what it found and, if need be, what to do."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cli.config import Config
from cli.convention_checks import content, corrected, unknown
from cli.figures import length, percent
from cli.finding import WINDOW, Finding
from cli.rooms import alert_store, load_objectives, one_line_errors, open_analytics
from cli.sidecar import ENDPOINTS

if TYPE_CHECKING:
    from ingest import Condition, Holder

LATE = timedelta(minutes=1)
SILENT = timedelta(seconds=15)
GIB = 1024**3
NEWEST_FILES = 3
"""Of each table: to read all takes as long as the lake is large."""


def examine(config: Config, *, every: bool = False) -> Iterator[Finding]:
    """Every check in turn. One that cannot be made is a problem and does not stop the others.

    `every` unknown attribute is told of, not only the most frequent.
    """
    if not config.data.is_dir():
        yield Finding(
            "data", "problem", f"{config.data} is not a directory", "run quietpager up, or --data"
        )
        return
    checks = CHECKS | {"attributes": partial(unknown, every=every)}
    for name, check in checks.items():
        try:
            with one_line_errors():
                yield from check(config)
        except Exception as error:  # noqa: BLE001 - that is what the doctor is to tell
            yield Finding(name, "problem", " ".join(str(error).split()) or repr(error))


def _sidecar(config: Config) -> Iterator[Finding]:
    holders = _condition(config).holders
    if (sidecar := holders["sidecar"]) is None:
        yield Finding("sidecar", "note", "none runs on this directory", "run quietpager up")
        return
    yield Finding("sidecar", "ok", f"runs as process {sidecar.pid}")
    for task, holder in holders.items():
        yield from _process(task, holder)
    endpoints = json.loads((config.data / ENDPOINTS).read_text())
    for name, url in (("receiver", endpoints["otlp_http"]), ("dashboard", endpoints["dashboard"])):
        yield _answer_of(name, f"{url}/readyz")


def _process(task: str, holder: "Holder | None") -> Iterator[Finding]:
    """What is wrong with a process of the sidecar; the keeper is there now and then only."""
    if holder is None:
        if task != "keeper":
            remedy = "the sidecar starts it again; its log lines say process.ended and why"
            yield Finding(task, "problem", "does not run", remedy)
    elif (silent := timedelta(seconds=holder.silent_seconds)) > SILENT:
        found = f"process {holder.pid} has given no sign of life for {length(silent)}"
        remedy = (
            f"it was stopped (kill -CONT {holder.pid}), or its disk does not answer; killed, it is "
            "started again, and nothing acknowledged is lost"
        )
        yield Finding(task, "problem", found, remedy)


def _answer_of(name: str, url: str) -> Finding:
    import httpx

    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        remedy = "is this the address it was started with? see its log"
        return Finding(name, "problem", f"{url}: {error}", remedy)
    if answer.is_success:
        return Finding(name, "ok", f"{url} is ready")
    return Finding(name, "problem", f"{url} answers {answer.status_code}: {answer.text.strip()}")


def _disk(config: Config) -> Iterator[Finding]:
    free = _condition(config).free_bytes
    found = f"{free / GIB:,.1f} GiB free"
    if free < config.min_free:
        remedy = "make room: senders are asked to come back meanwhile"
        yield Finding("disk", "problem", f"{found}, below min_free", remedy)
    else:
        yield Finding("disk", "ok", found)


def _journal(config: Config) -> Iterator[Finding]:
    waiting = _condition(config).waiting
    total = sum(each.bytes for each in waiting)
    oldest = timedelta(seconds=max((each.oldest_seconds for each in waiting), default=0.0))
    found = f"{total / 1e6:,.1f} MB wait for the writer"
    if oldest > LATE:
        remedy = (
            "see why they are not written: log lines of the writer say writer.failed, and of the "
            "receiver journal.close_failed"
        )
        yield Finding("journal", "problem", f"{found}, the oldest for {length(oldest)}", remedy)
    elif total > config.journal_budget / 2:
        remedy = "the writer is slower than the senders; above it they are asked to come back"
        yield Finding("journal", "note", f"{found}, over half of the budget", remedy)
    else:
        yield Finding("journal", "ok", found)
    for each in waiting:
        if each.quarantined:
            yield Finding(
                "quarantine",
                "problem",
                f"{len(each.quarantined)} segments of {each.signal}",
                f"read {each.quarantined[0]}; delete segment and reason once they are dealt with",
            )


def _rewinds(config: Config) -> Iterator[Finding]:
    from ingest import rewinds

    for each in rewinds(config.data, int(WINDOW.total_seconds() // 3600)):
        yield Finding(
            "journal",
            "problem",
            f"that of {each.signal} was older than what came of it ({each.newest}, {each.known})",
            "it was put back from a copy, or deleted; quietpager verify says what is missing",
        )


def _lake(config: Config) -> Iterator[Finding]:
    from lake import Lake, misfits

    lake = Lake(config.data / "lake")
    unwritable = misfits(lake)
    for table, reason in unwritable.items():
        what, _, remedy = reason.partition("; ")
        yield Finding("lake", "problem", f"table {table} {what}", remedy)
    if not unwritable:
        yield Finding("lake", "ok", f"{len(lake.versions())} tables can be read and appended to")


def _files(config: Config) -> Iterator[Finding]:
    from lake import TABLES, Lake, check

    lake = Lake(config.data / "lake")
    read = [file for table in TABLES for file in check(lake, table, NEWEST_FILES)]
    for file in read:
        if file.damage is not None:
            what, _, remedy = file.damage.partition("; ")
            yield Finding("files", "problem", what, remedy)
    if not any(file.damage for file in read):
        found = f"the newest {len(read)} pass their checksums; quietpager verify reads all"
        yield Finding("files", "ok", found)


def _retention(config: Config) -> Iterator[Finding]:
    from ingest import remembered_clock

    clock = remembered_clock(config.data)
    if clock is not None and clock.doubted_since is not None:
        yield Finding(
            "retention",
            "problem",
            f"the clock leapt ahead of {clock.day}, from which retention counts meanwhile",
            "set the clock right; kept for a day as it is, it is believed, and old days expire",
        )


def _accounts(config: Config) -> Iterator[Finding]:
    from ingest import uncounted, verify

    accounts = verify(config.data)
    unclear = uncounted(config.data)
    for each in unclear:
        found = f"{each.bytes:,} damaged bytes of {each.signal} hold records that nobody counted"
        remedy = "see quarantine; once its segments are dealt with and deleted, this is not told"
        yield Finding("accounts", "problem", found, remedy)
    wrong = [each for each in accounts if each.missing]
    if wrong:
        found = f"{sum(abs(each.missing or 0) for each in wrong):,} records do not add up"
        yield Finding("accounts", "problem", found, "quietpager verify --hours")
    if unproved := [each for each in accounts if each.missing is None]:
        hours = "1 hour" if len(unproved) == 1 else f"{len(unproved)} hours"
        found = (
            f"{hours} cannot be proved: {sum(each.stored for each in unproved):,} stored records "
            "are from before the ledger, or its damage"
        )
        yield Finding("accounts", "note", found, "what is accepted from the next hour on is proved")
    if not wrong and not unclear and len(unproved) < max(len(accounts), 1):
        accepted = sum(each.accepted for each in accounts if each.missing is not None)
        yield Finding("accounts", "ok", f"{accepted:,} accepted records are accounted for")


def _telemetry(config: Config) -> Iterator[Finding]:
    now = datetime.now(UTC)
    answer = open_analytics(config).ask("doctor/coverage", since=now - WINDOW, until=now)
    (row,) = answer.to_pylist()
    runs, calls = row["runs"], row["model_calls"]
    if not runs:
        remedy = "is OTEL_EXPORTER_OTLP_ENDPOINT of the agents this receiver?"
        yield Finding("telemetry", "note", f"no run in {length(WINDOW)}", remedy)
        return
    yield Finding("telemetry", "ok", f"{runs:,} runs and {calls:,} model calls in {length(WINDOW)}")
    for part, what, remedy in (
        ("with_ttfb", "a first token time", "send agent.ttfb_ms; see docs/reference/columns.md"),
        ("with_tenant", "a tenant", "set tenant.id on the spans or the resource"),
        ("with_user", "a user", "set user.id on the spans"),
    ):
        if row[part] < runs:
            found = f"{percent(row[part] / runs)} of the runs have {what}"
            yield Finding("telemetry", "note", found, remedy)
    if row["unpriced_calls"]:
        models = row["unpriced_models"] or "they name no model"
        found = f"{row['unpriced_calls']:,} calls have no known cost: {models}"
        remedy = "add [[prices]] for these models; see examples/quietpager.toml"
        yield Finding("prices", "note", found, remedy)
    if row["cached_over_input"]:
        found = f"{row['cached_over_input']:,} calls have more cached than input tokens"
        yield Finding("tokens", "problem", found, "report it: the mapping of a library is wrong")


def _alerts(config: Config) -> Iterator[Finding]:
    from analytics.alerts import AlertHistory

    history = AlertHistory(alert_store(config))
    objectives = load_objectives(config)
    yield Finding("objectives", "ok", f"{len(objectives)} objectives are defined")
    if not config.webhooks:
        remedy = "add a [[webhooks]] table; see examples/quietpager.toml"
        yield Finding("alerts", "note", "nobody is told of alerts but the log", remedy)
    failing = [each for each in history.evaluations() if each.error]
    for each in failing:
        yield Finding("alerts", "problem", f"rule {each.rule} cannot be evaluated: {each.error}")
    if undelivered := history.undelivered():
        first = undelivered[0]
        found = f"{len(undelivered)} notifications are not delivered to {first.channel}"
        yield Finding("alerts", "problem", found, first.last_error or "it is being tried")
    firing = history.firing()
    if firing:
        found = f"{len(firing)} fire, the newest: {firing[0].summary}"
        yield Finding("alerts", "note", found, "quietpager alerts")
    elif not failing:
        yield Finding("alerts", "ok", "none fires")


def _condition(config: Config) -> "Condition":
    from ingest import condition_of

    return condition_of(config.data)


CHECKS: dict[str, Callable[[Config], Iterator[Finding]]] = {
    "sidecar": _sidecar,
    "disk": _disk,
    "journal": _journal,
    "rewinds": _rewinds,
    "lake": _lake,
    "files": _files,
    "retention": _retention,
    "accounts": _accounts,
    "telemetry": _telemetry,
    "content": content,
    "tokens": corrected,
    "attributes": unknown,
    "alerts": _alerts,
}
