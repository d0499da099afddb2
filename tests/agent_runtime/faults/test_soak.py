"""Half an hour of traffic with a vendor in trouble and a collector that is gone: nothing grows."""

import asyncio
import random
import statistics
import time
from pathlib import Path

import httpx
import pytest

from demo.model_server import ModelServer, Rule, ToolCall
from tests.agent_runtime.conftest import Answer, wait_until

from .clients import ask, assert_all_agree
from .served import Served, Services, serving

PER_SECOND = 50.0
NOWHERE = "http://127.0.0.1:9"
KEPT_CONNECTIONS = 40
"""httpx keeps up to 32 to tools until it needs one, also those that the other end has closed."""
LOOK_UP = ToolCall(name="look_up", arguments={"topic": "beds"})


async def soak(agent: Served, seconds: float, memory: list[float]) -> dict[str, Answer]:
    """Users arrive at random, however the earlier ones are served; memory is noted on the way."""
    dice, answers = random.Random(0), {}

    async def user(thread: str) -> None:
        answers[thread] = await ask(client, agent.url, thread, {"input": "hello"})

    # Each user comes on a connection of their own: one that is used again may be closed meanwhile.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        httpx.AsyncClient(timeout=120, limits=limits) as client,
        asyncio.TaskGroup() as group,
    ):
        ends, number = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            group.create_task(user(f"s{number}"))
            number += 1
            if number % int(PER_SECOND) == 0:
                memory.append(agent.memory_mb())
            await asyncio.sleep(dice.expovariate(PER_SECOND))
    return answers


def soak_and_compare(
    home: Path, vendor: ModelServer, books: Services, seconds: float
) -> list[float]:
    """All agree and no file stays open; gives the memory over time."""
    vendor.follow(
        Rule(first_token_ms=50, token_ms=2, text="all is well", tool_calls=(LOOK_UP,)),
        Rule(probability=0.05, status=503),
        Rule(probability=0.02, cut_after_tokens=0),
    )
    memory: list[float] = []
    with serving(home, vendor, books.url, otlp=NOWHERE) as agent:
        before = agent.open_files()
        answers = asyncio.run(soak(agent, seconds, memory))
        assert {answer.end["outcome"] for answer in answers.values()} == {"success"}
        wait_until(lambda: agent.open_files() <= before + KEPT_CONNECTIONS, 30)
        agent.signal()
        assert agent.end() < 30
        assert_all_agree(answers, agent.lines(), vendor.calls())
    return memory


@pytest.mark.timeout(300)
def test_without_a_collector_nothing_fails(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """Spans have nowhere to go: every run succeeds and is in all books, and the end is in time."""
    soak_and_compare(tmp_path, vendor, books, seconds=2)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_half_an_hour_leaves_nothing_behind(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """The same for 30 minutes: memory at the end is what it was when it had warmed up."""
    memory = soak_and_compare(tmp_path, vendor, books, seconds=1800)
    third = len(memory) // 3
    assert statistics.median(memory[-third:]) < 1.2 * statistics.median(memory[third : 2 * third])
