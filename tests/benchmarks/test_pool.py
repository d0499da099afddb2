"""The benchmark of the pool measures what it says. How long anything waits, no test asks."""

import json

import pytest

from tests.benchmarks.conftest import Run
from tests.postgres import Cluster

WAITS = {
    f"{name}_p{percentile}_ms"
    for name in ("checkout_wait", "run_wait", "at_once_checkout_wait", "at_once_run_wait")
    for percentile in (50, 95, 99)
}
OF_BOTH = WAITS | {
    "open", "runs_per_s", "failed", "checkouts_per_s", "held_while_all_wait", "at_once_runs_per_s",
    "at_once_failed",
}  # fmt: skip


@pytest.mark.timeout(300)
def test_a_short_run_gives_every_figure(run: Run, postgres: Cluster) -> None:
    """A few runs over a server of its own give one JSON object, by size of the pool; of all that
    wait for the model none holds a connection."""
    answer = run("--seconds", "1", "--pools", "1,3", "--runs", "10", "--rate", "10", "--json")
    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert figures["pools"].keys() == {"1", "3"}
    for pool in figures["pools"].values():
        assert pool.keys() == OF_BOTH | {"by_hand_runs_per_s", "ratio"}
        assert (pool["failed"], pool["held_while_all_wait"]) == (0, 0)
        assert pool["open"] > 1
        assert pool["ratio"] > 0
    assert figures["sqlite"].keys() == OF_BOTH
    assert figures["default_pool"] == 20


def test_a_pool_of_nothing_is_refused(run: Run) -> None:
    """One line that names the value, before anything runs."""
    answer = run("--pools", "0,5")
    assert answer.returncode == 2
    assert "0,5: a pool has at least one connection" in answer.stderr
