"""`quietpager import` beside the real collector: the same record whichever way it came."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from analytics import Analytics
from lake import Lake
from tests.cli.running import quietpager
from tests.collector.pipeline import Pipeline, Process, wait_until
from tests.collector.test_pipeline import RECORDED, recorded_spans
from tests.ports import free_port

NOW = datetime.now(UTC).replace(microsecond=123456)
EVENTS: list[dict[str, Any]] = [
    {"event": "agent.run", "level": "info", "tenant_id": "acme", "llm_calls": 3, "ratio": 0.25,
     "duration_ms": 12.0, "ok": True, "nothing": None, "model": "gpt-4o-mini"},
    {"event": "llm.call", "level": "warning", "trace_id": "0af7651916cd43dd8448eb211c80319c",
     "span_id": "b7ad6b7169203331", "trace_flags": "01", "service.name": "support"},
    {"event": "odd ids", "trace_id": "0af7", "span_id": None, "level": "exception"},
    {"event": "no ids", "trace_id": "not hex", "span_id": "b7ad6b7169203331", "level": "critical"},
    {"event": "nested", "level": "LOUD", "z": {"b": [1, None, {"d": 2.5, "c": "x"}], "a": {}},
     "y": [], "x": ["a", "b"]},
    {"event": "content", "prompt": "hidden plan", "messages": ["hidden plan"],
     "gen_ai.prompt.0.content": "hidden plan", "input.value": "hidden plan",
     "llm.input_messages.0": "hidden plan", "tool_output": "hidden plan"},
    {"event": "secrets of bob@example.com", "user_email": "bob@example.com", "user.id": "a@b.org",
     "key": "sk-abcdefghijklmnopqrstuvwx", "prompt_tokens": 1234567890123,
     "card": "4111 1111 1111 1111", "in_list": ["bob@example.com"],
     "total_tokens": "4111111111111", "api_key": "any", "x.password": 12, "refresh_token": [1],
     "error": "no such user: password=hunter22, eyJhbGciOiJI.eyJzdWIiOiIx.c2ln"},
    {"event": "a key AKIAIOSFODNN7EXAMPLE", "header": "Bearer abcdefghijklmnop"},
    {"event": {"what": "an object", "mail": "bob@example.com", "card": 4111111111111111,
               "list": ["bob@example.com", 1], "user_id": "bob@example.com", "api_key": 7}},
    {"event": 4111111111111111}, {"event": 1.5}, {"event": True}, {"event": ["a", 1]},
    {"event": ""}, {"message": "no event", "prompt": "hidden plan", "level": "info"},
    {"event": None, "level": None, "prompt": "hidden plan"},
    {"event": "numbers", "big": 2**63, "negative": -(2**63), "exact": 10**25, "level": 17},
    {"event": "text é \U0001f600 \ufffd", "level": "Error", "log.file.name": "mine"},
    {"event": "stamps", "level": "3"}, {"event": "event", "event.name": "agent.done"},
    {"event": "hidden plan", "event.name": "gen_ai.choice"},
    {"event.name": "gen_ai.user.message", "level": "info"},
    {"event": "long", "note": "x" * 500 + " bob@example.com", "y.api_key": "any", "prompt\n": "p"},
    {"event": {"cookie": "a", "deep": {"x": "Pwd=hunter22"}}},
    {"event": "flags", "trace_id": "0AF7651916CD43DD8448EB211C80319C", "trace_flags": "1"},
]  # fmt: skip


def timed(events: list[dict[str, Any]]) -> Iterator[str]:
    """Each event as a line, with a time of its own in one of the ways to write it."""
    for number, event in enumerate(events):
        moment = NOW - timedelta(seconds=len(events) - number)
        stamp = [
            moment.isoformat(),
            moment.isoformat().replace("+00:00", "Z"),
            moment.astimezone(None).isoformat(),
            moment.strftime("%Y-%m-%dT%H:%M:%S,123456789Z"),
            moment.replace(microsecond=0).isoformat(),
        ][number % 5]
        yield json.dumps({**event, "timestamp": stamp}, ensure_ascii=number % 2 == 0)


def logs_of(pipeline: Pipeline, view: str, path: Path) -> list[dict[str, Any]]:
    """The rows of a file's lines, in order."""
    rows = pipeline.ask(f"SELECT * FROM {view} ORDER BY time, log_id")
    return [row for row in rows if dict(row["attributes"]).get("log.file.path") == str(path)]


