"""The receiver's own numbers in the OpenMetrics text format.

Refusals are counted here because the answer alone does not tell anybody: the official exporters
log a partial success at most.
"""

from collections.abc import Iterable

from ingest.receive.intake import Intake
from ingest.receive.signals import SIGNALS

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_PREFIX = "quietpager_ingest"


def exposition(intake: Intake) -> str:
    """Every metric with its samples, ending as OpenMetrics requires."""
    counts = intake.counts
    names = [signal.name for signal in SIGNALS]
    backlog = intake.backlog_bytes()
    lines = [
        *_family(
            "accepted_records",
            "counter",
            "Spans, log records or data points acknowledged after they were on disk",
            ((f'signal="{name}"', counts.accepted[name]) for name in names),
        ),
        *_family(
            "duplicate_batches",
            "counter",
            "Retried requests that were acknowledged and dropped",
            ((f'signal="{name}"', counts.duplicate_batches[name]) for name in names),
        ),
        *_family(
            "refused_records",
            "counter",
            "Spans, log records or data points refused by partial success",
            (
                (f'signal="{name}",reason="{reason}"', count)
                for (name, reason), count in sorted(counts.refused_records.items())
            ),
        ),
        *_family(
            "refused_requests",
            "counter",
            "Whole requests refused",
            (
                (f'signal="{name}",reason="{reason}"', count)
                for (name, reason), count in sorted(counts.refused_requests.items())
            ),
        ),
        *_family(
            "journal_backlog_bytes",
            "gauge",
            "Bytes in the journal that wait for the writer",
            ((f'signal="{name}"', backlog[name]) for name in names),
        ),
        *_family(
            "in_flight_bytes",
            "gauge",
            "Bytes of requests held in memory",
            [("", intake.memory.held)],
        ),
        "# EOF",
    ]
    return "\n".join(lines) + "\n"


def _family(
    name: str, kind: str, description: str, samples: Iterable[tuple[str, int]]
) -> Iterable[str]:
    metric = f"{_PREFIX}_{name}"
    yield f"# TYPE {metric} {kind}"
    yield f"# HELP {metric} {description}"
    suffix = "_total" if kind == "counter" else ""
    for labels, value in samples:
        yield f"{metric}{suffix}{{{labels}}} {value}" if labels else f"{metric}{suffix} {value}"
