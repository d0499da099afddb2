"""Two processes over one file of threads: one of them stands still, or both are asked at once."""

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from demo.model_server import ModelServer, Rule
from tests.agent_runtime.conftest import Answer, ask, wait_until

from .clients import resume_all
from .served import Served, Services, serving

LEASE_S = 3.0
"""Longer than a process of a busy machine is without the processor."""


def where(agent: Served, thread: str) -> str:
    """What the agent says of a thread."""
    caller = {"X-Tenant-Id": "acme", "X-User-Id": thread}
    return str(httpx.get(f"{agent.url}/threads/{thread}", headers=caller).json()["status"])


def test_a_process_that_stood_still_comes_too_late(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """Stopped for longer than its lease, it finds its thread run to the end by another one: its own
    run ends as an error, with its line, and changes nothing."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 30))
    with (
        serving(tmp_path, vendor, books.url, lease_s=LEASE_S) as first,
        serving(tmp_path, vendor, books.url, lease_s=LEASE_S) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(ask, first.url, "2 turns")
        wait_until(lambda: len(vendor.calls()) == 2)  # it is in its second turn
        first.signal(signal.SIGSTOP)
        try:
            time.sleep(LEASE_S)
            vendor.follow(Rule(first_token_ms=0, token_ms=0, text="the end"))
            resumed = resume_all(second.url, ["t1"])["t1"]
            assert (resumed.end["outcome"], resumed.text) == ("success", "the end")
        finally:
            first.signal(signal.SIGCONT)
        assert asked.result().end["error_class"] == "agent_runtime.errors.LeaseLost"
        wait_until(lambda: first.lines("agent.run"))
        lines = first.lines() + second.lines()
        assert where(first, "t1") == where(second, "t1") == "done"
        caller = {"X-Tenant-Id": "acme", "X-User-Id": "t1"}
        thread = httpx.get(f"{second.url}/threads/t1", headers=caller).json()
    assert [message["content"] for message in thread["messages"]][-1] == "the end"
    nodes = [line for line in lines if line["event"] == "agent.node"]
    finished = Counter(line["step"] for line in nodes if line["outcome"] == "success")
    assert finished == {1: 1, 2: 1, 3: 1}
    assert Counter(line["outcome"] for line in lines if line["event"] == "agent.run") == {
        "error": 1, "success": 1,
    }  # fmt: skip


def test_of_two_processes_that_are_asked_to_go_on_one_does(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """Whatever is asked of either at the same moment, each thread is gone on with once."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 100))
    threads = [f"t{number}" for number in range(10)]
    with (
        serving(tmp_path, vendor, books.url) as first,
        serving(tmp_path, vendor, books.url) as second,
        ThreadPoolExecutor(10) as pool,
    ):
        for thread in threads:
            ask(first.url, "hello", thread=thread, leave_after="token")
        wait_until(lambda: len(first.lines("agent.run")) == len(threads))
        vendor.follow(Rule(first_token_ms=0, token_ms=0, text="the end"))
        agents = [agent for _ in range(5) for agent in (first, second)]
        answers = list(pool.map(lambda agent: resume_all(agent.url, threads), agents))
        for thread in threads:
            assert_one_went_on([each[thread] for each in answers])
        summaries = 2 * len(threads)
        wait_until(lambda: len(first.lines("agent.run") + second.lines("agent.run")) >= summaries)
        assert len(first.lines("agent.run") + second.lines("agent.run")) == summaries


def assert_one_went_on(answers: list[Answer]) -> None:
    assert Counter(answer.status for answer in answers) == {200: 1, 409: len(answers) - 1}
    [text] = [answer.text for answer in answers if answer.status == 200]
    assert text == "the end"
