"""The collector and the table of ingest: what the one drops the other drops, name by name."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from ruamel.yaml import YAML

from ingest.privacy.table import anyone_of, content_table, pattern_of
from tests.collector.pipeline import Pipeline, wait_until
from tests.ingest.content import (
    CANARY,
    planted_logs,
    planted_metrics,
    planted_spans,
    titled_spans,
)

REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


def processors(repository: Path) -> Any:
    document = YAML(typ="safe").load((repository / "otel-collector.yaml").read_text())
    return document["processors"]


def unquoted(statement: str) -> list[str]:
    """The texts in a statement, as the collector reads them."""
    return [json.loads(f'"{part}"') for part in _texts(statement)]


def _texts(statement: str) -> Iterator[str]:
    text, inside, escaped = "", False, False
    for character in statement:
        if not escaped and character == '"':
            if inside:
                yield text
            text, inside = "", not inside
        elif inside:
            text += character
        escaped = character == "\\" and not escaped


def test_the_configuration_has_the_names_of_the_table(repository: Path) -> None:
    """In every place attributes can stand, one statement per dialect with its very names."""
    groups = processors(repository)["transform/drop_content"]
    wanted = [dialect.pattern for dialect in content_table().dialects]
    for statements, contexts in (
        ("trace_statements", {"span", "spanevent", "resource"}),
        ("log_statements", {"log", "resource"}),
        ("metric_statements", {"datapoint", "resource"}),
    ):
        dropping = [
            group
            for group in groups[statements]
            if "delete_matching_keys" in group["statements"][0]
        ]
        assert {group["context"] for group in dropping} == contexts
        for group in dropping:
            assert [unquoted(each)[0] for each in group["statements"]] == wanted


def test_the_configuration_has_the_names_of_spans_of_the_table(repository: Path) -> None:
    """One statement per rule: of which scope, called how, and what is left of it."""
    groups = processors(repository)["transform/drop_content"]["trace_statements"]
    (naming,) = (group for group in groups if "set(span.name" in group["statements"][0])
    wanted = [
        [rule.left, pattern_of([rule.scope]), pattern_of([rule.name])]
        for rule in content_table().span_names
    ]
    assert [unquoted(each) for each in naming["statements"]] == wanted


def test_the_configuration_has_the_expressions_of_the_table(repository: Path) -> None:
    """Secrets are the same here and there, and so are the keys that are left alone."""
    table, configured = content_table(), processors(repository)
    redaction = configured["redaction"]
    assert redaction["blocked_values"] == list(table.masked.values())
    assert redaction["ignored_key_patterns"] == list(table.unmasked_keys)
    assert redaction["blocked_key_patterns"] == [pattern_of(table.secret_names)]
    (of_status,) = configured["transform/drop_content"]["trace_statements"][-1]["statements"]
    assert unquoted(of_status)[0] == anyone_of(table.masked.values())
    bodies = configured["transform/drop_content"]["log_statements"][-1]["statements"]
    assert all(pattern_of(table.body_events) in unquoted(each) for each in bodies)


class Recorder:
    """Takes whatever the collector sends on, in place of the sidecar."""

    def __init__(self, port: int) -> None:
        self.requests: list[Any] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "zstd":
                    body = zstandard.ZstdDecompressor().stream_reader(body).read()
                recorder.requests.append(REQUESTS[self.path].FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.collector
def test_the_collector_drops_every_name_of_the_table(
    collector_binary: Path, repository: Path, tmp_path: Path
) -> None:
    """Planted under every name in every place and signal, nothing of it leaves the collector.

    Nor do spans leave it under a name that is content.
    """
    pipeline = Pipeline(collector_binary, repository, tmp_path)
    port = int(pipeline.collector.environment["INGEST_URL"].rpartition(":")[2])
    recorder = Recorder(port)
    try:
        pipeline.collector.start()
        for path, request in (
            ("traces", planted_spans()),
            ("traces", titled_spans()),
            ("logs", planted_logs()),
            ("metrics", planted_metrics()),
        ):
            assert CANARY in str(request)
            httpx.post(
                f"{pipeline.otlp_http}/v1/{path}",
                content=request.SerializeToString(),
                headers={"content-type": "application/x-protobuf"},
            ).raise_for_status()
        wait_until(lambda: len({type(r) for r in recorder.requests}) == 3, 45, "all three signals")
    finally:
        pipeline.collector.end()
        recorder.close()
    passed_on = "".join(map(str, recorder.requests))
    assert CANARY not in passed_on
    assert "gen_ai.usage.input_tokens" in passed_on
    assert all(f'name: "{rule.left}"' in passed_on for rule in content_table().span_names)
