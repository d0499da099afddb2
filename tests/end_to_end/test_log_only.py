"""One agent process, its telemetry delivered as spans, as log lines, and as both: equal numbers.

The agents of the demo answer real requests: several models, tools that fail, retries, cached and
reasoning tokens, streams that break, a model without a price, users who leave. Their spans go to a
sidecar; what they wrote to stdout is imported into a lake of its own, and into a copy of the one
that has the spans.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import quietpager
from tests.end_to_end.pipeline import ask_all, follow, ledger, process, until
from tests.sidecar import ENVIRONMENT, start_sidecar

pytestmark = pytest.mark.timeout(300)

RULES: tuple[dict[str, Any], ...] = (
    {"first_token_ms": 10, "token_ms": 1, "cached_share": 0.35, "reasoning_tokens": 3},
    {"model": "gpt-4o-mini", "tool_calls": [{"name": "find_order", "arguments": {"order_id": 7}}]},
    {
        "model": "claude-sonnet-4-5",
        "tool_calls": [{"name": "find_invoice", "arguments": {"invoice_id": 88}}],
    },
    # Wrong arguments: the tool fails, and the model is told.
    {
        "model": "gpt-4.1-mini",
        "tool_calls": [{"name": "search_documents", "arguments": {"page": 1}}],
    },
    {"model": "gpt-4o-mini", "status": 429, "retry_after": 0.05, "times": 2},
    {"model": "claude-sonnet-4-5", "status": 503, "times": 5},
    {"model": "reviewer-7b", "cut_after_tokens": 3, "times": 1},
)
OF_A_CLOCK = ("started_at", "ended_at", "duration_ms")
CLOCKS_MS = 1000.0
"""A line is written where its span ends and is timed by another clock, on a busy machine."""


@dataclass(frozen=True)
class Delivered:
    """Where each way of delivery ended up."""

    spans: Path
    logs: Path
    both: Path


def told(data: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """What a command answers about a data directory, numbers exact."""
    done = quietpager(*arguments, "--data", str(data), "--format", "json")
    assert done.returncode == code, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout, parse_float=Decimal)
    return rows


def sql(data: Path, query: str) -> list[dict[str, Any]]:
    return told(data, "sql", query)


@contextmanager
def agents(log: Path, model_url: str, otlp: str) -> Iterator[str]:
    """The agents of the demo, their stdout in a file; gives their URL, which is its first line."""
    with log.open("w") as stdout:
        running = subprocess.Popen(
            (sys.executable, "-m", "demo.agent", "--model-url", model_url, "--otlp", otlp),
            stdout=stdout, env=ENVIRONMENT,
        )  # fmt: skip
    try:
        until(lambda: log.read_text().endswith("\n"), "the agents do not come up")
        yield log.read_text().splitlines()[0]
    finally:
        running.terminate()
        running.wait(30)


def leave_early(agent_url: str) -> None:
    """Ask, and go away after the first token."""
    headers = {"x-tenant-id": "acme", "x-user-id": "impatient"}
    with httpx.stream(
        "POST", f"{agent_url}/support/threads/left/runs", json={"input": "?"}, headers=headers,
        timeout=60,
    ) as response:  # fmt: skip
        for line in response.iter_lines():
            if line == "event: token":
                return


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    """The same requests as spans alone, as lines alone, and as both."""
    home = tmp_path_factory.mktemp("parity")
    at = Delivered(home / "spans", home / "logs", home / "both")
    stdout, lines = home / "stdout", home / "agent.jsonl"
    who = [
        (tenant, user, agent)
        for tenant, user in (("acme", "ada"), ("globex", "grace"), ("acme", "bob"))
        for agent in ("support", "billing", "research")
    ]
    sidecar = start_sidecar(at.spans)
    try:
        with (
            process(home / "models.log", "demo.model_server") as model_url,
            agents(stdout, model_url, sidecar.endpoints["OTLP/HTTP"]) as agent_url,
        ):
            follow(model_url, *RULES)
            ask_all(agent_url, who, at_once=1)
            follow(model_url, {"token_ms": 100, "text": "word " * 100})
            leave_early(agent_url)
            until(
                lambda: stdout.read_text().count('"agent.run"') == len(who) + 1, "a summary is due"
            )
            calls = len(ledger(model_url))
        arrived = "SELECT count(*) AS n FROM runs"
        until(lambda: sql(at.spans, arrived) == [{"n": len(who) + 1}], "runs are missing")
    finally:
        sidecar.end()
    lines.write_text("".join(stdout.read_text().splitlines(keepends=True)[1:]))
    assert lines.read_text().count('"agent.cost"') == calls
    shutil.copytree(at.spans, at.both)
    for data in (at.logs, at.both):
        done = quietpager("import", str(lines), "--data", str(data))
        assert (done.returncode, done.stderr) == (0, "")
    return at


def test_what_happened_is_worth_comparing(delivered: Delivered) -> None:
    """There are retries, failed tools, cached and reasoning tokens, and every outcome."""
    outcomes = sql(delivered.spans, "SELECT DISTINCT outcome, outcome_reason FROM runs")
    assert {(row["outcome"], row["outcome_reason"]) for row in outcomes} == {
        ("success", None), ("error", "provider"), ("interrupt", "client_disconnect"),
    }  # fmt: skip
    (seen,) = sql(
        delivered.spans,
        "SELECT SUM(tool_errors) AS tool_errors, SUM(cache_read_tokens) AS cached,"
        " SUM(reasoning_tokens) AS reasoning, SUM(unpriced_calls) AS unpriced,"
        " MAX(len(models)) AS models FROM runs",
    )
    assert min(seen.values()) > 0
    assert seen["models"] > 1
    (tries,) = sql(delivered.spans, "SELECT MAX(attempt) AS n FROM llm_calls")
    assert tries["n"] > 1


@pytest.mark.parametrize("view", ["runs", "llm_calls", "tool_calls", "nodes", "usage"])
def test_every_view_is_equal(delivered: Delivered, view: str) -> None:
    """Row by row and column by column, but for times of a line's own clock and where it is from."""
    column = "run_id" if view == "runs" else "span_id"
    order = f"SELECT * FROM {view} ORDER BY {column}"
    spans, logs, both = (
        sql(data, order) for data in (delivered.spans, delivered.logs, delivered.both)
    )
    assert both == spans
    assert [exact(row) for row in logs] == [exact(row) for row in spans]
    assert len(logs) > 0
    for line, span in zip(logs, spans, strict=True):
        apart = abs(float(line["duration_ms"]) - float(span["duration_ms"]))
        assert apart < CLOCKS_MS, (line, span)
        started = abs(moment(line) - moment(span))
        assert started.total_seconds() * 1000 < CLOCKS_MS, (line, span)


def exact(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in {*OF_A_CLOCK, "source"}}


def moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["started_at"])


@pytest.mark.parametrize(
    "question",
    [
        ("slo", "--window", "24h"),
        ("cost", "--by", "tenant,user,agent,feature,provider,model,day", "--since", "24h"),
        ("tools", "--by", "tool,tenant,agent,error", "--since", "24h"),
    ],
    ids=["slo", "cost", "tools"],
)
def test_every_figure_is_equal(delivered: Delivered, question: tuple[str, ...]) -> None:
    """TTFB, stream success, tool errors and cost per request; spend; tool errors: to the digit."""
    from_spans = told(delivered.spans, *question)
    assert len(from_spans) > 1
    assert told(delivered.logs, *question) == from_spans
    assert told(delivered.both, *question) == from_spans


def test_drift(delivered: Delivered) -> None:
    """Both sides of one process tell the same; with one side only there is nothing to compare."""
    assert told(delivered.both, "drift") == []
    assert told(delivered.spans, "drift") == []
    assert told(delivered.logs, "drift") == []
