"""OTLP trace requests as a busy collector sends them, cheap enough to share two cores."""

import http.client
import os
import random
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_REQUEST = 1000
SPANS_PER_TRACE = 10
_HEADERS = {"content-type": "application/x-protobuf"}


class RequestTemplate:
    """One request of about 360 kB whose ids are replaced before each sending."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        request = _request(rng)
        self._body = bytearray(request.SerializeToString())
        spans = request.resource_spans[0].scope_spans[0].spans
        self._traces: list[list[int]] = []
        self._span_ids: list[int] = []
        position = 0
        for number, span in enumerate(spans):
            position = self._body.index(span.trace_id, position)
            if number % SPANS_PER_TRACE == 0:
                self._traces.append([])
            self._traces[-1].append(position)
            position = self._body.index(span.span_id, position)
            self._span_ids.append(position)

    def body(self) -> bytes:
        """A request with ids that were never used before."""
        body = self._body
        trace_ids = os.urandom(16 * len(self._traces))
        for number, positions in enumerate(self._traces):
            trace_id = trace_ids[16 * number : 16 * number + 16]
            for position in positions:
                body[position : position + 16] = trace_id
        span_ids = os.urandom(8 * len(self._span_ids))
        for number, position in enumerate(self._span_ids):
            body[position : position + 8] = span_ids[8 * number : 8 * number + 8]
        return bytes(body)


@dataclass
class Acknowledgements:
    """What the senders saw. Durations in seconds, from the first byte sent to the answer."""

    spans: int = 0
    durations: list[float] = field(default_factory=list)
    told_to_wait: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def send_for(url: str, seconds: float, connections: int) -> Acknowledgements:
    """Keep `connections` senders busy for `seconds`; each retries a batch until it is taken."""
    seen = Acknowledgements()
    deadline = time.monotonic() + seconds
    senders = [
        threading.Thread(target=_send, args=(url, deadline, seed, seen))
        for seed in range(connections)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return seen


def _send(url: str, deadline: float, seed: int, seen: Acknowledgements) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    template = RequestTemplate(seed)
    while time.monotonic() < deadline:
        body = template.body()
        started = time.monotonic()
        while (status := _post(connection, body)) == 503:
            with seen.lock:
                seen.told_to_wait += 1
            time.sleep(1)
            started = time.monotonic()
        if status != 200:
            raise RuntimeError(f"the receiver answered {status}")
        with seen.lock:
            seen.spans += SPANS_PER_REQUEST
            seen.durations.append(time.monotonic() - started)
    connection.close()


def _post(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/v1/traces", body, _HEADERS)
    response = connection.getresponse()
    response.read()
    return response.status


def _request(rng: random.Random) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _attribute(resource_spans.resource.attributes.add(), "service.name", "shop-assistant")
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "agent_runtime"
    now = time.time_ns()
    for _ in range(SPANS_PER_REQUEST):
        duration = rng.randrange(5_000_000, 5_000_000_000)
        scope_spans.spans.append(_chat_span(rng, now - duration, now))
    return request


def _chat_span(rng: random.Random, start: int, end: int) -> Span:
    model = rng.choice(["gpt-5-mini", "gpt-5", "claude-sonnet-4-5"])
    span = Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        parent_span_id=rng.randbytes(8),
        name=f"chat {model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=end,
    )
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "tenant.id": f"tenant-{rng.randrange(20)}",
        "user.id": f"user-{rng.randrange(2000)}",
        "gen_ai.conversation.id": f"{rng.getrandbits(64):016x}",
        "gen_ai.usage.input_tokens": rng.randrange(50, 9000),
        "gen_ai.usage.output_tokens": rng.randrange(10, 900),
    }
    for key, value in attributes.items():
        _attribute(span.attributes.add(), key, value)
    return span


def _attribute(attribute: KeyValue, key: str, value: str | int) -> None:
    attribute.key = key
    if isinstance(value, str):
        attribute.value.string_value = value
    else:
        attribute.value.int_value = value
