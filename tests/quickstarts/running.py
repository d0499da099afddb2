"""Runs a quickstart as its page says, and asks the sidecar what it saw."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from demo.model_server import Call, Rule, running
from tests.cli.running import quietpager
from tests.quickstarts.environments import QUICKSTARTS
from tests.sidecar import ENVIRONMENT, start_sidecar

AGENT_SECONDS = 110
VENDOR = Rule(first_token_ms=5, token_ms=0, cached_share=0.4, reasoning_tokens=3)
PAYLOADS = Path(__file__).with_name("payloads")
A_MINUTE_AGO = 60 * 10**9
WIDE = {"COLUMNS": "140"}


Row = dict[str, Any]


@dataclass
class Observed:
    """What an agent said, what the model server billed it for, and the lake that it left."""

    said: str
    billed: Sequence[Call]
    data: Path

    @cached_property
    def runs(self) -> list[Row]:
        """The view `runs`, in order of time."""
        return self._rows("runs")

    @cached_property
    def llm_calls(self) -> list[Row]:
        """The view `llm_calls`, in order of time."""
        return self._rows("llm_calls")

    @cached_property
    def tool_calls(self) -> list[Row]:
        """The view `tool_calls`, in order of time."""
        return self._rows("tool_calls")

    def cost(self, *by: str) -> list[Row]:
        """The rows of `quietpager cost`."""
        return json.loads(self.tell("cost", "--by", ",".join(by), "--format", "json"))

    def _rows(self, view: str) -> list[Row]:
        return json.loads(
            self.tell("sql", f"SELECT * FROM {view} ORDER BY started_at", "--format", "json")
        )

    def tell(self, *arguments: str) -> str:
        """What a command prints."""
        answer = quietpager(*arguments, "--data", str(self.data), **WIDE)
        assert answer.returncode in (0, 1), answer.stderr
        return answer.stdout


def picked(rows: Iterable[Row], *names: str) -> list[tuple[Any, ...]]:
    """These columns of the rows."""
    return [tuple(row[name] for name in names) for row in rows]


def run_agent(quickstart: str, python: Path, home: Path) -> Observed:
    """Start a model server and a sidecar, run the quickstart's agent.py, and drain the sidecar."""
    with running(VENDOR) as vendor:
        sidecar = start_sidecar(home / "data")
        try:
            answer = subprocess.run(
                [python, QUICKSTARTS / quickstart / "agent.py"],
                env=_environment(vendor.base_url, sidecar.endpoints["OTLP/HTTP"]),
                capture_output=True,
                text=True,
                timeout=AGENT_SECONDS,
                cwd=home,
            )
        finally:
            sidecar.end()
        assert answer.returncode == 0, answer.stderr[-3000:]
        return Observed(answer.stdout, vendor.calls(), sidecar.data)


def sent(payload: str, signal: str, home: Path) -> Observed:
    """Send the payload to a sidecar as if its last record were of a minute ago, and drain it."""
    text = (PAYLOADS / payload).read_text()
    latest = max(int(found) for found in re.findall(r'UnixNano": "(\d+)"', text))
    later = time.time_ns() - A_MINUTE_AGO - latest
    text = re.sub(
        r'(UnixNano": ")(\d+)"', lambda found: f'{found[1]}{int(found[2]) + later}"', text
    )
    sidecar = start_sidecar(home / "data")
    try:
        url = f"{sidecar.endpoints['OTLP/HTTP']}/v1/{signal}"
        answer = httpx.post(url, content=text, headers={"Content-Type": "application/json"})
        assert answer.json() in ({}, {"partialSuccess": {}}), answer.text
    finally:
        sidecar.end()
    return Observed("", (), sidecar.data)


def _environment(base_url: str, endpoint: str) -> dict[str, str]:
    """What the pages tell to export, for the local server; nothing of the user's own telemetry."""
    inherited = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("OTEL_")}
    return inherited | {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "local",
        "ANTHROPIC_BASE_URL": base_url.removesuffix("/v1"),
        "ANTHROPIC_API_KEY": "local",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it looks for its price list on the internet
    }


@dataclass(frozen=True)
class Console:
    """A `quietpager` command that a page shows, and the answer below it."""

    command: str
    answer: str

    @property
    def arguments(self) -> Sequence[str]:
        """The command's arguments."""
        return shlex.split(self.command)[1:]


def blocks(page: str, language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def consoles(page: str) -> list[Console]:
    """The page's `$ quietpager ...` blocks."""
    parts = (block.split("\n\n", 1) for block in blocks(page, "console"))
    return [Console(command.removeprefix("$ "), answer) for command, answer in parts]


def shown(table: str) -> list[list[str]]:
    """A table's cells without its times, which no two runs share."""
    lines = (line.strip() for line in table.splitlines() if line.strip(" ─"))
    return [_without_times(re.split(r"\s{2,}", line)) for line in lines]


def _without_times(cells: list[str]) -> list[str]:
    if cells[0].startswith("First token"):  # its value and its budget are times, too
        return [cells[0], *cells[-2:]]
    return ["…" if re.fullmatch(r"[\d,.]+ m?s", cell) else cell for cell in cells]
