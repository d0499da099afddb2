"""Spans over OTLP and JSON lines on stdout: the application's side, and the names used by ours."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

import orjson
import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from agent_runtime.as_json import as_json
from agent_runtime.aside import in_thread
from agent_runtime.errors import error_class, error_message, error_stack
from agent_runtime.exporting import FLUSH_S, export_over_otlp
from agent_runtime.interrupts import interrupt_in
from agent_runtime.outcome import is_cut_off
from agent_runtime.outlet import EXIT_S, drain_stdout, to_stdout

TRACER = trace.get_tracer("agent_runtime")
NO_ATTRIBUTES: Mapping[str, AttributeValue] = {}
LOG: structlog.typing.FilteringBoundLogger = structlog.get_logger("agent_runtime")


def configure_telemetry(service_name: str, otlp_endpoint: str | None = None) -> TracerProvider:
    """Send spans and metrics over OTLP/HTTP, write log lines as JSON to stdout; once, at start.

    ``otlp_endpoint`` is the base URL of a collector, e.g. ``http://127.0.0.1:4318``. Without it,
    and for everything else, the standard ``OTEL_*`` environment decides (``OTEL_EXPORTER_OTLP_*``,
    ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_TRACES_SAMPLER``, ``OTEL_BSP_*``, ``OTEL_SDK_DISABLED``;
    ``OTEL_METRIC_EXPORT_INTERVAL``; ``OTEL_TRACES_EXPORTER=none`` sends no spans and
    ``OTEL_METRICS_EXPORTER=none`` no metrics).
    """
    provider, lines = export_over_otlp(service_name, otlp_endpoint), to_stdout()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", lines)),
        cache_logger_on_first_use=True,
    )
    return provider


async def flush_telemetry() -> None:
    """Send and write what is still held back; gives up after two seconds, and five on whoever reads
    the lines. Never fails."""
    flushing = {
        asyncio.ensure_future(in_thread(provider.force_flush, int(FLUSH_S * 1000)))
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider())
        if isinstance(provider, TracerProvider | MeterProvider)
    }
    writing = asyncio.ensure_future(in_thread(drain_stdout, EXIT_S))
    if flushing:
        await asyncio.wait(flushing, timeout=FLUSH_S)
    await asyncio.wait({writing})


@contextmanager
def span(
    name: str, attributes: Mapping[str, AttributeValue], kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[Span]:
    """A span around a piece of work; an error is recorded on it, being cut off is an interrupt."""
    current = started_span(name, attributes, kind)
    with trace.use_span(current, record_exception=False, set_status_on_exception=False):
        try:
            yield current
        except BaseException as error:
            if is_cut_off(error) or interrupt_in(error) is not None:
                current.set_attribute("agent.outcome", "interrupt")
            else:
                record_error(current, error)
            raise
        finally:
            end_span(current)


def started_span(
    name: str, attributes: Mapping[str, AttributeValue], kind: SpanKind, **options: Any
) -> Span:
    """A span; one that says nothing when a processor of the application's fails at it."""
    try:
        return TRACER.start_span(name, kind=kind, attributes=dict(attributes), **options)
    except Exception as error:  # noqa: BLE001 - telemetry ends no run
        LOG.warning("telemetry.failed", error_class=error_class(error))
        return trace.INVALID_SPAN


def end_span(current: Span) -> None:
    """End a span, whatever processors of the application do about it."""
    try:
        current.end()
    except Exception as error:  # noqa: BLE001 - telemetry ends no run
        LOG.warning("telemetry.failed", error_class=error_class(error))


def record_error(current: Span, error: BaseException) -> None:
    """Mark a span as failed, with secrets masked in message and stack trace."""
    current.set_attribute("error.type", error_class(error))
    current.set_status(StatusCode.ERROR, error_message(error))
    current.add_event(
        "exception",
        {
            "exception.type": error_class(error),
            "exception.message": error_message(error),
            "exception.stacktrace": error_stack(error),
        },
    )


def note_error(
    event: str, error: BaseException, attributes: Mapping[str, AttributeValue] = NO_ATTRIBUTES
) -> None:
    """Tell the current span of an error that its work goes on with."""
    about = {"error.type": error_class(error), "error.message": error_message(error)}
    trace.get_current_span().add_event(event, {**attributes, **about})


def trace_fields(current: Span) -> dict[str, str]:
    """A span's ids as fields of a JSON line."""
    context = current.get_span_context()
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _json(line: Any, **_: Any) -> str:
    return as_json(line, default=repr, options=orjson.OPT_NON_STR_KEYS).decode()
