"""Which spans and log records are refused, and why. The rest of their batch is kept.

Data points are judged in `ingest.receive.validate_metrics`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

EARLIEST_UNIX_NANO = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
MAX_AHEAD_NANO = 24 * 60 * 60 * 1_000_000_000

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Verdict:
    """How many records of a batch are kept and refused, and the first refusal in words.

    `reasons` counts refusals by kind (`ids`, `times`, …). `changed` says that the request no longer
    is what the client sent.
    """

    kept: int
    reasons: dict[str, int]
    first_refusal: str
    changed: bool

    @property
    def refused(self) -> int:
        """How many records were refused."""
        return sum(self.reasons.values())


def check_spans(request: ExportTraceServiceRequest, received_unix_nano: int) -> Verdict:
    """Remove from `request` the spans without usable ids or times.

    A span needs a trace id of 16 bytes and a span id of 8, neither all zero (OTLP trace.proto);
    a start not before 2000 and an end not before it nor a day ahead of the receiver's clock.
    """
    latest = received_unix_nano + MAX_AHEAD_NANO
    kept = 0
    faults = Faults()
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            bad = {
                index
                for index, span in enumerate(spans)
                if not (
                    EARLIEST_UNIX_NANO
                    <= span.start_time_unix_nano
                    <= span.end_time_unix_nano
                    <= latest
                    and len(trace_id := span.trace_id) == 16
                    and trace_id != _NO_TRACE_ID
                    and len(span_id := span.span_id) == 8
                    and span_id != _NO_SPAN_ID
                )
            }
            for index in sorted(bad):
                faults.add(_span_fault(spans[index], latest))
            kept += len(spans) - len(bad)
            remove_at(spans, bad)
    return faults.verdict(kept, changed=bool(faults.reasons))


def check_logs(request: ExportLogsServiceRequest, received_unix_nano: int) -> Verdict:
    """Remove from `request` the log records with broken ids or times.

    A log record may lack a trace: an id that is empty or all zero says so (OTLP logs.proto), one
    of a wrong length is a fault. One that was never given a time is observed here and now, as
    the log data model lets the collecting side do.
    """
    latest = received_unix_nano + MAX_AHEAD_NANO
    kept = 0
    faults = Faults()
    stamped = False
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            records = scope_logs.log_records
            bad: set[int] = set()
            for index, record in enumerate(records):
                time, observed = record.time_unix_nano, record.observed_time_unix_nano
                if not time and not observed:
                    record.observed_time_unix_nano = received_unix_nano
                    stamped = True
                if not (
                    (not time or EARLIEST_UNIX_NANO <= time <= latest)
                    and (not observed or EARLIEST_UNIX_NANO <= observed <= latest)
                    and len(record.trace_id) in {0, 16}
                    and len(record.span_id) in {0, 8}
                ):
                    bad.add(index)
                    faults.add(_log_fault(record, latest))
            kept += len(records) - len(bad)
            remove_at(records, bad)
    return faults.verdict(kept, changed=stamped or bool(faults.reasons))


class Faults:
    """How many faults there were of each kind, and the first in words: there may be a million."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first = ""

    def add(self, fault: tuple[str, str]) -> None:
        """Count a fault of this kind and words."""
        kind, words = fault
        self.reasons[kind] += 1
        self.first = self.first or words

    def verdict(self, kept: int, *, changed: bool) -> Verdict:
        """The verdict on a batch of which so many records are kept."""
        return Verdict(kept, dict(self.reasons), self.first, changed)


def remove_at(records: Any, bad: set[int]) -> None:
    """Keep the others. To delete one by one would move the rest of a large batch each time."""
    if bad:
        kept = [record for index, record in enumerate(records) if index not in bad]
        del records[:]
        records.extend(kept)


def _span_fault(span: Span, latest: int) -> tuple[str, str]:
    who = f"span {span.name[:SHOWN_CHARACTERS]!r} (span_id {_shown(span.span_id)})"
    for field, value, length in (("trace_id", span.trace_id, 16), ("span_id", span.span_id, 8)):
        if len(value) != length or not any(value):
            return "ids", f"{who}: {field} {_shown(value)} must be {length} bytes, not all zero"
    if span.start_time_unix_nano <= span.end_time_unix_nano:
        times = (
            ("start_time_unix_nano", span.start_time_unix_nano),
            ("end_time_unix_nano", span.end_time_unix_nano),
        )
        return "times", f"{who}: {absurd_time(times, latest)}"
    return "times", (
        f"{who}: end_time_unix_nano {span.end_time_unix_nano} is before "
        f"start_time_unix_nano {span.start_time_unix_nano}"
    )


def _log_fault(record: LogRecord, latest: int) -> tuple[str, str]:
    name = record.event_name or record.body.string_value
    who = f"log record {name[:SHOWN_CHARACTERS]!r}"
    for field, value, length in (("trace_id", record.trace_id, 16), ("span_id", record.span_id, 8)):
        if len(value) not in {0, length}:
            return "ids", f"{who}: {field} {_shown(value)} must be {length} bytes or empty"
    times = (
        ("time_unix_nano", record.time_unix_nano),
        ("observed_time_unix_nano", record.observed_time_unix_nano),
    )
    return "times", f"{who}: {absurd_time([t for t in times if t[1]], latest)}"


def absurd_time(times: Iterable[tuple[str, int]], latest: int) -> str:
    """What is wrong with the first of these times that is out of bounds; one must be."""
    for field, value in times:
        if value < EARLIEST_UNIX_NANO:
            return f"{field} {value} is before the year 2000; it must be unix nanoseconds"
        if value > latest:
            return f"{field} {value} is more than one day ahead of the receiver's clock"
    raise AssertionError("called for a record whose times are sound")


def _shown(value: bytes) -> str:
    if len(value) > 32:
        return f"of {len(value)} bytes"
    return value.hex() or "(empty)"
