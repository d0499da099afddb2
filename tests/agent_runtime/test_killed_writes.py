"""Processes that are killed while they charge: resumed elsewhere, and money moves once."""

import multiprocessing
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.postgres import Cluster

from .charging_process import Life, live
from .payments import Payments, payments

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.agent_runtime.charging_process"])
AT_ONCE = 5
AROUND_THE_WRITE = (
    "before claim_write",
    "after claim_write",
    "charged",
    "after finish_claim",
    "after save_checkpoint",
)
DONE = ["user", "assistant", "tool", "assistant"]
EITHER = pytest.mark.parametrize(
    ("kind", "upstream"), [("sqlite", "keyed"), ("postgres", "resolves")], indirect=["upstream"]
)


@pytest.fixture
def dsn(request: pytest.FixtureRequest, threads: str, kind: str) -> str:
    if kind == "sqlite":
        return threads
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.database()


@pytest.fixture
def upstream(request: pytest.FixtureRequest) -> Iterator[Payments]:
    """Takes requests with one key for one, or charges again but can be asked."""
    with payments(keyed=request.param == "keyed") as service:
        yield service


def run(life: Life, killed_after_s: float | None = None) -> dict[str, Any] | None:
    """Live in a process of its own; None when it was killed."""
    hears, heard = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=live, args=(life, heard))
    process.start()
    heard.close()
    if killed_after_s is not None:
        process.join(killed_after_s)
        process.kill()
    try:
        return hears.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        assert process.exitcode not in {0, 1}, "it died of an error"
        return None
    finally:
        process.join()


def every_step(life: Life) -> list[str]:
    """What a process does that is not killed."""
    whole = run(life)
    assert whole is not None
    return list(whole["steps"])


def around_the_write(steps: Sequence[str]) -> list[int]:
    """Where it may hurt to be killed."""
    first = steps.index(AROUND_THE_WRITE[0])
    return [steps.index(name, first) for name in AROUND_THE_WRITE]


def let_leases_run_out(life: Life) -> None:
    """Of a thread and its claims, as if time had passed."""
    path = life.dsn.removeprefix("sqlite:///")
    embedded = path != life.dsn
    past = "0" if embedded else "'1970-01-01'"
    with sqlite3.connect(path, timeout=30) if embedded else psycopg.connect(life.dsn) as database:
        for table in ("agent_thread", "agent_claim"):
            database.execute(
                f"UPDATE {table} SET lease_until = {past} WHERE thread_id = '{life.thread_id}'"
            )


def deaths(life: Life, steps: Iterable[int]) -> list[dict[str, Any]]:
    """How threads ended of which one process died before a step, and another one resumed them."""

    def die(step: int) -> dict[str, Any]:
        mine = replace(life, thread_id=f"t{step}")
        assert run(replace(mine, dies_after=step)) is None
        let_leases_run_out(mine)
        ended = run(mine)
        assert ended is not None
        return ended

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(die, steps))


def assert_charged_once_each(upstream: Payments, ended: Sequence[dict[str, Any]]) -> None:
    for each in ended:
        assert (each["outcome"], [role for role, _ in each["messages"]]) == ("success", DONE)
    assert len(upstream.keys) == len(set(upstream.keys)) == len(ended) + 1  # the whole run


@EITHER
def test_money_moves_once_wherever_a_process_dies(dsn: str, upstream: Payments) -> None:
    """Before and after claim, charge, result and checkpoint; the other process ends the turn."""
    life = Life(dsn, upstream.url, "t", upstream.keyed, not upstream.keyed)
    ended = deaths(life, around_the_write(every_step(life)))
    assert_charged_once_each(upstream, ended)


@pytest.mark.parametrize("upstream", ["plain"], indirect=True)
def test_a_human_decides_about_a_death_that_nobody_can_look_into(
    threads: str, upstream: Payments
) -> None:
    """Between claim and result the outcome is unknown, and nothing is sent again."""
    life = Life(threads, upstream.url, "t")
    ended = deaths(life, around_the_write(every_step(life)))
    assert [each["reason"] for each in ended] == [None, "human", "human", None, None]
    # All but the one that was claimed and not sent.
    assert len(upstream.keys) == len(set(upstream.keys)) == len(ended)


@pytest.mark.nightly
@EITHER
def test_every_step_may_be_the_last(dsn: str, upstream: Payments) -> None:
    """Before and after each statement of a run."""
    life = Life(dsn, upstream.url, "t", upstream.keyed, not upstream.keyed)
    ended = deaths(life, range(len(every_step(life))))
    assert_charged_once_each(upstream, ended)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@EITHER
def test_200_kills_move_no_money_twice(dsn: str, upstream: Payments) -> None:
    """At any time, up to three times in a row; each thread is charged once in the end."""
    life = Life(dsn, upstream.url, "t", upstream.keyed, not upstream.keyed, lease_s=2, timeout_s=2)
    chance = random.Random(7)
    delays = [[chance.uniform(0, 0.5) for _ in range(3)] for _ in range(100)]
    every_step(life)

    def survive(number: int) -> tuple[int, dict[str, Any]]:
        mine = replace(life, thread_id=f"t{number}")
        killed = sum(run(mine, delay) is None for delay in delays[number])
        ended = run(mine)
        assert ended is not None
        return killed, ended

    with ThreadPoolExecutor(AT_ONCE) as pool:
        survived = list(pool.map(survive, range(100)))
    assert sum(killed for killed, _ in survived) >= 200
    assert_charged_once_each(upstream, [ended for _, ended in survived])
