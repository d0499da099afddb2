"""A scripted vendor, agents served over real sockets, and the telemetry that they leave."""

import io
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent_runtime import configure_telemetry
from demo.model_server import ModelServer, Rule, running
from tests.postgres import Cluster

if TYPE_CHECKING:
    from .payments import Payments

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that read no certificates at their start, which takes longer than a request."""
CALLER = {"X-Tenant-Id": "acme", "X-User-Id": "ada"}


@dataclass(frozen=True)
class Telemetry:
    """What was emitted during a test."""

    exporter: InMemorySpanExporter
    stdout: io.StringIO

    def spans(self, prefix: str = "") -> list[ReadableSpan]:
        """Finished spans by start, those whose name begins with ``prefix``."""
        finished = self.exporter.get_finished_spans()
        return sorted(
            (
                span
                for span in finished
                if span.instrumentation_scope is not None
                and span.instrumentation_scope.name == "agent_runtime"
                and span.name.startswith(prefix)
            ),
            key=lambda span: span.start_time or 0,
        )

    def span(self, prefix: str) -> ReadableSpan:
        """The only span whose name begins with ``prefix``."""
        [found] = self.spans(prefix)
        return found

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The JSON lines of the runtime, or of one event."""
        lines = [json.loads(line) for line in self.stdout.getvalue().splitlines()]
        return [
            line
            for line in lines
            if (line["event"] == event if event else line["event"].startswith("agent."))
        ]

    def summary(self) -> dict[str, Any]:
        """The only summary line, waited for: the client may be gone before it is written."""
        wait_until(lambda: self.lines("agent.run"))
        [line] = self.lines("agent.run")
        return line


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(autouse=True)
def threads(tmp_path: Path) -> Iterator[str]:
    """Where runtimes keep their threads unless a test says otherwise."""
    dsn = f"sqlite:///{tmp_path}/threads.db"
    # Not the fixture of pytest, which `telemetry` undoes.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AGENT_RUNTIME_STORE", dsn)
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/agent.db"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.database()


@pytest.fixture
def telemetry(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    """Spans and lines as an application configures them, but kept here."""
    stdout = io.StringIO()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setattr(trace, "set_tracer_provider", lambda _: None)
    monkeypatch.setattr(sys, "stdout", stdout)
    configure_telemetry("tests")
    structlog.configure(cache_logger_on_first_use=False)
    monkeypatch.undo()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(stdout))
    exporter.clear()
    return Telemetry(exporter, stdout)


@pytest.fixture
def vendor() -> Iterator[ModelServer]:
    """A vendor that answers at once."""
    with running(Rule(first_token_ms=0, token_ms=0)) as server:
        yield server


@dataclass(frozen=True)
class Answer:
    """A run as its client saw it."""

    status: int
    events: list[tuple[str, dict[str, Any]]]
    times: list[float]
    """Seconds from sending the request to receiving each event."""

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def data(self, name: str) -> list[dict[str, Any]]:
        return [data for each, data in self.events if each == name]

    @property
    def text(self) -> str:
        return "".join(data["text"] for data in self.data("token"))

    @property
    def end(self) -> dict[str, Any]:
        name, data = self.events[-1]
        assert name == "run.end"
        return data


def ask(
    base_url: str,
    text: str,
    *,
    thread: str = "t1",
    leave_after: str | None = None,
    **headers: str,
) -> Answer:
    """Start a run and read it to its end, or leave after the first event of a name."""
    events, times, name = [], [], ""
    began = time.perf_counter()
    with (
        httpx.Client(timeout=30, verify=NO_TLS) as client,
        client.stream(
            "POST",
            f"{base_url}/threads/{thread}/runs",
            json={"input": text},
            headers=CALLER | headers,
        ) as response,
    ):
        for line in response.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                events.append((name, json.loads(value)))
                times.append(time.perf_counter() - began)
                if name == leave_after:
                    break
    return Answer(response.status_code, events, times)


Serve = Callable[[FastAPI], AbstractContextManager[str]]


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The application on a port of its own; gives its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level=60, access_log=False, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def wait_until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something becomes true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def bank() -> "Iterator[Payments]":
    """Upstream that charges as often as it is told to, and can be asked about keys."""
    from .payments import payments  # which needs `listening` of this module

    with payments(keyed=False) as bank:
        yield bank
