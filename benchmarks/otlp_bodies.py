"""OTLP requests as a busy collector sends them: no two alike, and cheap enough to share two cores.

A template is built once with the official classes; before each sending everything that tells one
record from another (ids, times, tenants, users, conversations, token counts) is written over in
place with fresh random values. So nothing downstream can profit from seeing the same bytes again.
"""

import random
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span

RECORDS_PER_REQUEST = 1000
RECORDS_PER_TRACE = 10
TENANTS = 20
USERS = 2000
MODELS = ("gpt-5-mini", "gpt-5", "claude-sonnet-4-5")

Bytes = NDArray[np.uint8]
Attributes = dict[str, str | int]
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGITS = np.frombuffer(b"0123456789", np.uint8)


class Requests(Protocol):
    """An endless source of requests of `RECORDS_PER_REQUEST` records each."""

    path: str

    def body(self) -> bytes:
        """A request whose records were never sent before."""


class _Fields:
    """Where in the template stands what has to be written over."""

    def __init__(self, template: bytes) -> None:
        self.bytes: Bytes = np.frombuffer(template, np.uint8).copy()
        self._template = template
        self._cursor = 0
        self._found: dict[str, list[int]] = {}
        self._index: dict[str, NDArray[np.int64]] = {}

    def find(self, name: str, pattern: bytes, skip: int = 0) -> None:
        """The next place where `pattern` stands, behind all found before, and `skip` bytes on."""
        self._cursor = self._template.index(pattern, self._cursor) + skip
        self._found.setdefault(name, []).append(self._cursor)

    def write(self, name: str, values: Bytes) -> None:
        """Row n of `values` over the n-th place found under `name`."""
        if name not in self._index:
            width = np.arange(values.shape[1])
            self._index[name] = np.array(self._found[name])[:, None] + width
        self.bytes[self._index[name]] = values


