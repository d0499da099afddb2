"""Processes that are killed, and others that go on with their runs, on real databases."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_runtime import ThreadNotFound, open_store
from agent_runtime.threads import ThreadKey, look_up

from .walker import NODES, Walk

PROGRAM = Path(__file__).with_name("walker.py")
REPOSITORY = PROGRAM.parents[2]
LEASE_S = 1.0
"""After which the dead are given up; long for a live one that has no processor for a while."""


class Walkers:
    """Sends walkers over one database."""

    def __init__(self, process: "subprocess.Popen[str]", dsn: str, directory: Path) -> None:
        self._process = process
        self._dsn = dsn
        self._directory = directory

    def walk(
        self, thread: str, *, resume: bool = False, die: str = "", lease_s: float = LEASE_S
    ) -> Walk:
        return Walk(
            dsn=self._dsn, thread=thread, ledger=str(self._directory / thread.replace(" ", "_")),
            resume=resume, die=die, die_after_s=0.0, lease_s=lease_s,
        )  # fmt: skip

    def visits(self, thread: str) -> list[int]:
        """The nodes that did their work, as often as they did."""
        ledger = Path(self.walk(thread)["ledger"])
        return [int(line) for line in ledger.read_text().split()] if ledger.exists() else []

    def play(self, *walks: Walk) -> list[Any]:
        """Run them all at once, and wait until they are done or dead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(walks) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def forking() -> Iterator["subprocess.Popen[str]"]:
    """A process that forks walkers, so that they need not load everything again."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def walkers(forking: "subprocess.Popen[str]", dsn: str, tmp_path: Path) -> Walkers:
    return Walkers(forking, dsn, tmp_path)


def done(answer: dict[str, Any]) -> None:
    """The walk reached its end, with all that the nodes left."""
    assert (answer["outcome"], answer["next"]) == ("success", "__end__"), answer
    assert (answer["visited"], answer["said"]) == (list(range(NODES)), ["hello"])


def test_a_killed_run_is_gone_on_with(walkers: Walkers) -> None:
    """Killed at any node, before or behind its work, a run ends in another process as if nothing
    had been. No finished node runs again; while the dead one has the lease, nobody goes on."""
    deaths = [f"{when} {number}" for number in range(NODES) for when in ("before", "after")]
    killed = time.monotonic()
    assert walkers.play(*(walkers.walk(die, die=die) for die in deaths)) == [None] * len(deaths)
    [early] = walkers.play(walkers.walk(deaths[-1], resume=True))
    if time.monotonic() - killed < LEASE_S:
        assert early == {"refused": "ThreadBusy"}
    elif "outcome" in early:
        deaths.pop()
    time.sleep(LEASE_S)
    for answer in walkers.play(*(walkers.walk(die, resume=True, lease_s=15) for die in deaths)):
        done(answer)
    for die in deaths:
        when, number = die.split()
        again = [int(number)] if when == "after" else []
        assert walkers.visits(die) == sorted([*range(NODES), *again])


def test_of_many_that_go_on_one_does(walkers: Walkers) -> None:
    """The others are refused, also when they ask in the same moment, and run no node."""
    walkers.play(walkers.walk("t", die="before 1"))
    time.sleep(LEASE_S)
    answers = walkers.play(*[walkers.walk("t", resume=True, lease_s=15)] * 4)
    [winner] = [answer for answer in answers if "outcome" in answer]
    done(winner)
    # One may have come when it was all over.
    assert {answer.get("refused") for answer in answers} - {None} <= {
        "ThreadBusy",
        "NothingToResume",
    }
    assert walkers.visits("t") == list(range(NODES))


def finished(dsn: str, thread: str) -> int | None:
    """How many nodes have a checkpoint; None when the thread was not even begun."""

    async def look() -> int | None:
        store = open_store(dsn)
        try:
            at, _ = await look_up(store, ThreadKey("acme", "walker", thread))
        except ThreadNotFound:
            return None
        finally:
            await store.close()
        return at.step

    return asyncio.run(look())


@pytest.mark.nightly
def test_runs_that_are_killed_at_any_time(walkers: Walkers, dsn: str) -> None:
    """Killed again and again wherever they happen to be, runs get to their end, and what had a
    checkpoint is never done again."""
    dice = random.Random(7)
    begun: dict[str, int | None] = {f"t{number}": None for number in range(12)}
    tries = Counter[str]()
    while begun:
        walks = []
        for thread in list(begun)[:6]:
            tries[thread] += 1
            walk = walkers.walk(thread, resume=begun[thread] is not None, lease_s=0.3)
            # Longer and longer, or on a busy machine nothing would ever get anywhere.
            walks.append(walk | {"die_after_s": dice.uniform(0.01, 0.2 * tries[thread])})
        seen = {walk["thread"]: len(walkers.visits(walk["thread"])) for walk in walks}
        for walk, answer in zip(walks, walkers.play(*walks), strict=True):
            thread = walk["thread"]
            assert all(n >= (begun[thread] or 0) for n in walkers.visits(thread)[seen[thread] :])
            if answer is None or "LeaseLost" in answer.get("error", ""):
                # Without the processor for longer than its lease it is as good as dead.
                begun[thread] = finished(dsn, thread)
            elif answer.get("refused") != "ThreadBusy":
                if "refused" in answer:  # killed behind its last checkpoint
                    assert (answer["refused"], begun[thread]) == ("NothingToResume", NODES)
                else:
                    done(answer)
                del begun[thread]
        time.sleep(0.3)
    assert tries.total() > 12
