"""How many spans per second the sidecar acknowledges and makes queryable.

    python benchmarks/bench_ingest.py [--seconds 20] [--connections 8] [--json]

Starts the real sidecar (`quietpager up`) on a fresh directory, sends requests of 1000 spans (about
360 bytes each) over OTLP/HTTP as fast as they are acknowledged, then waits until every one is in
the lake and checks that each is there once. Sender and sidecar share the machine. Beside the
rates stands what the official protobuf classes need to parse the same bytes in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from platform import python_version

import duckdb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_load import SPANS_PER_REQUEST, RequestTemplate, send_for

from lake import Lake


@dataclass(frozen=True)
class Result:
    """Rates are spans per second over the time of sending (or until all were queryable)."""

    seconds: float
    spans: int
    bytes_per_span: float
    acknowledged_per_second: float
    queryable_per_second: float
    queryable_while_sending_per_second: float
    ack_p50_ms: float
    ack_p99_ms: float
    told_to_wait: int
    peak_rss_mib: dict[str, float]
    cpu_seconds: dict[str, float]
    lake_bytes_per_span: float
    parse_per_second: float
    acknowledged_over_parse: float
    queryable_over_parse: float


def main() -> None:
    """Run once and print the result."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=20.0, help="how long to send")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    result = measure(chosen.seconds, chosen.connections)
    if chosen.json:
        print(json.dumps(asdict(result)))
    else:
        print(as_text(result))


def measure(seconds: float, connections: int) -> Result:
    """Send for `seconds`, wait until all is queryable, count."""
    bodies = [RequestTemplate(seed).body() for seed in range(8)]
    parse_per_second = parse_rate(bodies)
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        data = Path(folder)
        lake = Lake(data / "lake")
        with sidecar(data) as (url, supervisor):
            started = time.monotonic()
            seen = send_for(url, seconds, connections)
            sent_in = time.monotonic() - started
            while_sending = rows(lake)
            while rows(lake) < seen.spans:
                time.sleep(1)
            queryable_in = time.monotonic() - started
            memory = {name: peak_rss_mib(pid) for name, pid in processes(supervisor).items()}
            cpu = {name: cpu_seconds(pid) for name, pid in processes(supervisor).items()}
        assert distinct_rows(lake) == (seen.spans, seen.spans), "spans are lost or doubled"
        lake_bytes = live_bytes(lake)
    durations = statistics.quantiles(seen.durations, n=100)
    acknowledged = seen.spans / sent_in
    queryable = seen.spans / queryable_in
    return Result(
        seconds=seconds,
        spans=seen.spans,
        bytes_per_span=statistics.mean(map(len, bodies)) / SPANS_PER_REQUEST,
        acknowledged_per_second=acknowledged,
        queryable_per_second=queryable,
        queryable_while_sending_per_second=while_sending / sent_in,
        ack_p50_ms=durations[49] * 1000,
        ack_p99_ms=durations[98] * 1000,
        told_to_wait=seen.told_to_wait,
        peak_rss_mib=memory,
        cpu_seconds=cpu,
        lake_bytes_per_span=lake_bytes / seen.spans,
        parse_per_second=parse_per_second,
        acknowledged_over_parse=acknowledged / parse_per_second,
        queryable_over_parse=queryable / parse_per_second,
    )


def parse_rate(bodies: list[bytes], seconds: float = 2.0) -> float:
    """Spans per second that one core parses with the official classes, and nothing else."""
    parsed = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        ExportTraceServiceRequest.FromString(bodies[parsed % len(bodies)])
        parsed += 1
    return parsed * SPANS_PER_REQUEST / (time.perf_counter() - started)


def rows(lake: Lake) -> int:
    """How many spans a query sees now."""
    return count(lake, "count(*)")[0]


def distinct_rows(lake: Lake) -> tuple[int, int]:
    """Rows, and distinct (trace_id, span_id) pairs."""
    return count(lake, "count(*), count(DISTINCT (trace_id, span_id))")


def count(lake: Lake, what: str) -> tuple[int, ...]:
    """Ask one snapshot of the spans."""
    with duckdb.connect() as connection:
        lake.snapshot().attach(connection)
        return connection.sql(f"SELECT {what} FROM lake_spans").fetchall()[0]


def live_bytes(lake: Lake) -> int:
    """Size of the Parquet files that the present version of the table consists of."""
    return sum(
        Path(file.removeprefix("file://")).stat().st_size for file in lake.snapshot().files["spans"]
    )


def processes(supervisor: int) -> dict[str, int]:
    """The process id of each process of the sidecar, by its role (Linux)."""
    found = {"supervisor": supervisor}
    for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        found[command[command.index("cli.process") + 1]] = int(child)
    return found


def peak_rss_mib(pid: int) -> float:
    """The most memory that the process ever had resident (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(peak) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def sidecar(data: Path) -> Iterator[tuple[str, int]]:
    """`quietpager up` on free ports; gives its OTLP/HTTP URL and process id, and drains it."""
    command = [sys.executable, "-m", "cli", "up", "--data", str(data)]
    for option in ("--otlp-http", "--otlp-grpc", "--dashboard"):
        command += [option, "127.0.0.1:0"]
    with (data / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            urls = dict(line.split() for line in lines if line.strip())
            if len(urls) < 3:
                raise RuntimeError((data / "log").read_text())
            yield urls["OTLP/HTTP"], process.pid
        finally:
            process.terminate()
            process.wait(timeout=90)


def as_text(result: Result) -> str:
    """The result for a reader."""
    memory = ", ".join(f"{name} {mib:.0f}" for name, mib in result.peak_rss_mib.items())
    cpu = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.cpu_seconds.items())
    return f"""\
machine                 {os.cpu_count()} cores for sidecar and sender, Python {python_version()}
sent                    {result.spans:,} spans of {result.bytes_per_span:.0f} bytes in \
{result.seconds:.0f} s, each is queryable once
acknowledged            {result.acknowledged_per_second:,.0f} spans/s
queryable               {result.queryable_per_second:,.0f} spans/s; \
{result.queryable_while_sending_per_second:,.0f} while sending
acknowledgement         p50 {result.ack_p50_ms:.1f} ms, p99 {result.ack_p99_ms:.1f} ms
told to come back       {result.told_to_wait} times
peak memory             {memory} MiB
processor time          {cpu} s
lake                    {result.lake_bytes_per_span:.0f} bytes/span
parsing the same bytes  {result.parse_per_second:,.0f} spans/s on one core
acknowledged / parsed   {result.acknowledged_over_parse:.2f}
queryable / parsed      {result.queryable_over_parse:.2f}"""


if __name__ == "__main__":
    main()
