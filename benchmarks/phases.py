"""The measurements of `ingest.py` that are of the sidecar itself, one function each."""

import gzip
import http.client
import secrets
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from figures import progress, quantile
from footprint import Footprint, watched
from otlp_bodies import RECORDS_PER_REQUEST, SpanRequests, span_request
from sending import Load, Sent, sending
from sidecar import (
    STALLED_SECONDS,
    ask,
    each_once,
    live_bytes,
    rows,
    sidecar,
    verified,
    wait_for_rows,
)

from lake import Lake, surplus_copies

IDENTITY = {"spans": "trace_id, span_id", "logs": "log_id"}
FRESHNESS_RATE = 2000.0
"""Spans a second that go on while freshness is measured."""
SETTLE_SECONDS = 10.0
"""After a start, until the processes have done what they do once."""
_MARKER = "freshness marker"
_MARKERS_PER_SECOND = 4.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Sustained:
    """A load that was sent, and what became queryable.

    `queryable` rows a query saw when sending ended; `all_queryable_seconds` after the first
    request, it saw all.
    """

    sent: Sent
    queryable: int
    all_queryable_seconds: float
    footprint: Footprint

    @property
    def rate(self) -> float:
        """Records queryable at the end of sending, per second of sending."""
        return self.queryable / self.sent.seconds

    @property
    def acknowledged_rate(self) -> float:
        """Records acknowledged per second of sending."""
        return self.sent.records / self.sent.seconds

    @property
    def whole_rate(self) -> float:
        """Records per second from the first request until the last of them was queryable."""
        return self.sent.records / self.all_queryable_seconds

    def ack_ms(self, percentile: int) -> float:
        """So many percent of the requests were acknowledged in this time, in ms."""
        return quantile(self.sent.durations, percentile) * 1000


def sustained(
    folder: Path, signal: str, seconds: float, connections: int, rate: float | None
) -> Sustained:
    """Send for `seconds` to a fresh sidecar, wait until all is queryable, prove it is there once.

    Raises RuntimeError when anything is lost or doubled.
    """
    data = folder / signal
    lake = Lake(data / "lake")
    with sidecar(data) as up:
        load = Load(up.url, signal, seconds=seconds, connections=connections, rate=rate)
        with sending(load) as result, watched(up.pid) as footprint:
            sent = result.result()
            queryable = rows(lake, signal)
        ended = time.monotonic()
        progress(
            f"  {queryable:,} of {sent.records:,} {signal} are queryable; waiting for the rest"
        )
        wait_for_rows(lake, signal, sent.records)
        waited = time.monotonic() - ended
    if rows(lake, signal) != sent.records or not each_once(lake, signal, IDENTITY[signal]):
        raise RuntimeError(f"{signal} are lost or doubled: {rows(lake, signal)} of {sent.records}")
    if not verified(data):
        raise RuntimeError(f"quietpager verify: the ledger of {signal} does not add up")
    return Sustained(sent, queryable, sent.seconds + waited, footprint)


def freshness(url: str, lake: Lake, seconds: float) -> list[float]:
    """Seconds from the acknowledgement of a span until a query sees it, of several a second."""
    pending: dict[str, float] = {}
    ages: list[float] = []
    version = -1
    with sending(Load(url, seconds=seconds, rate=FRESHNESS_RATE, connections=2)) as load:
        next_marker = time.monotonic()
        give_up = next_marker + seconds + STALLED_SECONDS
        while not load.done() or pending:
            if time.monotonic() >= next_marker and not load.done():
                trace_id = _send_marker(url)
                pending[trace_id] = time.monotonic()
                next_marker += 1 / _MARKERS_PER_SECOND
            if (present := lake.versions().get("spans", -1)) != version:
                version = present
                found = _markers(lake)
                seen = time.monotonic()
                ages += [seen - pending.pop(trace_id) for trace_id in found & pending.keys()]
            if time.monotonic() > give_up:
                raise TimeoutError(f"{len(pending)} acknowledged spans did not become queryable")
            time.sleep(_LOOK_SECONDS)
        load.result()
    return ages


def _send_marker(url: str) -> str:
    request = span_request(0, 1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.name = _MARKER
    span.trace_id = secrets.token_bytes(16)
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"content-type": "application/x-protobuf"}
    connection.request("POST", "/v1/traces", request.SerializeToString(), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{url} answered {response.status} to one span")
    return span.trace_id.hex()


def _markers(lake: Lake) -> set[str]:
    found = ask(lake, f"SELECT trace_id FROM lake_spans WHERE name = '{_MARKER}'")
    return {str(trace_id) for (trace_id,) in found}


def fill(url: str, lake: Lake, spans: int) -> None:
    """Send so many spans and wait until they are queryable."""
    before = rows(lake, "spans")
    with sending(Load(url, requests=spans // RECORDS_PER_REQUEST)) as load:
        sent = load.result()
    wait_for_rows(lake, "spans", before + sent.records)


def storage(lake: Lake) -> Mapping[str, float]:
    """Bytes per span: as written, after small files were merged, after the day was put in order.

    Beside them what the same spans are as OTLP, plain and gzipped. No sidecar may be running.
    """
    count = rows(lake, "spans")
    written = live_bytes(lake, "spans")
    lake.compact("spans")
    compacted = live_bytes(lake, "spans")
    for day in lake.days("spans"):
        surplus_copies(lake, "spans", day).commit()
    ordered = live_bytes(lake, "spans")
    if rows(lake, "spans") != count:
        raise RuntimeError(f"putting days in order left {rows(lake, 'spans')} of {count} spans")
    bodies = [SpanRequests(seed).body() for seed in range(8)]
    otlp = statistics.mean(map(len, bodies)) / RECORDS_PER_REQUEST
    zipped = statistics.mean(len(gzip.compress(body, 6)) for body in bodies) / RECORDS_PER_REQUEST
    return {
        "written": written / count,
        "compacted": compacted / count,
        "ordered": ordered / count,
        "otlp": otlp,
        "gzip": zipped,
    }


def idle(data: Path, seconds: float) -> tuple[float, Footprint]:
    """Start the sidecar again where one ran before; seconds until ready, and what it then takes."""
    with sidecar(data) as up:
        time.sleep(min(SETTLE_SECONDS, seconds))
        with watched(up.pid) as footprint:
            time.sleep(seconds)
        return up.ready_seconds, footprint
