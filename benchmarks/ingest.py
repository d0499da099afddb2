"""How fast telemetry becomes queryable, and what that takes, beside other receivers.

    python benchmarks/ingest.py [--seconds 300] [--peers phoenix,mlflow,rotel] [--json]

Runs the real sidecar (`quietpager up`) and sends OTLP/HTTP requests of 1000 records to it, from a
process of its own on the same machine. What each figure is, is in benchmarks/README.md.

Of the product only `lake` may be imported here: this file's name hides the package `ingest`.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

import peers
from figures import progress, quantile
from options import names_of, positive
from otlp_bodies import RECORDS_PER_REQUEST
from parsing import ParseRate, parse_rate
from phases import (
    Sustained,
    fill,
    freshness,
    idle,
    storage,
    sustained,
)
from sidecar import sidecar

from lake import Lake

FRESHNESS_SECONDS = 30.0
IDLE_SECONDS = 30.0
LOG_SECONDS = 60.0
PARSE_SECONDS = 3.0
STORED_SPANS = 1_000_000
"""How many spans the bytes on disk are measured of, at most."""
STORED_SPANS_PER_SECOND = 20_000

Figures = dict[str, object]


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    seconds: float
    connections: int
    rate: float | None
    peers: tuple[str, ...]
    as_json: bool


def main() -> None:
    """Run every measurement once and print the result."""
    options = _options()
    figures = _measure(options)
    print(json.dumps(figures) if options.as_json else _table(figures))


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=positive, default=300.0,
        help="how long spans are sent (300); no other measurement takes longer than this",
    )  # fmt: skip
    parser.add_argument("--connections", type=int, default=8, help="senders at a time (8)")
    parser.add_argument(
        "--rate", type=positive, help="spans per second; as fast as acknowledged if left out"
    )
    parser.add_argument(
        "--peers", type=names_of(peers.PEERS), default=tuple(peers.PEERS),
        help=f"receivers to compare with ({','.join(peers.PEERS)}), or none",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    return Options(chosen.seconds, chosen.connections, chosen.rate, chosen.peers, chosen.json)


def _measure(options: Options) -> Figures:
    progress(f"parsing alone, {PARSE_SECONDS:.0f} s")
    parsed = parse_rate(min(PARSE_SECONDS, options.seconds))
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        progress(f"spans for {options.seconds:.0f} s")
        spans = sustained(Path(folder), "spans", options.seconds, options.connections, options.rate)
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        seconds = min(LOG_SECONDS, options.seconds)
        progress(f"log records for {seconds:.0f} s")
        logs = sustained(Path(folder), "logs", seconds, options.connections, None)
    figures = _span_figures(spans, parsed) | {
        "logs_records_per_s": logs.rate,
        "logs_acknowledged_per_s": logs.acknowledged_rate,
        "logs_drained_per_s": logs.whole_rate,
        "otlp_bytes_per_log_record": logs.sent.bytes / logs.sent.records,
    }
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        figures |= _freshness_and_storage(Path(folder) / "data", options.seconds)
        figures |= _idle(Path(folder) / "idle", min(IDLE_SECONDS, options.seconds))
    measured = {
        name: _peer(name, spans, min(peers.SECONDS, options.seconds)) for name in options.peers
    }
    return figures | {"peers": measured}


def _span_figures(spans: Sustained, parsed: ParseRate) -> Figures:
    footprint = spans.footprint
    return {
        "cores": os.cpu_count(),
        "python": python_version(),
        "seconds": spans.sent.seconds,
        "spans": spans.sent.records,
        "spans_per_s": spans.rate,
        "acknowledged_per_s": spans.acknowledged_rate,
        "drained_per_s": spans.whole_rate,
        "parse_per_s": parsed.alone,
        "parse_per_s_all_busy": parsed.all_busy,
        "ratio_to_parse": spans.rate / parsed.alone,
        "ratio_to_parse_all_busy": spans.rate / parsed.all_busy,
        "ack_p50_ms": spans.ack_ms(50),
        "ack_p99_ms": spans.ack_ms(99),
        "told_to_wait": spans.sent.told_to_wait,
        "rss_mb": footprint.peak_rss_mb,
        "rss_median_mb": footprint.median_rss_mb,
        "rss_growth": footprint.rss_growth,
        "pss_mb": footprint.peak_pss_mb,
        "rss_mb_by_process": footprint.peak_rss_mb_by_role,
        "cpu_s_by_process": {**footprint.cpu_seconds, "sender": spans.sent.cpu_seconds},
    }


def _freshness_and_storage(data: Path, seconds: float) -> Figures:
    """Freshness under a moderate load, then the bytes on disk of a larger one."""
    lake = Lake(data / "lake")
    stored = int(min(STORED_SPANS, seconds * STORED_SPANS_PER_SECOND))
    with sidecar(data) as up:
        progress(f"freshness for {min(FRESHNESS_SECONDS, seconds):.0f} s")
        ages = freshness(up.url, lake, min(FRESHNESS_SECONDS, seconds))
        progress(f"bytes on disk of {stored:,} spans")
        fill(up.url, lake, stored)
    on_disk = storage(lake)
    return {
        "freshness_p50_s": quantile(ages, 50),
        "freshness_p99_s": quantile(ages, 99),
        "freshness_max_s": max(ages),
        "bytes_per_span": on_disk["ordered"],
        "bytes_per_span_compacted": on_disk["compacted"],
        "bytes_per_span_written": on_disk["written"],
        "otlp_bytes_per_span": on_disk["otlp"],
        "otlp_gzip_bytes_per_span": on_disk["gzip"],
        "storage_ratio": on_disk["ordered"] / on_disk["otlp"],
    }


def _idle(data: Path, seconds: float) -> Figures:
    """A sidecar that was used before, on its second start, without traffic."""
    with sidecar(data) as up:
        fill(up.url, Lake(data / "lake"), RECORDS_PER_REQUEST)
    progress(f"start, and {seconds:.0f} s without traffic")
    ready, resting = idle(data, seconds)
    return {
        "ready_s": ready,
        "idle_cpu_percent": resting.cpu_percent,
        "idle_cpu_s_by_process": resting.cpu_seconds,
        "idle_rss_mb": resting.median_rss_mb,
        "idle_pss_mb": resting.median_pss_mb,
    }


def _peer(name: str, ours: Sustained, seconds: float) -> Figures:
    """What it does, and how many times that we do; what stores nothing only acknowledges."""
    progress(f"{name} for about {seconds:.0f} s")
    try:
        theirs = peers.measure(name, seconds)
    except (OSError, RuntimeError, subprocess.SubprocessError) as fault:
        progress(f"  {name} cannot be measured: {fault}")
        return {"error": str(fault)}
    figures: Figures = {
        "version": theirs.version,
        "spans": theirs.spans,
        "spans_per_s": theirs.spans_per_s,
        "ratio": ours.rate / theirs.spans_per_s,
    }
    if peers.PEERS[name].database is None:
        figures["acknowledged_ratio"] = ours.acknowledged_rate / theirs.spans_per_s
    return figures


def _table(figures: Figures) -> str:
    """The result for a reader: what, how much, in which unit."""
    lines = list(_lines(figures))
    label = max(len(line[0]) for line in lines)
    value = max(len(line[1]) for line in lines)
    return "\n".join(f"{a:<{label}}  {b:>{value}}  {c}".rstrip() for a, b, c in lines)


# What stands in the table, in this order: key, label, digits behind the point, unit.
_ROWS = (
    ("spans", "spans sent, each queryable once", 0, "spans"),
    ("seconds", "sent for", 0, "s"),
    ("spans_per_s", "queryable", 0, "spans/s"),
    ("acknowledged_per_s", "acknowledged", 0, "spans/s"),
    ("drained_per_s", "  until the last was", 0, "spans/s"),
    ("parse_per_s", "parsing the same bytes", 0, "spans/s on one core"),
    ("parse_per_s_all_busy", "  while every core does", 0, "spans/s on one core"),
    ("ratio_to_parse", "queryable / parsed", 3, ""),
    ("ratio_to_parse_all_busy", "  while every core does", 3, ""),
    ("ack_p50_ms", "acknowledgement p50", 1, "ms"),
    ("ack_p99_ms", "acknowledgement p99", 1, "ms"),
    ("told_to_wait", "told to come back", 0, "times"),
    ("rss_mb", "memory, all processes, peak", 0, "MiB RSS"),
    ("pss_mb", "  shared pages once", 0, "MiB PSS"),
    ("rss_growth", "  last third / first third", 2, ""),
    ("rss_mb_by_process", "  peak of", 0, "MiB RSS"),
    ("cpu_s_by_process", "processor time of", 1, "s"),
    ("logs_records_per_s", "log records queryable", 0, "records/s"),
    ("logs_acknowledged_per_s", "  acknowledged", 0, "records/s"),
    ("logs_drained_per_s", "  until the last was", 0, "records/s"),
    ("freshness_p50_s", "acknowledged to queryable p50", 2, "s"),
    ("freshness_p99_s", "acknowledged to queryable p99", 2, "s"),
    ("otlp_bytes_per_span", "OTLP", 1, "bytes/span"),
    ("otlp_gzip_bytes_per_span", "OTLP, gzipped", 1, "bytes/span"),
    ("bytes_per_span_written", "on disk as written", 1, "bytes/span"),
    ("bytes_per_span_compacted", "on disk, small files merged", 1, "bytes/span"),
    ("bytes_per_span", "on disk, day in order", 1, "bytes/span"),
    ("storage_ratio", "on disk / OTLP", 3, ""),
    ("ready_s", "start until ready", 2, "s"),
    ("idle_cpu_percent", "idle", 2, "% of a core"),
    ("idle_rss_mb", "idle memory", 0, "MiB RSS"),
    ("idle_pss_mb", "  shared pages once", 0, "MiB PSS"),
)


def _lines(figures: Figures) -> Iterator[tuple[str, str, str]]:
    yield "machine", str(figures["cores"]), f"cores for all, Python {figures['python']}"
    for key, label, digits, unit in _ROWS:
        figure = figures[key]
        if isinstance(figure, Mapping):
            for name, part in figure.items():
                yield f"{label} {name}", f"{part:,.{digits}f}", unit
        else:
            yield label, f"{figure:,.{digits}f}", unit
    measured = figures["peers"]
    assert isinstance(measured, Mapping)
    for name, peer in measured.items():
        if "error" in peer:
            yield name, "-", f"could not be measured: {peer['error']}"
            continue
        yield f"{name} {peer['version']}", f"{peer['spans_per_s']:,.0f}", "spans/s"
        yield f"queryable / {name}", f"{peer['ratio']:,.2f}", ""


if __name__ == "__main__":
    main()
