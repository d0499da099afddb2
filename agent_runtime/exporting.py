"""Sends spans and metrics over OTLP/HTTP, and does not hold a process up that wants to end."""

import atexit
import os
import threading

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

FLUSH_S = 2.0

Exporter = OTLPSpanExporter | OTLPMetricExporter
Provider = TracerProvider | MeterProvider


def export_over_otlp(service_name: str, endpoint: str | None) -> TracerProvider:
    """Make providers of spans and metrics the global ones; the environment may say not to."""
    resource = Resource.create({"service.name": service_name})
    base = None if endpoint is None else endpoint.rstrip("/")
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporters: list[Exporter] = []
    providers: list[Provider] = [tracers]
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none":
        spans = OTLPSpanExporter(endpoint=base and f"{base}/v1/traces")
        tracers.add_span_processor(BatchSpanProcessor(spans))
        exporters.append(spans)
    trace.set_tracer_provider(tracers)
    if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "none":
        numbers = OTLPMetricExporter(endpoint=base and f"{base}/v1/metrics")
        reader = PeriodicExportingMetricReader(numbers)
        meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
        exporters.append(numbers)
        providers.append(meters)
    if exporters:
        _shut_down_at_exit(providers, exporters)
    return tracers


def _shut_down_at_exit(providers: list[Provider], exporters: list[Exporter]) -> None:
    """Providers left alone wait for a collector that is down, or hangs, for ten seconds each.

    So it is a thread that shuts them down, which keeps no process from ending. It is made now:
    Python starts none when a process ends.
    """
    leaving, left = threading.Event(), threading.Event()

    def shut_down() -> None:
        leaving.wait()
        for provider in providers:
            provider.shutdown()
        left.set()

    def have_it_shut_down() -> None:
        threading.Thread(target=shut_down, name="end of telemetry", daemon=True).start()

    def leave() -> None:
        leaving.set()
        if not left.wait(FLUSH_S):
            for exporter in exporters:
                exporter.shutdown()

    have_it_shut_down()
    os.register_at_fork(after_in_child=have_it_shut_down)
    atexit.register(leave)
