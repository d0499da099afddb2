"""The real collector and the real sidecar, as processes, wired together on free ports."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from analytics import Analytics
from lake import Lake
from tests.ports import free_port

START_SECONDS = 30
ARRIVAL_SECONDS = 45


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; fail by name when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether the URL answers 200."""
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@dataclass
class Process:
    """One operating-system process whose output is kept for the failure message."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]
    output: Path
    ready_url: str
    running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start, and return once the process says that it is ready."""
        with self.output.open("ab") as output:
            self.running = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(self._ready, START_SECONDS, f"{self.command[0]} ready at {self.ready_url}")

    def _ready(self) -> bool:
        assert self.running is not None
        if self.running.poll() is not None:
            raise AssertionError(
                f"{self.command[0]} ended with {self.running.returncode}:\n"
                + self.output.read_text()[-4000:]
            )
        return answers(self.ready_url)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        if self.running is None:
            return 0
        with suppress(ProcessLookupError):
            self.running.send_signal(how)
        try:
            return self.running.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            raise
        finally:
            self.running = None


def collector_arguments(repository: Path) -> list[str]:
    """The arguments docker-compose.yml gives the collector, the configuration taken from here."""
    compose = YAML(typ="safe").load((repository / "docker-compose.yml").read_text())
    config, *rest = compose["services"]["collector"]["command"]
    assert config.startswith("--config=")
    return [f"--config={repository / 'otel-collector.yaml'}", *rest]


class Pipeline:
    """Agent's side: `otlp_http`, `otlp_grpc` and `log_file`. Reader's side: `ask`."""

    def __init__(self, binary: Path, repository: Path, directory: Path) -> None:
        http, grpc, health, ingest = (free_port() for _ in range(4))
        dashboard = free_port()
        self.otlp_http = f"http://127.0.0.1:{http}"
        self.otlp_grpc = f"127.0.0.1:{grpc}"
        self.log_file = directory / "agent" / "agent.jsonl"
        self.log_file.parent.mkdir(parents=True)
        self.data = directory / "data"
        self.collector = Process(
            command=[binary, *collector_arguments(repository)],
            environment={
                "INGEST_URL": f"http://127.0.0.1:{ingest}",
                "AGENT_LOGS": str(self.log_file.parent / "*.jsonl"),
                "OTELCOL_STATE": str(directory / "otelcol"),
                "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http}",
                "OTLP_GRPC_ENDPOINT": self.otlp_grpc,
                "HEALTH_ENDPOINT": f"127.0.0.1:{health}",
                "METRICS_PORT": str(free_port()),
            },
            output=directory / "collector.log",
            ready_url=f"http://127.0.0.1:{health}/",
        )
        self.sidecar = Process(
            command=[
                Path(sys.executable).with_name("quietpager"),
                "up",
                *("--data", str(self.data)),
                *("--otlp-http", f"127.0.0.1:{ingest}"),
                *("--otlp-grpc", f"127.0.0.1:{free_port()}"),
                *("--dashboard", f"127.0.0.1:{dashboard}"),
            ],
            environment={},
            output=directory / "sidecar.log",
            ready_url=f"http://127.0.0.1:{dashboard}/readyz",
        )

    def ask(self, sql: str, **params: object) -> list[dict[str, Any]]:
        """Rows of a query over the lake, read as a user's query reads it."""
        lake = Lake(self.data / "lake")
        rows: list[dict[str, Any]] = Analytics(lake).query(sql, params).to_pylist()
        return rows

    def wait_for(self, count: int, sql: str, **params: object) -> None:
        """Wait until the query, which counts as `n`, has reached the count."""
        seen = 0

        def arrived() -> bool:
            nonlocal seen
            seen = int(self.ask(sql, **params)[0]["n"])
            return seen >= count

        try:
            wait_until(arrived, ARRIVAL_SECONDS, f"{count} rows of {sql}")
        except AssertionError as error:
            raise AssertionError(f"{error}; there were {seen}") from None


def nanoseconds(moment: datetime) -> int:
    """Unix time, as OTLP has it."""
    return int(moment.timestamp() * 1_000_000) * 1_000
