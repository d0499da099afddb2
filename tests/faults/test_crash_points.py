"""The writer may die before any single change it makes to a file."""

import asyncio
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from ingest.journal import Journal
from ingest.ledger import Ledger
from lake import Lake
from tests.faults.batches import drain, rows_per_value, span_batch

DYING_WRITER = Path(__file__).with_name("dying_writer.py")
SEGMENTS = 2
BATCHES = 3


def fill_journal(data: Path) -> tuple[list[str], list[bytes]]:
    """Closed segments of several batches; returns the span ids in them, and the batches."""
    batches = [span_batch(20) for _ in range(SEGMENTS * BATCHES)]

    async def append() -> None:
        for first in range(0, len(batches), BATCHES):
            journal = Journal(
                data / "journal" / "traces", partial(Ledger(data).close_segment, "traces")
            )
            for _, body in batches[first : first + BATCHES]:
                assert await journal.append(body, time.time_ns(), 1)
            await journal.close()

    asyncio.run(append())
    return [name for names, _ in batches for name in names], [body for _, body in batches]


def write_until_killed(data: Path, change: int) -> bool:
    """Run a writer that dies before the n-th change; whether it died."""
    done = subprocess.run(
        [sys.executable, str(DYING_WRITER), str(data), str(change)],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


def test_a_writer_killed_before_any_change_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Whichever creation, renaming or removal it did not live to do: the restart puts it right.

    Every span is in the lake once, the journal is empty, and every batch is still recognised
    should its client send it again.
    """
    deaths = 0
    died = True
    while died:
        data = tmp_path / str(deaths)
        names, bodies = fill_journal(data)
        died = write_until_killed(data, deaths + 1)
        deaths += died
        drain(data)
        assert rows_per_value(Lake(data / "lake"), "spans", "span_id") == dict.fromkeys(names, 1)
        directory = data / "journal" / "traces"
        assert not list(directory.glob("*.journal"))
        assert not any(asyncio.run(append_again(directory, bodies)))
    assert deaths >= 3 * SEGMENTS, "too few changes were seen: is the hook still called?"


async def append_again(directory: Path, bodies: list[bytes]) -> list[bool]:
    """Which of the batches the receiver takes for new."""
    journal = Journal(directory, lambda *_: None)
    accepted = [await journal.append(body, 1, 1) for body in bodies]
    await journal.close()
    return accepted
