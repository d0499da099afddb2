"""A full disk: what cannot be kept is refused, what is kept unharmed, and with room it is over."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lake import Lake
from tests.faults.disk import MIB, SmallDisk, small_disk
from tests.faults.senders import Sent, check_journal_is_empty, check_lake, load
from tests.faults.test_damage import events
from tests.sidecar import Processes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 48 MiB."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def acknowledged(sent: Sent) -> int:
    return len(sent.acknowledged)


def refused(sent: Sent) -> int:
    return sent.retries


def lake_on(disk: SmallDisk, folder: Path) -> Lake:
    """What lies in the lake, where the test can read it."""
    shutil.copytree(disk.seen / "data" / "lake", folder)
    return Lake(folder)


def test_a_disk_that_fills_up_under_load(disk: SmallDisk, tmp_path: Path) -> None:
    """Senders are told to come back; once there is room all is taken, and is there once.

    The disk really is full, again and again, and gives back little at first: whatever a failed
    write left must not take the place that the next one needs.
    """
    with (
        Processes(disk.path / "data", tmp_path / "log", inside=disk.inside, min_free=0) as sidecar,
        load(sidecar) as sending,
    ):
        sidecar.start_and_wait()
        sending.wait_until_each(acknowledged)
        for room in (2 * MIB, 4 * MIB, None):
            disk.fill()
            sending.wait_until_each(refused, more=5)
            time.sleep(1.5)  # the writer tries again, and again
            disk.free(room)
            sending.wait_until_each(acknowledged)
        sending.finish()
        sidecar.stop()
    assert "No space left" in str(events(tmp_path / "log", "receive.disk_refused")[0]["error"])
    check_journal_is_empty(disk.seen / "data")
    check_lake(lake_on(disk, tmp_path / "lake"), sending)


def test_a_commit_that_does_not_fit(disk: SmallDisk, tmp_path: Path) -> None:
    """A writer without room for its commit leaves no rubbish, and goes on by itself when it has."""
    with Processes(disk.path / "data", tmp_path / "log", inside=disk.inside, min_free=0) as sidecar:
        sidecar.start_and_wait("receiver")
        with load(sidecar, largest=2000) as sending:
            sending.wait_until_each(acknowledged, more=30_000)
            sending.finish()
        disk.fill()
        disk.free(MIB)
        before = disk.used()
        sidecar.start_and_wait("writer")
        time.sleep(4)
        assert disk.used() <= before + MIB // 4, "what failed was left lying about"
        assert "No space left" in str(events(tmp_path / "log", "writer.failed")[0]["reason"])
        disk.free()
        sidecar.stop()
    check_journal_is_empty(disk.seen / "data")
    check_lake(lake_on(disk, tmp_path / "lake"), sending)


def test_room_is_kept_for_the_writer(disk: SmallDisk, tmp_path: Path) -> None:
    """Before the disk is full the receiver asks to come back, and says why when asked."""
    with (
        Processes(
            disk.path / "data", tmp_path / "log", inside=disk.inside, min_free="20MiB"
        ) as sidecar,
        load(sidecar) as sending,
    ):
        sidecar.start_and_wait()
        sending.wait_until_each(acknowledged)
        disk.fill()
        disk.free(15 * MIB)
        sending.wait_until_each(refused, more=3)
        answer = httpx.get(f"{sidecar.url}/readyz")
        assert answer.status_code == 503
        assert "must stay free" in answer.json()["reason"]
        disk.free()
        sending.wait_until_each(acknowledged)
        sending.finish()
        sidecar.stop()
    check_lake(lake_on(disk, tmp_path / "lake"), sending)
