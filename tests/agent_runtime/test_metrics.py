"""The metrics that runs leave, and what becomes of runs whose telemetry nobody takes."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from opentelemetry import metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from agent_runtime import Runtime
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at
from .conftest import Telemetry, listening

HERE = Path(__file__).parent
DEAD = "http://127.0.0.1:9"
Points = dict[str, list[tuple[dict[str, Any], Any]]]


@pytest.fixture(scope="module")
def whole_reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


@pytest.fixture
def reader(whole_reader: InMemoryMetricReader) -> InMemoryMetricReader:
    whole_reader.get_metrics_data()
    return whole_reader


def points(reader: InMemoryMetricReader) -> Points:
    """Attributes and count or sum of every point, by the name of its metric."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [
            (
                dict(point.attributes or {}),
                getattr(point, "sum", None) or getattr(point, "value", 0),
            )
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def run(vendor: ModelServer, name: str, **options: Any) -> None:
    async def once() -> None:
        model = model_at(vendor, name, **options)
        async with Runtime(chatting(model), agent_name=name) as runtime:
            await runtime.run("hello", thread_id="t1", tenant_id="acme", user_id="ada")

    asyncio.run(once())


def of(found: Points, name: str, model: str) -> list[tuple[dict[str, Any], Any]]:
    return [each for each in found[name] if each[0].get("gen_ai.request.model") == model]


def test_metrics_have_the_names_of_the_conventions(
    vendor: ModelServer, telemetry: Telemetry, reader: InMemoryMetricReader
) -> None:
    """Calls, tokens by kind, tools and runs are measured, as the vendor billed them."""
    weather = ToolCall(name="get_weather", arguments={"city": "Oslo"})
    vendor.follow(Rule(tool_calls=(weather,), cached_share=0.5, reasoning_tokens=3))
    run(vendor, "openai:metered")
    found, calls = points(reader), vendor.calls()
    inference = "gen_ai.client.inference"
    for metric, column in {
        "usage.input_tokens": "prompt_tokens",
        "usage.output_tokens": "completion_tokens",
        "usage.cache_read.input_tokens": "cached_tokens",
        "usage.reasoning.output_tokens": "reasoning_tokens",
        "operation.input_tokens": "prompt_tokens",
        "operation.output_tokens": "completion_tokens",
    }.items():
        [(_, total)] = of(found, f"{inference}.{metric}", "metered")
        assert total == sum(getattr(call, column) for call in calls) > 0
    [(attributes, seconds)] = of(found, f"{inference}.duration", "metered")
    assert attributes.items() >= {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "metered", "server.address": "127.0.0.1",
    }.items()  # fmt: skip
    assert "tenant.id" not in attributes
    assert 0 < of(found, f"{inference}.time_to_first_chunk", "metered")[0][1] <= seconds
    assert [tool["gen_ai.tool.name"] for tool, _ in found["gen_ai.execute_tool.duration"]] == [
        "get_weather"
    ]
    runs = {
        name: total
        for name in ("inference_calls", "tool_calls", "duration")
        for about, total in found[f"gen_ai.invoke_agent.{name}"]
        if about["gen_ai.agent.name"] == "openai:metered"
    }
    assert (runs["inference_calls"], runs["tool_calls"]) == (2, 1)
    assert runs["duration"] >= seconds


def test_failed_attempts_are_measured_without_tokens(
    vendor: ModelServer, telemetry: Telemetry, reader: InMemoryMetricReader
) -> None:
    """Each has its duration and error; what was only estimated is not counted as billed."""
    vendor.follow(
        Rule(first_token_ms=0), Rule(cut_after_tokens=0, times=2), Rule(status=503, times=1)
    )
    run(vendor, "openai:failing")
    found = points(reader)
    durations = of(found, "gen_ai.client.inference.duration", "failing")
    assert {about.get("error.type") for about, _ in durations} == {
        "agent_runtime.errors.ProviderRefused", "agent_runtime.errors.StreamBroken", None,
    }  # fmt: skip
    [(about, tokens)] = of(found, "gen_ai.client.inference.usage.input_tokens", "failing")
    assert "error.type" not in about
    assert tokens == vendor.calls()[-1].prompt_tokens
    assert telemetry.summary()["prompt_tokens"] > tokens


def script(vendor: ModelServer, otlp: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        (sys.executable, "-m", "tests.agent_runtime.agent_script", vendor.base_url, otlp),
        check=True, capture_output=True, text=True, timeout=60, cwd=HERE.parent.parent,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_metrics_are_sent_beside_spans(vendor: ModelServer) -> None:
    """One endpoint gets both over OTLP/HTTP, the last ones when the process ends."""
    app, taken = FastAPI(telemetry={"tracing": False}), dict[str, bytes]()

    @app.post("/v1/{signal}")
    async def take(signal: str, request: Request) -> Response:
        taken[signal] = await request.body()
        return Response(media_type="application/x-protobuf")

    with listening(app) as url:
        script(vendor, url)
    assert taken.keys() == {"traces", "metrics"}
    sent = ExportMetricsServiceRequest.FromString(taken["metrics"]).resource_metrics[0]
    assert "gen_ai.client.inference.duration" in {
        metric.name for scope in sent.scope_metrics for metric in scope.metrics
    }
    assert {each.key: each.value.string_value for each in sent.resource.attributes}[
        "service.name"
    ] == "script"


def test_telemetry_that_nobody_takes_fails_no_run(vendor: ModelServer) -> None:
    """Without a collector the run succeeds, its lines are whole, and the process ends."""
    lines = script(vendor, DEAD)
    assert [(line["event"], line["outcome"]) for line in lines if "outcome" in line] == [
        ("agent.cost", "success"), ("agent.node", "success"), ("agent.run", "success"),
    ]  # fmt: skip
