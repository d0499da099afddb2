"""Agent to Parquet through the real collector: what arrives, and what must not."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode
from opentelemetry.util.types import AttributeValue

from ingest.decode import decode
from ingest.rows import span_rows
from tests.collector.pipeline import Pipeline

pytestmark = pytest.mark.collector

RECORDED = Path(__file__).parent.parent / "fixtures" / "otlp"
# What users and models said in the recordings, in every form the libraries sent it in.
CONTENT = ["Paris", "You are a weather helper", "18C sunny", "It is 18", "Be brief"]
COUNT_SPANS = "SELECT count(*) AS n FROM spans WHERE service_name = $service"
TOKEN_ATTRIBUTES = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system")
CACHED = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens")


def stored_name(name: str) -> str:
    """A span's name as it is stored: CrewAI's tasks are called by what was asked."""
    return "task" if any(said in name for said in CONTENT) else name


def recorded_spans() -> Iterator[Span]:
    """Every span of the recordings."""
    for path in sorted(RECORDED.glob("spans_*.pb")):
        for resource in ExportTraceServiceRequest.FromString(path.read_bytes()).resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


def input_tokens(span: Span) -> Iterator[int]:
    """What the span tells of its input, with what stands beside it where Bedrock counted."""
    told = {attribute.key: attribute.value for attribute in span.attributes}
    sellers = {told[name].string_value for name in PROVIDERS if name in told}
    apart = CACHED if "aws.bedrock" in sellers else ()
    for name in TOKEN_ATTRIBUTES:
        if name in told:
            cached = sum(told[part].int_value for part in apart if part in told)
            yield told[name].int_value + cached


def post(pipeline: Pipeline, signal: str, body: bytes) -> None:
    """Send an export request as an SDK does."""
    headers = {"content-type": "application/x-protobuf"}
    httpx.post(
        f"{pipeline.otlp_http}/v1/{signal}", content=body, headers=headers
    ).raise_for_status()


@pytest.fixture(scope="module")
def recordings(pipeline: Pipeline) -> Pipeline:
    """The pipeline after all recordings went through it."""
    for path in sorted(RECORDED.glob("spans_*.pb")):
        post(pipeline, "traces", path.read_bytes())
    for path in sorted(RECORDED.glob("logs_*.pb")):
        post(pipeline, "logs", path.read_bytes())
    pipeline.wait_for(len(list(recorded_spans())), "SELECT count(*) AS n FROM spans")
    logs = sum(
        len(scope.log_records)
        for path in RECORDED.glob("logs_*.pb")
        for resource in ExportLogsServiceRequest.FromString(path.read_bytes()).resource_logs
        for scope in resource.scope_logs
    )
    pipeline.wait_for(logs, "SELECT count(*) AS n FROM logs")
    return pipeline


def test_recorded_spans_arrive_once_each(recordings: Pipeline) -> None:
    """Every span that agent libraries really sent is one row, under its own ids and name."""
    sent = Counter(
        (s.trace_id.hex(), s.span_id.hex(), stored_name(s.name)) for s in recorded_spans()
    )
    rows = recordings.ask(
        "SELECT trace_id, span_id, name FROM spans"
        " WHERE coalesce(service_name, '') NOT LIKE 'test-%'"
    )
    assert Counter((r["trace_id"], r["span_id"], r["name"]) for r in rows) == sent


def test_usage_survives_redaction(recordings: Pipeline) -> None:
    """Input token counts in the lake are those on the wire, span by span.

    Bedrock's come with the cached ones, which stand beside them on the wire. Other sources (a JSON
    object of Langfuse's, a response that OpenInference quotes) may add some.
    """
    sent = {
        (span.trace_id.hex(), span.span_id.hex(), tokens)
        for span in recorded_spans()
        for tokens in input_tokens(span)
    }
    rows = recordings.ask(
        "SELECT trace_id, span_id, input_tokens FROM spans WHERE input_tokens IS NOT NULL"
        " AND coalesce(service_name, '') NOT LIKE 'test-%'"
    )
    assert sent
    assert sent <= {(r["trace_id"], r["span_id"], r["input_tokens"]) for r in rows}


def test_how_a_response_ended_survives_redaction(recordings: Pipeline) -> None:
    """It stands in a body that is content else: a stream that was cut is told by nothing else."""
    rows = recordings.ask(
        "SELECT finish_reason, outcome_reason, count(*) AS n FROM logs"
        " WHERE event_name = 'gen_ai.choice' AND scope_name LIKE '%openai_v2'"
        " GROUP BY ALL ORDER BY ALL"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("error", "incomplete", 2), ("stop", None, 4), ("tool_calls", None, 2),
    ]  # fmt: skip


def test_which_response_it_was_survives_redaction(recordings: Pipeline) -> None:
    """OpenInference and LangSmith tell it within what was answered, which goes."""
    sent = {
        (row["trace_id"], row["span_id"], row["response_id"])
        for path in RECORDED.glob("spans_*.pb")
        for table in span_rows(decode("traces", [path.read_bytes()], [0]))
        for row in table.to_pylist()
        if row["response_id"]
    }
    rows = recordings.ask(
        "SELECT trace_id, span_id, response_id FROM spans WHERE response_id IS NOT NULL"
        " AND coalesce(service_name, '') NOT LIKE 'test-%'"
    )
    assert sent == {(row["trace_id"], row["span_id"], row["response_id"]) for row in rows}


@pytest.mark.parametrize("said", CONTENT)
def test_what_was_said_stays_out_of_the_lake(recordings: Pipeline, said: str) -> None:
    """No prompt, completion, tool argument or result is in any column of any row."""
    sent = b"".join(path.read_bytes() for path in RECORDED.glob("*.pb"))
    assert said.encode() in sent
    for table in ("spans", "logs"):
        rows = recordings.ask(f"SELECT * FROM {table}")
        assert rows
        assert [row for row in rows if said in str(row)] == []


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_an_agent_with_the_sdk_gets_its_runs(pipeline: Pipeline, transport: str) -> None:
    """Spans of the OpenTelemetry SDK, over either transport, become one row of `runs` each."""
    exporter: SpanExporter = (
        HttpExporter(endpoint=f"{pipeline.otlp_http}/v1/traces")
        if transport == "http"
        else GrpcExporter(endpoint=pipeline.otlp_grpc, insecure=True)
    )
    service = f"test-sdk-{transport}"
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("agent")
    for number in range(3):
        identity = {
            "tenant.id": service,
            "user.id": "ann@example.org",
            "agent.run.id": f"r{number}",
        }
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
        chat: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 100 + number,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.input.messages": '[{"role":"user","content":"the secret plan"}]',
        }
        with (
            tracer.start_as_current_span("invoke_agent helper", attributes=identity | agent),
            tracer.start_as_current_span("chat gpt-4o-mini", attributes=identity | chat),
        ):
            pass
    provider.shutdown()
    pipeline.wait_for(6, COUNT_SPANS, service=service)
    runs = pipeline.ask(
        "SELECT run_id, user_id, agent_name, llm_calls, input_tokens, output_tokens FROM runs"
        " WHERE tenant_id = $tenant ORDER BY run_id",
        tenant=service,
    )
    assert runs == [
        {
            "run_id": f"r{number}",
            "user_id": "ann@example.org",
            "agent_name": "helper",
            "llm_calls": 1,
            "input_tokens": 100 + number,
            "output_tokens": 10,
        }
        for number in range(3)
    ]
    assert "the secret plan" not in str(pipeline.ask("SELECT * FROM spans"))


def test_secrets_in_error_messages_are_masked(pipeline: Pipeline) -> None:
    """E-mail addresses, API keys and card numbers in what remains are masked; counts are not."""
    line = {
        "event": "tool.failed",
        "level": "error",
        "timestamp": datetime.now(UTC).isoformat(),
        "tenant_id": "test-secrets",
        "error_message": "bob@example.com used sk-abcdefghijklmnopqrstuvwx on 4111 1111 1111 1111",
        "prompt_tokens": 1234567890123,
    }
    with pipeline.log_file.open("a") as log:
        log.write(json.dumps(line) + "\n")
    pipeline.wait_for(1, "SELECT count(*) AS n FROM logs WHERE tenant_id = 'test-secrets'")
    (row,) = pipeline.ask(
        "SELECT error_message, input_tokens FROM logs WHERE tenant_id = 'test-secrets'"
    )
    assert row == {"error_message": "**** used **** on ****", "input_tokens": 1234567890123}


def test_content_is_dropped_wherever_it_is_sent(pipeline: Pipeline) -> None:
    """Under every known name, on span and resource; a status message keeps its words, masked."""
    said = "the hidden plan"
    names = ("gen_ai.prompt.0.content", "langfuse.observation.input", "langsmith.trace.inputs",
             "llm.request.messages", "tool.output", "prompt", "messages")  # fmt: skip
    provider = TracerProvider(
        resource=Resource({"service.name": "test-content", "gen_ai.prompt": said})
    )
    exporter = HttpExporter(endpoint=f"{pipeline.otlp_http}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    attributes = dict.fromkeys(names, said)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("invoke_agent helper", attributes=attributes) as span:
        span.set_status(
            StatusCode.ERROR, "boom for bob@example.com, key sk-abcdefghijklmnopqrstuvwx"
        )
    provider.shutdown()
    pipeline.wait_for(1, COUNT_SPANS, service="test-content")
    (row,) = pipeline.ask("SELECT * FROM spans WHERE service_name = 'test-content'")
    assert said not in str(row)
    assert row["status_message"] == "boom for ****, key ****"


def test_content_in_log_lines_is_dropped(pipeline: Pipeline) -> None:
    """A JSON line with a prompt under a known name arrives without it."""
    line = {"event": "llm.asked", "timestamp": datetime.now(UTC).isoformat(),
            "tenant_id": "test-log-content", "gen_ai.prompt.0.content": "the hidden plan",
            "input.value": "the hidden plan"}  # fmt: skip
    with pipeline.log_file.open("a") as log:
        log.write(json.dumps(line) + "\n")
    pipeline.wait_for(1, "SELECT count(*) AS n FROM logs WHERE tenant_id = 'test-log-content'")
    (row,) = pipeline.ask("SELECT * FROM logs WHERE tenant_id = 'test-log-content'")
    assert "the hidden plan" not in str(row)


def test_lines_that_are_no_json_arrive_as_they_are(pipeline: Pipeline) -> None:
    """A traceback or a half-written line in the log file is a record with that body, not a loss."""
    lines = ["Traceback (most recent call last):", '{"event": "cut off in the mid']
    with pipeline.log_file.open("a") as log:
        log.write("\n".join(lines) + "\n")
    query = "SELECT count(*) AS n FROM logs WHERE body IN ($first, $second)"
    pipeline.wait_for(2, query, first=lines[0], second=lines[1])


def test_metrics_arrive_without_content(pipeline: Pipeline) -> None:
    """Each point of the SDK is one row with its buckets; prompts are dropped, secrets masked."""
    said = "the hidden plan"
    exporter = OTLPMetricExporter(endpoint=f"{pipeline.otlp_http}/v1/metrics")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter)],
        resource=Resource({"service.name": "test-metrics", "gen_ai.prompt": said}),
    )
    tokens = provider.get_meter("agent").create_histogram(
        "gen_ai.client.token.usage", unit="{token}", explicit_bucket_boundaries_advisory=[100]
    )
    names = ("gen_ai.prompt.0.content", "input.value", "messages", "tool_input")
    asked = {"tenant.id": "acme", "user.id": "ann@example.org"} | dict.fromkeys(names, said)
    for kind, count in (("input", 4111), ("output", 20)):
        tokens.record(count, asked | {"gen_ai.token.type": kind, "note": "to bob@example.com"})
    provider.shutdown()
    query = "SELECT count(*) AS n FROM metrics WHERE service_name = 'test-metrics'"
    pipeline.wait_for(2, query)
    rows = pipeline.ask(
        "SELECT * FROM lake_metrics WHERE service_name = 'test-metrics' ORDER BY token_type"
    )
    assert said not in str(rows)
    names_and_numbers = ("name", "unit", "tenant_id", "user_id", "token_type", "sum",
                         "bucket_bounds", "bucket_counts")  # fmt: skip
    same = ("gen_ai.client.token.usage", "{token}", "acme", "ann@example.org")
    assert [tuple(row[name] for name in names_and_numbers) for row in rows] == [
        (*same, "input", 4111.0, [100.0], [0, 1]),
        (*same, "output", 20.0, [100.0], [1, 0]),
    ]
    assert [dict(row["attributes"])["note"] for row in rows] == ["to ****"] * 2