@pytest.mark.collector
def test_a_line_that_also_came_through_the_collector_is_one_record(pipeline: Pipeline) -> None:
    """Importing a log file that the collector has read adds no record to the view, and no content.

    The lines are of every kind that structlog and others write, with content and secrets in them.
    """
    path = pipeline.log_file.with_name("imported.jsonl")
    lines = [*timed(EVENTS)]
    lines.append(lines[1] + " and what follows")
    lines.append(lines[0])
    lines.append("  " + lines[0].replace("agent.run", "agent.again") + "\t")
    lines[0] = "\ufeff" + lines[0]
    path.write_text("\n".join(lines) + "\n\n")
    wait_until(lambda: len(logs_of(pipeline, "logs", path)) >= len(lines), 45, "all lines")
    before = logs_of(pipeline, "logs", path)

    assert len(before) == len(lines), "equal lines differ in their place"

    address = pipeline.collector.environment["INGEST_URL"].removeprefix("http://")
    done = quietpager("import", str(path), "--data", str(pipeline.data), "--otlp-http", address)
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(
        lambda: len(logs_of(pipeline, "lake_logs", path)) == 2 * len(lines), 45, "lines imported"
    )

    assert logs_of(pipeline, "logs", path) == before
    assert "hidden plan" not in str(before)
    assert [
        dict(row["attributes"])["user_email"] for row in before if "secrets of" in str(row["body"])
    ] == ["****"]


@pytest.fixture(scope="module")
def exported(collector_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that the collector's file exporter wrote of all recordings, traces and logs in each.

    Two collectors: compressing each message, the default, and the stream, behind a feature gate.
    """
    directory = tmp_path_factory.mktemp("exported")
    files = {}
    for gate, names in (
        ("", ("json", "proto", "json-zstd", "proto-zstd")),
        ("--feature-gates=exporter.file.nativeCompression", ("json-zst", "proto-zst")),
    ):
        paths = {name: directory / name for name in names}
        run_exporters(collector_binary, directory, paths, gate)
        files |= paths
    return files


def run_exporters(binary: Path, directory: Path, paths: dict[str, Path], gate: str) -> None:
    """Start a collector with one file exporter per path, send it the recordings, and end it."""
    http, health = free_port(), free_port()
    exporters = {
        f"file/{name}": {
            "path": str(path),
            "format": name.split("-")[0],
            **({"compression": "zstd"} if "-" in name else {}),
        }
        for name, path in paths.items()
    }
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    document = {
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{http}"}}}},
        "exporters": exporters,
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": pipeline, "logs": pipeline},
        },
    }
    config = directory / "exporters.json"  # JSON is YAML
    config.write_text(json.dumps(document))
    collector = Process(
        command=[binary, f"--config={config}", *([gate] if gate else [])],
        environment={},
        output=directory / "collector.log",
        ready_url=f"http://127.0.0.1:{health}/",
    )
    collector.start()
    for path in sorted(RECORDED.glob("*.pb")):
        signal = "logs" if path.name.startswith("logs") else "traces"
        httpx.post(
            f"http://127.0.0.1:{http}/v1/{signal}",
            content=path.read_bytes(),
            headers={"content-type": "application/x-protobuf"},
        ).raise_for_status()
    collector.end()


@pytest.mark.collector
@pytest.mark.parametrize(
    "name", ["json", "proto", "json-zstd", "proto-zstd", "json-zst", "proto-zst"]
)
def test_what_the_file_exporter_wrote_comes_in_whole(
    exported: dict[str, Path], name: str, tmp_path: Path
) -> None:
    """Every recorded span and log record is there once, whatever the format and compression."""
    done = quietpager("import", str(exported[name]), "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stderr) == (0, "")

    ask = Analytics(Lake(tmp_path / "data" / "lake")).query
    spans = ask("SELECT trace_id, span_id FROM spans").to_pylist()
    sent = {(span.trace_id.hex(), span.span_id.hex()) for span in recorded_spans()}
    assert {(row["trace_id"], row["span_id"]) for row in spans} == sent
    assert len(spans) == len(sent)
    (logs,) = ask("SELECT count(*) AS n FROM logs").to_pylist()
    assert logs["n"] == recorded_logs()


def recorded_logs() -> int:
    """How many log records the recordings have."""
    return sum(
        len(scope.log_records)
        for path in RECORDED.glob("logs_*.pb")
        for resource in ExportLogsServiceRequest.FromString(path.read_bytes()).resource_logs
        for scope in resource.scope_logs
    )
