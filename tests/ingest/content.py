"""Telemetry with a canary planted under every name of content, wherever attributes can stand."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.privacy.table import content_table
from tests.ingest.values import START, any_value, pairs

CANARY = "canary-of-what-was-said"
TOKENS = {"gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 17}
CALL = {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": ["stop"], **TOKENS}


def names() -> list[str]:
    """Every name of the table; one with `*` in several forms of it."""
    table = [name for dialect in content_table().dialects for name in dialect.names]
    spelt = (name.replace("*", part) for name in table for part in ("", ".0.message.content", "x"))
    return list(dict.fromkeys(spelt))


def said(under: Iterable[str] | None = None) -> dict[str, Any]:
    """The canary under each name, in a text, in a list or in an object."""
    forms: tuple[Any, ...] = (CANARY, [CANARY], {"content": CANARY}, f'[{{"content":"{CANARY}"}}]')
    return {
        name: forms[number % len(forms)]
        for number, name in enumerate(names() if under is None else under)
    }


def planted_spans(
    tenant: str | None = None, under: Iterable[str] | None = None
) -> ExportTraceServiceRequest:
    """Spans, span events and a resource that are full of it; ids and counts are real."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "loud", **said(under)}))
    span = group.scope_spans.add().spans.add(
        trace_id=(tenant or "nobody").encode().ljust(16)[:16], span_id=b"\2" * 8, name="chat m",
        start_time_unix_nano=START, end_time_unix_nano=START + 10**9,
    )  # fmt: skip
    span.attributes.extend(pairs({**CALL, **named(tenant), **said(under)}))
    for name in ("gen_ai.content.prompt", "tool.output", "anything"):
        span.events.add(name=name).attributes.extend(pairs(said(under)))
    return request


def titled_spans() -> ExportTraceServiceRequest:
    """A span for each rule of the table that is called by it, of the scope of the rule."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for number, rule in enumerate(content_table().span_names, start=1):
        under = group.scope_spans.add()
        under.scope.name = rule.scope.replace("*", "")
        under.spans.add(
            trace_id=b"\3" * 16, span_id=bytes([number]) * 8, name=rule.name.replace("*", CANARY),
            start_time_unix_nano=START, end_time_unix_nano=START + 10**9,
        )  # fmt: skip
    return request


def planted_logs(
    tenant: str | None = None, under: Iterable[str] | None = None
) -> ExportLogsServiceRequest:
    """Log records with it in attributes, and in the bodies of content events."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs({"service.name": "loud", **said(under)}))
    records = group.scope_logs.add().log_records
    for number, event in enumerate(content_table().body_events):
        body = {"index": 0, "finish_reason": "stop", "message": {"content": CANARY}}
        record = records.add(time_unix_nano=START + number, event_name=event if number % 2 else "")
        record.attributes.extend(
            pairs({"event.name": event, **TOKENS, **named(tenant), **said(under)})
        )
        record.body.CopyFrom(any_value(body if number % 3 else CANARY))
    return request


def planted_metrics(
    tenant: str | None = None, under: Iterable[str] | None = None
) -> ExportMetricsServiceRequest:
    """Data points and an exemplar with it."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(pairs({"service.name": "loud", **said(under)}))
    metric = group.scope_metrics.add().metrics.add(name="gen_ai.client.token.usage", unit="{token}")
    metric.sum.aggregation_temporality = 1
    point = metric.sum.data_points.add(time_unix_nano=START, as_int=131)
    point.attributes.extend(pairs({"gen_ai.token.type": "input", **named(tenant), **said(under)}))
    return request


def named(tenant: str | None) -> Mapping[str, str]:
    """The attribute that names the tenant."""
    return {} if tenant is None else {"tenant.id": tenant}
