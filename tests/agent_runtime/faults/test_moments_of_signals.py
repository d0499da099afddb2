"""Signals at bad moments: while it starts, waits to try again, or is in a tool; and twice."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.model_server import ModelServer, Rule, ToolCall
from tests.agent_runtime.conftest import Answer, ask, wait_until

from .clients import resume_all
from .served import ENDED_BY_SIGNAL, PROGRAM, Served, Services, is_ready, serving

NAP = ToolCall(name="nap", arguments={"seconds": 1.0})


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def start(pool: ThreadPoolExecutor, agent: Served, text: str = "hello") -> "Future[Answer]":
    return pool.submit(ask, agent.url, text)


def test_while_it_waits_to_try_again(
    vendor: ModelServer, books: Services, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """A wait of 20 s for the vendor is not sat out; the run is interrupted and has its line."""
    vendor.follow(Rule(status=429, retry_after=20))
    with serving(tmp_path, vendor, books.url, finish_s=0.1, drain_s=0.3) as agent:
        asked = start(pool, agent)
        wait_until(lambda: agent.lines("agent.cost"))
        agent.signal()
        assert agent.end() < 10
        assert asked.result().end["outcome_reason"] == "shutdown"
        [line] = agent.lines("agent.run")
    assert line["outcome"] == "interrupt"
    assert len(vendor.calls()) == 1


def test_while_it_is_in_a_tool(
    vendor: ModelServer, books: Services, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """The tool ends, its node is finished, and another process goes on behind it."""
    vendor.follow(Rule(first_token_ms=0, token_ms=0, text="rested", tool_calls=(NAP,)))
    with serving(tmp_path, vendor, books.url, finish_s=0.1, drain_s=10) as agent:
        asked = start(pool, agent)
        wait_until(lambda: agent.lines("agent.node"))
        time.sleep(0.2)
        agent.signal()
        agent.end()
        answer = asked.result()
        assert answer.names()[-4:] == ["tool.end", "node.end", "interrupted", "run.end"]
        assert not answer.data("tool.end")[0]["is_error"]
    with serving(tmp_path, vendor, books.url) as agent:
        resumed = resume_all(agent.url, ["t1"])["t1"]
        assert resumed.text == "rested"
        assert resumed.data("tool.start") == []


def test_a_second_signal_of_another_kind(
    vendor: ModelServer, books: Services, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """SIGINT behind SIGTERM, as by an impatient human: the end is prompt, and still told."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 300))
    with serving(tmp_path, vendor, books.url, finish_s=20, drain_s=25) as agent:
        asked = start(pool, agent)
        wait_until(lambda: vendor.calls())
        agent.signal()
        wait_until(lambda: not is_ready(agent.url))
        agent.signal(signal.SIGINT)
        assert agent.end() < 10
        assert asked.result().end["outcome_reason"] == "shutdown"
        assert len(agent.lines("agent.run")) == 1


def test_while_it_starts(vendor: ModelServer, tmp_path: Path) -> None:
    """A process that is not ready yet ends at once, wherever it is in its beginning."""
    settings = {"vendor": vendor.base_url, "services": "http://127.0.0.1:9", "model": {},
                "otlp": "http://127.0.0.1:9", "finish_s": 10, "drain_s": 20,
                "store": f"sqlite:///{tmp_path}/threads.db"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), json.dumps(settings)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in ENDED_BY_SIGNAL
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.communicate()
