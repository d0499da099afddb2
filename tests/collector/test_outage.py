"""Quietpager is down and the collector is killed: everything arrives all the same, once."""

import json
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector.pipeline import Pipeline, nanoseconds

pytestmark = pytest.mark.collector

SPANS_PER_REQUEST = 50


def request(number: int) -> ExportTraceServiceRequest:
    """The spans of one trace, ids and names counted from the request's number."""
    sent = ExportTraceServiceRequest()
    scope = sent.resource_spans.add().scope_spans.add()
    now = nanoseconds(datetime.now(UTC))
    for index in range(SPANS_PER_REQUEST):
        scope.spans.add(
            trace_id=(number + 1).to_bytes(16),
            span_id=(index + 1).to_bytes(8),
            name=f"{number}/{index}",
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
        )
    return sent


class Agent:
    """Sends spans and writes log lines, and remembers what was accepted."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.spans: list[str] = []
        self.lines: list[str] = []

    def work(self, requests: int) -> None:
        """Send so many requests, each acknowledged, and write as many lines."""
        for _ in range(requests):
            number = len(self.spans) // SPANS_PER_REQUEST
            httpx.post(
                f"{self._pipeline.otlp_http}/v1/traces",
                content=request(number).SerializeToString(),
                headers={"content-type": "application/x-protobuf"},
            ).raise_for_status()
            self.spans += [f"{number}/{index}" for index in range(SPANS_PER_REQUEST)]
            self.log()

    def log(self) -> None:
        """Write a line, as an agent does whether or not anybody reads it."""
        name = f"line-{len(self.lines)}"
        line = {"event": name, "level": "info", "timestamp": datetime.now(UTC).isoformat()}
        with self._pipeline.log_file.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self.lines.append(name)


def test_nothing_is_lost_or_doubled_when_both_ends_fail(
    collector_binary: Path, repository: Path, tmp_path: Path
) -> None:
    """Quietpager stops, the collector is killed twice with its queue filled: one row per record."""
    pipeline = Pipeline(collector_binary, repository, tmp_path)
    agent = Agent(pipeline)
    try:
        pipeline.sidecar.start()
        pipeline.collector.start()
        agent.work(requests=5)

        assert pipeline.sidecar.end(signal.SIGTERM) == 0
        agent.work(requests=20)
        pipeline.collector.end(signal.SIGKILL)
        agent.log()
        pipeline.collector.start()
        agent.work(requests=20)
        pipeline.collector.end(signal.SIGKILL)

        pipeline.sidecar.start()
        pipeline.collector.start()
        agent.work(requests=5)
        pipeline.wait_for(len(agent.spans), "SELECT count(*) AS n FROM spans")
        pipeline.wait_for(len(agent.lines), "SELECT count(*) AS n FROM logs")
    finally:
        pipeline.collector.end()
        pipeline.sidecar.end()

    # Stored once, and not merely shown once.
    stored = pipeline.ask("SELECT name FROM lake_spans")
    assert Counter(row["name"] for row in stored) == Counter(agent.spans)
    lines = pipeline.ask("SELECT body FROM logs")
    assert Counter(row["body"] for row in lines) == Counter(agent.lines)
