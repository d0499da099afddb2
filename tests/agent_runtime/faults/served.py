"""The program in a process of its own, what it calls, and what it leaves behind."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from demo.model_server import ModelServer
from tests.agent_runtime.conftest import listening, wait_until
from tests.agent_runtime.payments import Payments, payment_routes

PROGRAM = Path(__file__).with_name("program.py")
ENDED_BY_SIGNAL = (0, -signal.SIGTERM, -signal.SIGINT)


@dataclass
class Services:
    """What the agent's tools and memory call, and the telemetry collector: each with a book."""

    url: str = ""
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Path and headers, in order of arrival."""
    spans: list[Span] = field(default_factory=list)
    memory: Literal["up", "hangs", "fails"] = "up"
    payments: Payments = field(default_factory=lambda: Payments(keyed=False))
    """Charges whatever it is sent, as often as it is sent."""

    def calls(self, prefix: str) -> list[Mapping[str, str]]:
        """Headers of the requests whose path begins so."""
        return [headers for path, headers in self.requests if path.startswith(prefix)]


@contextmanager
def services() -> Iterator[Services]:
    """Everything that an agent calls, but its model."""
    app, books = FastAPI(telemetry={"tracing": False}), Services()
    app.include_router(payment_routes(books.payments))

    @app.get("/look_up/{topic}", response_class=PlainTextResponse)
    async def look_up(topic: str, request: Request) -> str:
        books.requests.append((request.url.path, request.headers))
        return f"all about {topic}"

    @app.get("/memory", response_class=PlainTextResponse)
    async def memory(request: Request) -> str:
        books.requests.append((request.url.path, request.headers))
        if books.memory == "hangs":
            await asyncio.sleep(60)
        if books.memory == "fails":
            raise HTTPException(500)
        return "a lot"

    @app.post("/v1/traces")
    async def traces(request: Request) -> Response:
        export = ExportTraceServiceRequest.FromString(await request.body())
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                books.spans.extend(scope.spans)
        return Response(media_type="application/x-protobuf")

    with listening(app) as books.url:
        yield books


@dataclass
class Served:
    """The running agent."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, patience_s: float = 30.0) -> float:
        """Wait for the end that a signal brings; gives the seconds that it took."""
        began = time.monotonic()
        code = self.process.wait(patience_s)
        assert code in ENDED_BY_SIGNAL, self.log.with_suffix(".err").read_text()
        return time.monotonic() - began

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The JSON lines so far, or those of one event."""
        complete = self.log.read_text().rpartition("\n")[0].splitlines()[1:]
        lines = [json.loads(line) for line in complete]
        return [line for line in lines if event in (None, line["event"])]

    def open_files(self) -> int:
        """How many files and sockets it holds open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memory_mb(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def serving(
    home: Path,
    vendor: ModelServer,
    url: str,
    *,
    otlp: str | None = None,
    finish_s: float = 10,
    drain_s: float = 15,
    lease_s: float = 15,
    store: str | None = None,
    send_timeout_s: float = 60,
    **model: Any,
) -> Iterator[Served]:
    """The agent from when it is ready; it calls `url`, and sends spans there or to `otlp`.

    Those of the same `home` share their threads, unless these are kept in a `store` elsewhere.
    """
    number = len(list(home.glob("agent-*.log")))
    log = home / f"agent-{number}.log"
    settings = {"vendor": vendor.base_url, "services": url, "otlp": otlp or url, "model": model,
                "finish_s": finish_s, "drain_s": drain_s, "lease_s": lease_s,
                "send_timeout_s": send_timeout_s,
                "store": store or f"sqlite:///{home}/threads.db"}  # fmt: skip
    with log.open("w") as stdout, log.with_suffix(".err").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(settings)],
            stdout=stdout, stderr=stderr, text=True,
        )  # fmt: skip
    try:
        wait_until(lambda: log.read_text().endswith("\n"), 60)
        served = Served(process, f"http://127.0.0.1:{log.read_text().strip()}", log)
        wait_until(lambda: is_ready(served.url), 60)
        yield served
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    """Whether it takes new runs."""
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
