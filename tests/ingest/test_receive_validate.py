"""Which records are refused, and in which words."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.receive.validate import check_logs, check_spans
from tests.ingest.batches import logs, span_ids, spans

NOW = 4_000_000_000 * 10**9  # later than anything these tests send
SECOND = 1_000_000_000
DAY = 24 * 60 * 60 * SECOND


def one_span(change: Callable[[Span], object]) -> tuple[int, dict[str, int], str]:
    request = spans(1)
    change(request.resource_spans[0].scope_spans[0].spans[0])
    verdict = check_spans(request, NOW)
    return verdict.kept, verdict.reasons, verdict.first_refusal


def one_log(change: Callable[[LogRecord], object]) -> tuple[int, dict[str, int], str]:
    request = logs(1)
    change(request.resource_logs[0].scope_logs[0].log_records[0])
    verdict = check_logs(request, NOW)
    return verdict.kept, verdict.reasons, verdict.first_refusal


def times(start: int, end: int) -> Callable[[Span], object]:
    def change(span: Span) -> None:
        span.start_time_unix_nano = start
        span.end_time_unix_nano = end

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.ClearField("trace_id"), "trace_id (empty) must be 16 bytes"),
        (lambda s: setattr(s, "trace_id", bytes(16)), f"trace_id {'0' * 32} must be 16 bytes"),
        (lambda s: setattr(s, "trace_id", b"abc"), "trace_id 616263 must be 16 bytes"),
        (lambda s: setattr(s, "trace_id", b"a" * 500), "trace_id of 500 bytes must be 16 bytes"),
        (lambda s: setattr(s, "span_id", bytes(8)), f"span_id {'0' * 16} must be 8 bytes"),
        (lambda s: setattr(s, "span_id", b"a" * 16), "must be 8 bytes, not all zero"),
    ],
)
def test_a_span_without_usable_ids_is_refused(change: Callable[[Span], object], words: str) -> None:
    """Missing, all zero, or of another length; the message shows what was sent."""
    kept, reasons, first = one_span(change)
    assert (kept, reasons) == (0, {"ids": 1})
    assert words in first


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (0, NOW, "start_time_unix_nano 0 is before the year 2000"),
        (1_700_000_000, NOW, "it must be unix nanoseconds"),
        (NOW, NOW - 1, "is before start_time_unix_nano"),
        (NOW, 0, "end_time_unix_nano 0 is before start_time_unix_nano"),
        (NOW, NOW + DAY + 1, "end_time_unix_nano"),
        (NOW + DAY + 1, NOW + DAY + 1, "more than one day ahead of the receiver's clock"),
        (2**64 - 1, 2**64 - 1, "more than one day ahead of the receiver's clock"),
    ],
)
def test_a_span_with_absurd_times_is_refused(start: int, end: int, words: str) -> None:
    """Never started, seconds in place of nanoseconds, backwards, or from the future."""
    kept, reasons, first = one_span(times(start, end))
    assert (kept, reasons) == (0, {"times": 1})
    assert words in first


@pytest.mark.parametrize(
    ("start", "end"),
    [(NOW, NOW), (NOW - 365 * DAY, NOW), (NOW + DAY, NOW + DAY), (946_684_800 * SECOND, NOW)],
)
def test_unusual_but_possible_times_are_kept(start: int, end: int) -> None:
    """No duration, a year, a clock a day ahead, the first moment of 2000."""
    assert one_span(times(start, end))[0] == 1


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda r: setattr(r, "trace_id", b"abc"), "ids", "trace_id 616263 must be 16 bytes"),
        (lambda r: setattr(r, "span_id", b"abc"), "ids", "span_id 616263 must be 8 bytes"),
        (lambda r: setattr(r, "time_unix_nano", 5), "times", "time_unix_nano 5 is before"),
        (
            lambda r: setattr(r, "observed_time_unix_nano", NOW + DAY + 1),
            "times",
            "observed_time_unix_nano",
        ),
    ],
)
def test_a_broken_log_record_is_refused(
    change: Callable[[LogRecord], object], kind: str, words: str
) -> None:
    """An id of a wrong length or an absurd time."""
    kept, reasons, first = one_log(change)
    assert (kept, reasons) == (0, {kind: 1})
    assert words in first
    assert first.startswith("log record 'line 0")


@pytest.mark.parametrize("zeros", [False, True])
def test_a_log_record_outside_any_trace_is_kept(zeros: bool) -> None:
    """Empty ids and all-zero ids both say that there is no trace."""

    def change(record: LogRecord) -> None:
        record.trace_id = bytes(16) if zeros else b""
        record.span_id = bytes(8) if zeros else b""

    assert one_log(change)[0] == 1


@given(st.lists(st.sampled_from(["good", "ids", "times"]), max_size=12))
def test_exactly_the_bad_spans_go(kinds: list[str]) -> None:
    """Whatever the order of good and bad: counts are exact, the good ones stay in order."""
    request = spans(len(kinds))
    ids = span_ids(request)
    for span, kind in zip(request.resource_spans[0].scope_spans[0].spans, kinds, strict=True):
        if kind == "ids":
            span.trace_id = b""
        elif kind == "times":
            span.start_time_unix_nano = 0
    verdict = check_spans(request, NOW)
    assert verdict.kept == kinds.count("good")
    assert verdict.reasons == {k: kinds.count(k) for k in ("ids", "times") if k in kinds}
    assert verdict.changed == (verdict.kept < len(kinds))
    assert span_ids(request) == [i for i, k in zip(ids, kinds, strict=True) if k == "good"]


def test_a_refusal_does_not_repeat_a_huge_name() -> None:
    """The answer stays small, whatever the span is called."""

    def change(span: Span) -> None:
        span.name = "x" * 1_000_000
        span.trace_id = b""

    assert len(one_span(change)[2]) < 300
