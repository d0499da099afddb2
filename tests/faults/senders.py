"""Senders that behave as OTLP prescribes, and that know what was promised to them."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from lake import Lake
from tests.faults.batches import log_batch, rows_per_value, span_batch
from tests.sidecar import Processes

SPAN_SENDERS = 3
PROTOBUF = {"content-type": "application/x-protobuf"}
EXPORT_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

NewBatch = Callable[[int], tuple[list[str], bytes]]
Deliver = Callable[[bytes], bool]
"""Sends a batch once; whether it was acknowledged. Anything but yes and "come back" is a bug."""


@dataclass
class Sent:
    """What one sender knows: records that were acknowledged, and those it gave up."""

    acknowledged: list[str] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    retries: int = 0


class Load:
    """Three senders of spans over HTTP, one over gRPC and one of logs, running side by side."""

    def __init__(self, sidecar: Processes, seed: float, largest: int) -> None:
        rng = random.Random(seed)
        self._finish = threading.Event()
        self._pool = ThreadPoolExecutor(SPAN_SENDERS + 2)
        over_http = [(http_delivery(f"{sidecar.url}/v1/traces"), span_batch)] * SPAN_SENDERS
        over_grpc = [(grpc_delivery(sidecar.grpc), span_batch)]
        of_logs = [(http_delivery(f"{sidecar.url}/v1/logs"), log_batch)]
        self.spans = [Sent() for _ in (*over_http, *over_grpc)]
        self.logs = [Sent()]
        self._running = [
            self._pool.submit(send, deliver, batch, rng.random(), largest, sent, self._finish)
            for (deliver, batch), sent in zip(
                (*over_http, *over_grpc, *of_logs), self.all, strict=True
            )
        ]

    @property
    def all(self) -> Sequence[Sent]:
        return *self.spans, *self.logs

    def wait_until_each(self, what: Callable[[Sent], int], *, more: int = 1) -> None:
        """Return once `what` has grown by `more` for every sender."""
        wanted = [what(sent) + more for sent in self.all]
        deadline = time.monotonic() + 60
        while missing := [
            w - what(s) for s, w in zip(self.all, wanted, strict=True) if what(s) < w
        ]:
            self.check_alive()
            assert time.monotonic() < deadline, f"after a minute it still lacks {missing}"
            time.sleep(0.05)

    def check_alive(self) -> None:
        """Raise what ended a sender, if anything did."""
        for future in self._running:
            if future.done():
                _result(future)

    def finish(self) -> None:
        """Let every sender end the batch it has at hand; raises what ended one before."""
        self._finish.set()
        for future in self._running:
            _result(future)
        self._pool.shutdown()

    def abandon(self) -> None:
        self._finish.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def load(sidecar: Processes, *, seed: float = 0, largest: int = 300) -> Iterator[Load]:
    """Senders of batches of up to `largest` records; `finish` them while the sidecar works."""
    running = Load(sidecar, seed, largest)
    try:
        yield running
    finally:
        running.abandon()


def send(
    deliver: Deliver,
    new_batch: NewBatch,
    seed: float,
    largest: int,
    sent: Sent,
    finish: threading.Event,
) -> None:
    """Send batches one after the other, each retried as OTLP says until it is acknowledged.

    One batch in ten is given up after its first failure, as by a client that ends: it may be in
    the lake or not, but never twice.
    """
    rng = random.Random(seed)
    while not finish.is_set():
        names, body = new_batch(rng.randint(1, largest))
        patient = rng.random() < 0.9
        give_up_at = time.monotonic() + 60
        while not deliver(body):
            assert time.monotonic() < give_up_at, "a minute without an acknowledgement"
            sent.retries += 1
            if not patient:
                sent.given_up.update(names)
                break
            time.sleep(rng.uniform(0.01, 0.1))
        else:
            sent.acknowledged += names
        time.sleep(rng.uniform(0, 0.02))


def http_delivery(url: str) -> Deliver:
    """Delivers over HTTP; a refusal must be a 503 that says when to come back."""
    client = httpx.Client(timeout=20, headers=PROTOBUF)

    def deliver(body: bytes) -> bool:
        try:
            response = client.post(url, content=body)
        except httpx.TransportError:
            return False
        assert response.status_code in {200, 503}, response.text
        if response.status_code == 200:
            assert not response.content, "part of a sound batch was refused"
            return True
        assert int(response.headers["retry-after"]) > 0
        assert Status.FromString(response.content).message
        return False

    return deliver


def grpc_delivery(address: str) -> Deliver:
    """Delivers over gRPC; what the receiver refuses must be UNAVAILABLE with a RetryInfo.

    A call that meets the very end of a server is CANCELLED by the library, before anyone could
    answer it; OTLP's clients retry that, too.
    """
    channel = grpc.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", 200)])
    export = channel.unary_unary(EXPORT_SPANS)

    def deliver(body: bytes) -> bool:
        try:
            return not export(body, timeout=20)
        except grpc.RpcError as error:
            refusal = error
        if refusal.code() is grpc.StatusCode.CANCELLED:
            return False
        assert refusal.code() is grpc.StatusCode.UNAVAILABLE, refusal
        details = dict(refusal.trailing_metadata() or ()).get("grpc-status-details-bin")
        if details is not None:  # none when nobody is there
            (detail,) = Status.FromString(details).details
            assert detail.Is(RetryInfo.DESCRIPTOR)
        return False

    return deliver


def check_lake(lake: Lake, load: Load) -> None:
    """Every acknowledged record once, every abandoned one at most once, nothing else."""
    check(rows_per_value(lake, "spans", "span_id"), load.spans)
    check(rows_per_value(lake, "logs", "body"), load.logs)


def check(found: Counter[str], sent: Sequence[Sent]) -> None:
    """The same for one table."""
    acknowledged = [name for one in sent for name in one.acknowledged]
    lost = [name for name in acknowledged if name not in found]
    doubled = [name for name, times in found.items() if times > 1]
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged records are lost"
    assert not doubled, f"{len(doubled)} records are there more than once"
    assert set(found) <= set(acknowledged).union(*(one.given_up for one in sent))


def check_journal_is_empty(data: Path) -> None:
    """Nothing waits and nothing was set aside."""
    assert not list(data.glob("journal/*/*.journal"))
    assert not list(data.glob("journal/*/*.open"))
    assert not list(data.glob("journal/*/quarantine/*"))


def _result(future: "Future[None]") -> None:
    future.result(90)
