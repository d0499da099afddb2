"""A compaction that dies at any moment changes nothing that a reader sees."""

import os
import random
import shutil
from pathlib import Path

import pytest

from lake import Lake
from tests.faults.batches import commit, rows_per_value, span_batch
from tests.faults.killed import live

FILES = 12
PREPARE = """
from pathlib import Path
from lake import Lake
lake = Lake(Path(sys.argv[1]))
"""
COMPACT = """
lake.compact("spans")
lake.sweep("spans")
"""


def small_files(data: Path) -> list[str]:
    """Commits that are worth a compaction; the span ids in them."""
    batches = [span_batch(1000) for _ in range(FILES)]
    for _, body in batches:
        commit(data, "traces", body, 1000)
    return [name for names, _ in batches for name in names]


def compact(lake: Path, kill_after: float | None) -> float:
    """Compact in a process of its own and kill it; returns how many seconds it lived."""
    return live(PREPARE, COMPACT, str(lake), kill_after)


@pytest.mark.parametrize(
    "kills", [5, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])]
)
def test_a_killed_compaction(tmp_path: Path, kills: int) -> None:
    """Every row is there once afterwards, and the next compaction does what this one left."""
    seed = int(os.environ.get("QUIETPAGER_FAULT_SEED", random.randrange(2**32)))
    print(f"QUIETPAGER_FAULT_SEED={seed}")
    rng = random.Random(seed)
    once = dict.fromkeys(small_files(tmp_path / "data"), 1)
    shutil.copytree(tmp_path / "data" / "lake", tmp_path / "whole")
    needed = compact(tmp_path / "whole", None)
    for kill in range(kills):
        copy = tmp_path / str(kill)
        shutil.copytree(tmp_path / "data" / "lake", copy)
        compact(copy, rng.uniform(0, needed))
        lake = Lake(copy)
        assert rows_per_value(lake, "spans", "span_id") == once
        lake.compact("spans")
        lake.sweep("spans")
        assert rows_per_value(lake, "spans", "span_id") == once
        assert len(lake.snapshot().files["spans"]) < FILES
        shutil.rmtree(copy)
