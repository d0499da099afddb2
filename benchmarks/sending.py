"""Sends load over OTLP/HTTP from a process of its own, so that the benchmark costs it nothing."""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from otlp_bodies import RECORDS_PER_REQUEST, REQUESTS, Requests

_COME_BACK = (429, 502, 503, 504)
_LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """What to send to `url`: for so many seconds, or so many requests, whichever ends first.

    `rate` in records a second; None sends each request as soon as the one before is acknowledged.
    Every connection waits for its answer, and waits out a refusal as long as Retry-After says.
    """

    url: str
    signal: str = "spans"
    seconds: float = float("inf")
    requests: float = float("inf")
    connections: int = 8
    rate: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Sent:
    """What was acknowledged. Durations from the first byte sent to the answer, in seconds."""

    records: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    durations: list[float] = field(default_factory=list)
    told_to_wait: int = 0


@contextmanager
def sending(load: Load) -> Iterator["Future[Sent]"]:
    """The load is being sent while the block runs; what it gives has the result at the end."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        yield process.submit(send, load)


def send(load: Load) -> Sent:
    """Send it all from this process and say what was acknowledged."""
    return _Sender(load).run()


class _Sender:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._sent = Sent()
        self._begun = 0
        self._fault: Exception | None = None

    def run(self) -> Sent:
        sources = [REQUESTS[self._load.signal](seed) for seed in range(self._load.connections)]
        started, cpu = time.monotonic(), time.process_time()
        self._started = started
        threads = [threading.Thread(target=self._keep_sending, args=(each,)) for each in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._fault is not None:
            raise self._fault
        self._sent.seconds = time.monotonic() - started
        self._sent.cpu_seconds = time.process_time() - cpu
        return self._sent

    def _keep_sending(self, source: Requests) -> None:
        address = urlsplit(self._load.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        path = address.path.rstrip("/") + source.path
        try:
            while self._fault is None and self._take_turn():
                self._deliver(connection, path, source.body())
        except Exception as fault:  # noqa: BLE001 - raised again where the threads are joined
            self._fault = fault
        finally:
            connection.close()

    def _take_turn(self) -> bool:
        """Wait for the next request's time; False when there is none."""
        with self._lock:
            if self._begun >= self._load.requests or self._left() <= 0:
                return False
            turn = self._begun
            self._begun += 1
        if self._load.rate is not None:
            due = self._started + turn * RECORDS_PER_REQUEST / self._load.rate
            time.sleep(max(0.0, min(due - time.monotonic(), self._left())))
        return self._left() > 0

    def _left(self) -> float:
        return self._started + self._load.seconds - time.monotonic()

    def _deliver(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
        """Send until it is acknowledged; given up, unacknowledged, when the time is over."""
        while True:
            began = time.monotonic()
            status, wait = self._post(connection, path, body)
            if 200 <= status < 300:
                break
            if status not in _COME_BACK:
                raise RuntimeError(f"{self._load.url}{path} answered {status}")
            with self._lock:
                self._sent.told_to_wait += 1
            if self._left() <= wait:
                time.sleep(max(0.0, self._left()))
                return
            time.sleep(wait)
        with self._lock:
            self._sent.records += RECORDS_PER_REQUEST
            self._sent.bytes += len(body)
            self._sent.durations.append(time.monotonic() - began)

    def _post(
        self, connection: http.client.HTTPConnection, path: str, body: bytes
    ) -> tuple[int, float]:
        headers = {"content-type": "application/x-protobuf", **self._load.headers}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        said = response.headers.get("retry-after", "1")
        wait = float(said) if said.isdigit() else 1.0
        return response.status, min(wait, _LONGEST_WAIT_SECONDS)
