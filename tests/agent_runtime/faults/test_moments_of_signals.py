"""Signals at bad moments: as it starts, waits to try again, is in a tool, is not read; twice."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.model_server import ModelServer, Rule, ToolCall
from tests.agent_runtime.conftest import Answer, ask, wait_until

from .clients import ask_all, assert_all_agree, resume_all
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


def test_while_nobody_reads_its_lines(vendor: ModelServer, books: Services, tmp_path: Path) -> None:
    """A log shipper that hangs stops no run; what it reads at last is complete."""
    with unread(vendor, books.url, tmp_path) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        wait_until(lambda: is_ready(url), 60)
        answers = ask_all(url, {f"unread-{number}": "hello" for number in range(60)})
        assert {answer.end["outcome"] for answer in answers.values()} == {"success"}
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(out) > 65536
    assert_all_agree(answers, lines, vendor.calls())


def test_while_it_starts(vendor: ModelServer, tmp_path: Path) -> None:
    """A process that is not ready yet ends at once, wherever it is in its beginning."""
    with unread(vendor, "http://127.0.0.1:9", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in ENDED_BY_SIGNAL
        assert time.monotonic() - began < 10


@contextmanager
def unread(vendor: ModelServer, services: str, home: Path) -> Iterator["subprocess.Popen[str]"]:
    """The program, from its very beginning, with a pipe as stdout that nobody reads yet."""
    settings = {"vendor": vendor.base_url, "services": services, "model": {}, "otlp": services,
                "finish_s": 10, "drain_s": 20, "store": f"sqlite:///{home}/threads.db"}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), json.dumps(settings)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
