"""An end at any moment, by force or by request, loses nothing and counts nothing twice."""

import os
import random
import time
from pathlib import Path

import pytest

from lake import Lake
from tests.faults.senders import check_journal_is_empty, check_lake, load
from tests.sidecar import Processes


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(20, marks=pytest.mark.timeout(180)),
        pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)]),
    ],
)
def test_kill_9_at_random_moments_under_load(tmp_path: Path, kills: int) -> None:
    """Kill processes again and again under load: every acknowledged record exactly once.

    Mostly both at once, as when the machine runs out of memory, else one of them.
    """
    seed = int(os.environ.get("QUIETPAGER_FAULT_SEED", random.randrange(2**32)))
    print(f"QUIETPAGER_FAULT_SEED={seed}")
    rng = random.Random(seed)
    with (
        Processes(tmp_path / "data", tmp_path / "log") as sidecar,
        load(sidecar, seed=rng.random()) as sending,
    ):
        sidecar.start()
        for kill in range(kills):
            if kill % 5:  # every fifth time it is killed while it still recovers
                sidecar.wait_until_ready()
            time.sleep(rng.uniform(0, 1.2))
            victims = rng.choice([("receiver", "writer")] * 3 + [("receiver",), ("writer",)])
            sidecar.kill(*victims)
            sidecar.start(*victims)
            sending.check_alive()
        sidecar.wait_until_ready()
        sending.finish()
        sidecar.stop()
    check_lake(Lake(tmp_path / "data" / "lake"), sending)
    check_journal_is_empty(tmp_path / "data")
    assert sum(sent.retries for sent in sending.spans) > kills / 2, "the kills met no load"


@pytest.mark.parametrize(
    "ends",
    [2, pytest.param(30, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])],
)
def test_sigterm_under_load(tmp_path: Path, ends: int) -> None:
    """Asked to end under load, both exit 0 and what was acknowledged until then is in the lake."""
    with (
        Processes(tmp_path / "data", tmp_path / "log") as sidecar,
        load(sidecar) as sending,
    ):
        for _ in range(ends):
            sidecar.start_and_wait()
            sending.wait_until_each(lambda sent: len(sent.acknowledged), more=200)
            sidecar.stop()
            check_journal_is_empty(tmp_path / "data")
        sidecar.start_and_wait()
        sending.finish()
        sidecar.stop()
    check_lake(Lake(tmp_path / "data" / "lake"), sending)
