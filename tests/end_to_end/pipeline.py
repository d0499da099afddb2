"""The whole pipeline as real processes: model vendor, agents, sidecar, and users who keep count."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import quietpager
from tests.sidecar import ENVIRONMENT, Sidecar

TIMEOUT_SECONDS = 60.0
PATIENCE_SECONDS = 60.0


@dataclass
class Seen:
    """A run as its user saw it."""

    tenant: str
    user: str
    agent: str
    run_id: str = ""
    outcome: str = ""
    first_token_ms: float | None = None
    """From sending the request to reading the first token."""
    tools: list[tuple[str, bool]] = field(default_factory=list)
    """Every tool call that ended, and whether it failed."""


@contextmanager
def process(log: Path, *command: str) -> Iterator[str]:
    """A process of ours while in the context; gives the line it prints when it is ready."""
    with log.open("w") as errors:
        running = subprocess.Popen(
            (sys.executable, "-m", *command),
            stdout=subprocess.PIPE, stderr=errors, text=True, env=ENVIRONMENT,
        )  # fmt: skip
    assert running.stdout is not None
    try:
        line = running.stdout.readline().strip()
        assert line, log.read_text()
        # What it logs on stdout must be read, or it stops when the pipe is full.
        threading.Thread(target=running.stdout.read, daemon=True).start()
        yield line
    finally:
        running.terminate()
        running.wait(30)


def follow(model_url: str, *rules: dict[str, Any]) -> None:
    """Have the model vendor answer by these rules."""
    httpx.put(httpx.URL(model_url).join("/rules"), json=list(rules)).raise_for_status()


def ledger(model_url: str) -> list[dict[str, Any]]:
    """Every call the model vendor got, and what it bills for it."""
    calls: list[dict[str, Any]] = httpx.get(httpx.URL(model_url).join("/ledger")).json()["calls"]
    return calls


def ask_all(agent_url: str, requests: Sequence[tuple[str, str, str]], at_once: int) -> list[Seen]:
    """One run for each (tenant, user, agent), at most ``at_once`` at the same time."""

    async def ask() -> list[Seen]:
        slots = asyncio.Semaphore(at_once)
        async with httpx.AsyncClient(base_url=agent_url, timeout=TIMEOUT_SECONDS) as client:
            return await asyncio.gather(
                *(_ask(client, slots, Seen(*who), n) for n, who in enumerate(requests))
            )

    return asyncio.run(ask())


async def _ask(
    client: httpx.AsyncClient, slots: asyncio.Semaphore, seen: Seen, number: int
) -> Seen:
    path = f"/{seen.agent}/threads/{seen.tenant}-{seen.user}-{number}/runs"
    headers = {"x-tenant-id": seen.tenant, "x-user-id": seen.user}
    async with slots:
        began = time.perf_counter()
        async with client.stream("POST", path, json={"input": "?"}, headers=headers) as response:
            assert response.status_code == 200
            event, tools = "", {}
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                    if event == "token" and seen.first_token_ms is None:
                        seen.first_token_ms = (time.perf_counter() - began) * 1000
                if name != "data":
                    continue
                data = json.loads(value)
                match event:
                    case "run.start":
                        seen.run_id = data["run_id"]
                    case "tool.start":
                        tools[data["tool_call_id"]] = data["tool"]
                    case "tool.end":
                        seen.tools.append((tools[data["tool_call_id"]], data["is_error"]))
                    case "run.end":
                        seen.outcome = data["outcome"]
    return seen


def answers(sidecar: Sidecar, *arguments: str) -> list[dict[str, Any]]:
    """What a command of `quietpager` answers, as JSON."""
    done = quietpager(*arguments, "--data", str(sidecar.data), "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def until(what: Callable[[], bool], why: str) -> None:
    """Wait until ``what`` is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.2)