class SpanRequests:
    """Requests of 1000 spans, about 360 bytes each, in traces of ten: an agent and its calls.

    The spans of a trace are of one tenant, user and conversation.
    """

    path = "/v1/traces"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng()  # two templates of a seed differ
        request = span_request(seed, RECORDS_PER_REQUEST)
        spans = request.resource_spans[0].scope_spans[0].spans
        self._fields = fields = _Fields(request.SerializeToString())
        for number, span in enumerate(spans):
            fields.find("trace", span.trace_id)
            fields.find("span", span.span_id)
            is_call = number % RECORDS_PER_TRACE > 0
            if is_call:
                fields.find("parent", span.parent_span_id)
            fields.find("start", span.start_time_unix_nano.to_bytes(8, "little"))
            fields.find("end", span.end_time_unix_nano.to_bytes(8, "little"))
            _find_who(fields)
            for tokens in ("input_tokens", "output_tokens") if is_call else ():
                # Behind the key: tag and length of the value, tag of its integer.
                fields.find(tokens, f"gen_ai.usage.{tokens}".encode(), len(tokens) + 13 + 3)

    def body(self) -> bytes:
        """A request with fresh ids, times, tenants, users, conversations and token counts."""
        fields, rng = self._fields, self._rng
        count = RECORDS_PER_REQUEST
        end, start = _times(rng, count)
        spans = _random_bytes(rng, count, 8)
        traces = _random_bytes(rng, count // RECORDS_PER_TRACE, 16)
        is_call = np.arange(count) % RECORDS_PER_TRACE > 0
        fields.write("trace", _to_each_record(traces))
        fields.write("span", spans)
        fields.write("parent", np.repeat(spans[~is_call], RECORDS_PER_TRACE - 1, axis=0))
        fields.write("start", start)
        fields.write("end", end)
        _write_who(fields, rng, count)
        calls = int(is_call.sum())
        fields.write("input_tokens", _varints(rng, calls, 128, 9000))
        fields.write("output_tokens", _varints(rng, calls, 128, 1000))
        return fields.bytes.tobytes()


class LogRequests:
    """Requests of 1000 log records, about 340 bytes each; ten in turn are of one trace."""

    path = "/v1/logs"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng()  # two templates of a seed differ
        request = log_request(seed, RECORDS_PER_REQUEST)
        records = request.resource_logs[0].scope_logs[0].log_records
        self._fields = fields = _Fields(request.SerializeToString())
        for record in records:
            fields.find("time", record.time_unix_nano.to_bytes(8, "little"))
            _find_who(fields)
            fields.find("trace", record.trace_id)
            fields.find("span", record.span_id)
            fields.find("observed", record.observed_time_unix_nano.to_bytes(8, "little"))

    def body(self) -> bytes:
        """A request with fresh ids, times, tenants, users and conversations."""
        fields, rng = self._fields, self._rng
        count = RECORDS_PER_REQUEST
        observed, happened = _times(rng, count)
        fields.write("time", happened)
        _write_who(fields, rng, count)
        traces = _random_bytes(rng, count // RECORDS_PER_TRACE, 16)
        fields.write("trace", _to_each_record(traces))
        fields.write("span", _random_bytes(rng, count, 8))
        fields.write("observed", observed)
        return fields.bytes.tobytes()


REQUESTS: dict[str, Callable[[int], Requests]] = {"spans": SpanRequests, "logs": LogRequests}


def span_request(seed: int, spans: int) -> ExportTraceServiceRequest:
    """A request of `spans` spans of one service: in traces of ten, an agent and its model calls."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.append(attribute("service.name", "shop-assistant"))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "agent_runtime"
    for number in range(spans):
        model = rng.choice(MODELS)
        trace_id, span_id, parent = rng.randbytes(16), rng.randbytes(8), rng.randbytes(8)
        is_call = number % RECORDS_PER_TRACE > 0
        span = Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent if is_call else b"",
            name=f"chat {model}" if is_call else "invoke_agent shop-assistant",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=rng.getrandbits(60),
            end_time_unix_nano=rng.getrandbits(60),
        )
        tokens: Attributes = {"gen_ai.usage.input_tokens": 9000, "gen_ai.usage.output_tokens": 900}
        told = {**_call(model), **_who(), **tokens} if is_call else {**_RUN, **_who()}
        for key, value in told.items():
            span.attributes.append(attribute(key, value))
        scope_spans.spans.append(span)
    return request


def log_request(seed: int, records: int) -> ExportLogsServiceRequest:
    """A request of `records` log records of one service."""
    rng = random.Random(seed)
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.append(attribute("service.name", "shop-assistant"))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = "agent_runtime"
    for _ in range(records):
        model = rng.choice(MODELS)
        record = LogRecord(
            time_unix_nano=rng.getrandbits(60),
            observed_time_unix_nano=rng.getrandbits(60),
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            severity_text="info",
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
        )
        record.body.string_value = "model.call.finished"
        said: Attributes = {"duration_ms": rng.randrange(5, 5000), "logger": "agent_runtime.models"}
        for key, value in {**_call(model), **_who(), **said}.items():
            record.attributes.append(attribute(key, value))
        scope_logs.log_records.append(record)
    return request


def attribute(key: str, value: str | int) -> KeyValue:
    """One OTLP attribute."""
    made = KeyValue(key=key)
    if isinstance(value, str):
        made.value.string_value = value
    else:
        made.value.int_value = value
    return made


_RUN: Attributes = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "shop-assistant",
    "agent.ttfb_ms": 800,
    "agent.outcome": "success",
    "agent.feature": "order-questions",
}


def _call(model: str) -> Attributes:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
    }


def _who() -> Attributes:
    return {
        "tenant.id": "tenant-00",
        "user.id": "user-0000",
        "gen_ai.conversation.id": "0" * 16,
    }


def _find_who(fields: _Fields) -> None:
    fields.find("tenant", b"tenant-", len("tenant-"))
    fields.find("user", b"user-", len("user-"))
    fields.find("conversation", b"0" * 16)


def _write_who(fields: _Fields, rng: np.random.Generator, count: int) -> None:
    """One tenant, user and conversation for all records of a trace."""
    traces = count // RECORDS_PER_TRACE
    for name, values in (
        ("tenant", _decimals(rng.integers(0, TENANTS, traces), 2)),
        ("user", _decimals(rng.integers(0, USERS, traces), 4)),
        ("conversation", _HEX[rng.integers(0, 16, (traces, 16))]),
    ):
        fields.write(name, _to_each_record(values))


def _to_each_record(of_traces: Bytes) -> Bytes:
    return np.repeat(of_traces, RECORDS_PER_TRACE, axis=0)


def _times(rng: np.random.Generator, count: int) -> tuple[Bytes, Bytes]:
    """Ends within the last second, and starts 5 ms to 5 s before them; fixed64."""
    end = time.time_ns() - rng.integers(0, 10**9, count)
    start = end - rng.integers(5 * 10**6, 5 * 10**9, count)
    return _fixed64(end), _fixed64(start)


def _fixed64(values: NDArray[np.int64]) -> Bytes:
    flat: Bytes = values.astype("<i8").view(np.uint8)
    return flat.reshape(-1, 8)


def _random_bytes(rng: np.random.Generator, count: int, width: int) -> Bytes:
    return np.frombuffer(rng.bytes(count * width), np.uint8).reshape(count, width)


def _decimals(values: NDArray[np.int64], width: int) -> Bytes:
    powers = 10 ** np.arange(width - 1, -1, -1)
    digits: Bytes = _DIGITS[values[:, None] // powers % 10]
    return digits


def _varints(rng: np.random.Generator, count: int, low: int, high: int) -> Bytes:
    """Numbers that take two bytes as a varint: from 128 on, below 16384."""
    values = rng.integers(low, high, count)
    return np.stack((values & 127 | 128, values >> 7), axis=1).astype(np.uint8)
