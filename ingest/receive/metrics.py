"""The sidecar's own numbers in the OpenMetrics text format.

Refusals are counted here because the answer alone does not tell anybody: the official exporters
log a partial success at most. What the writer has done comes from the ledger, so one endpoint
tells the whole way of a record.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from ingest.ledger import LedgerError
from ingest.ledger.totals import Totals, totals_of
from ingest.receive.intake import Intake
from ingest.retention_clock import is_doubted

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_INGEST = "quietpager_ingest"
_LAKE = "quietpager_lake"


async def exposition(intake: Intake) -> bytes:
    """Every metric with its samples, ending as OpenMetrics requires.

    The ledger is read in a thread: nobody who sends waits for its disk.
    """
    totals = await asyncio.to_thread(_totals, intake.settings.data)
    registry = CollectorRegistry()
    registry.register(_OfIntake(intake))
    if totals is not None:
        registry.register(_OfLedger(totals))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call] # of the library
    return text


def _totals(data: Path) -> Totals | None:
    try:
        return totals_of(data)
    except LedgerError:
        return None


class _OfIntake(Collector):
    """What was received since the receiver started, and what waits for the writer."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        intake, counts = self._intake, self._intake.counts
        yield _counter(
            f"{_INGEST}_accepted_records",
            "Spans, log records or data points acknowledged after they were on disk",
            ("signal",),
            {(name,): counts.accepted[name] for name in intake.journals},
        )
        yield _counter(
            f"{_INGEST}_duplicate_batches",
            "Retried requests that were acknowledged and dropped",
            ("signal",),
            {(name,): counts.duplicate_batches[name] for name in intake.journals},
        )
        yield _counter(
            f"{_INGEST}_refused_records",
            "Spans, log records or data points refused by partial success",
            ("signal", "reason"),
            counts.refused_records,
        )
        yield _counter(
            f"{_INGEST}_refused_requests",
            "Whole requests refused",
            ("signal", "reason"),
            counts.refused_requests,
        )
        paused = CounterMetricFamily(
            f"{_INGEST}_paused_seconds",
            "Time that requests were made to wait for the writer, all together",
        )
        paused.add_metric((), counts.paused_seconds)
        yield paused
        waiting = {name: journal.backlog() for name, journal in intake.journals.items()}
        yield _gauge(
            f"{_INGEST}_journal_backlog_bytes",
            "Bytes in the journal that wait for the writer",
            {(name,): each.bytes for name, each in waiting.items()},
        )
        yield _gauge(
            f"{_INGEST}_journal_oldest_seconds",
            "Age of the oldest segment that waits for the writer: how far the lake is behind",
            {(name,): each.oldest_seconds for name, each in waiting.items()},
        )
        yield _gauge(
            f"{_INGEST}_quarantined_segments",
            "Journal segments set aside because something in them could not be read: alert on it",
            {(name,): journal.quarantined_segments() for name, journal in intake.journals.items()},
        )
        doubted = GaugeMetricFamily(
            f"{_LAKE}_clock_doubted",
            "1 while retention counts from an earlier day, as the clock leapt ahead: alert on it",
        )
        doubted.add_metric((), float(is_doubted(intake.settings.data)))
        yield doubted
        held = GaugeMetricFamily(f"{_INGEST}_in_flight_bytes", "Bytes of requests held in memory")
        held.add_metric((), intake.memory.held)
        yield held


class _OfLedger(Collector):
    """What became of it, since there is a ledger. Nothing while that cannot be read."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        totals = self._totals
        yield _counter(
            f"{_LAKE}_stored_records",
            "Rows committed to the lake",
            ("signal",),
            {(each.signal,): each.stored for each in totals.commits},
        )
        yield _counter(
            f"{_LAKE}_quarantined_records",
            "Acknowledged records that could not be read back",
            ("signal",),
            {(signal,): count for signal, count in totals.quarantined.items()},
        )
        yield _counter(
            f"{_LAKE}_removed_rows",
            "Rows taken out again, by reason: duplicate, expired or erased",
            ("table", "reason"),
            totals.removed,
        )
        yield _counter(
            f"{_INGEST}_dropped_content",
            "Attributes and log bodies that held prompts, answers or tool data and were dropped",
            ("signal",),
            {(signal,): count for signal, count in totals.dropped.items()},
        )
        took = SummaryMetricFamily(
            f"{_LAKE}_commit_seconds",
            "How long commits take, from the journal read to its clean-up",
            labels=("signal",),
        )
        for each in totals.commits:
            took.add_metric((each.signal,), count_value=each.commits, sum_value=each.seconds)
        yield took
        now = time.time()
        yield _gauge(
            f"{_LAKE}_last_commit_age_seconds",
            "Time since the last commit; it grows while nothing is received",
            {(each.signal,): max(0.0, now - each.committed_at) for each in totals.commits},
        )
        yield _gauge(
            f"{_LAKE}_live_files",
            "Parquet files that the table consists of",
            {(each.signal,): each.files for each in totals.commits},
        )


def _counter(
    name: str, meaning: str, labels: tuple[str, ...], samples: Mapping[Any, int]
) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in sorted(samples.items()):
        family.add_metric(values, count)
    return family


def _gauge(name: str, meaning: str, samples: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=("signal",))
    for values, amount in sorted(samples.items()):
        family.add_metric(values, amount)
    return family
