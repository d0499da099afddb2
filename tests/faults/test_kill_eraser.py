"""Erasing may die before any single change it makes to a file in quarantine."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.journal import Journal, closed_segments, quarantine, quarantined_in
from ingest.set_aside import take_out_of_quarantine
from lake.mapping_file import SHIPPED
from tests.ingest.kept import of_tenant

REPOSITORY = Path(__file__).resolve().parents[2]


def undecodable(tenant: str) -> bytes:
    return b"\xff\xff\x0a" + bytes([len(tenant)]) + tenant.encode()


READABLE = of_tenant("acme").SerializeToString()
SEGMENTS = {
    "all of it is the tenant's": [undecodable("acme")],
    "another's is left": [READABLE, undecodable("globex")],
    "of both": [undecodable("acme"), undecodable("globex"), READABLE],
}


def set_aside(data: Path, bodies: list[bytes]) -> Path:
    """A segment of these batches in quarantine; returns its directory."""
    directory = data / "journal" / "traces"

    async def append() -> None:
        journal = Journal(directory, lambda *_: None)
        for body in bodies:
            assert await journal.append(body, time.time_ns(), 1)
        await journal.close()

    asyncio.run(append())
    [segment] = closed_segments(directory)
    return quarantine(segment, "it cannot be decoded").parent


def erase_until_killed(data: Path, tenant: str, change: int) -> bool:
    """Run an eraser that dies before the n-th change; whether it died."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying_eraser", str(data), tenant, str(change)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


@pytest.mark.parametrize("others_first", [False, True])
@pytest.mark.parametrize("bodies", SEGMENTS.values(), ids=SEGMENTS.keys())
def test_an_erasure_killed_before_any_change_is_ended_by_the_next(
    tmp_path: Path, bodies: list[bytes], *, others_first: bool
) -> None:
    """Of this tenant or another: nothing names either, and no reason is without its segment."""
    deaths = 0
    died = True
    while died:
        data = tmp_path / str(deaths)
        aside = set_aside(data, bodies)
        died = erase_until_killed(data, "acme", deaths + 1)
        deaths += died
        tenants = ("globex", "acme") if others_first else ("acme", "globex")
        for tenant in tenants:
            take_out_of_quarantine(data, tenant, SHIPPED)
            assert not [path for path in aside.iterdir() if tenant.encode() in path.read_bytes()]
            assert all(
                reason.with_suffix(".journal").exists() for reason in quarantined_in(aside.parent)
            )
        assert list(aside.iterdir()) == []
    assert deaths >= 2, "too few changes were seen: is the hook still called?"
