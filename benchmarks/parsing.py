"""What the official protobuf classes need for the same bytes, and nothing else."""

import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from google.protobuf.internal import api_implementation
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_bodies import RECORDS_PER_REQUEST, SpanRequests

_TEMPLATES = 8


@dataclass(frozen=True)
class ParseRate:
    """Spans per second of one core: while the others rest, and while each of them parses too.

    They differ where what counts as cores shares a real one, or clock and memory.
    """

    alone: float
    all_busy: float


def parse_rate(seconds: float) -> ParseRate:
    """Measure both, each for so many seconds, in processes of their own."""
    cores = os.cpu_count() or 1
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=spawn) as processes:
        # Every process is started and has its imports before anything is timed.
        list(processes.map(_parse, [0.1] * cores))
        alone = processes.submit(_parse, seconds).result()
        all_busy = statistics.mean(processes.map(_parse, [seconds] * cores))
    return ParseRate(alone, all_busy)


def _parse(seconds: float) -> float:
    if api_implementation.Type() != "upb":
        raise RuntimeError(f"protobuf runs as {api_implementation.Type()}, not upb: reinstall it")
    bodies = [SpanRequests(seed).body() for seed in range(_TEMPLATES)]
    parsed = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        ExportTraceServiceRequest.FromString(bodies[parsed % len(bodies)])
        parsed += 1
    return parsed * RECORDS_PER_REQUEST / (time.perf_counter() - started)
