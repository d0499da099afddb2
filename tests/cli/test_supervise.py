"""How the sidecar's processes are kept running and ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli import supervise as supervising
from cli.failure import Failure
from cli.supervise import Child, kill, supervise

CHILD = """
import json, os, signal, sys, time
role, file = sys.argv[1:3]
def note(what):
    with open(file, "a") as log:
        log.write(f"{role} {what}\\n")
def drain(*_):
    note("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
note(f"started {os.getpid()}")
print(json.dumps({"ready": {"told": os.environ["QUIETPAGER_PROCESS"]}}), flush=True)
"""
WAIT = "sys.stdin.read(); note('orphaned')"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
REFUSES = 'import json\nprint(json.dumps({"failed": "port 4318 is in use"}), flush=True)\nexit(1)'


class Stage:
    """Children that note in a file what happens to them."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "notes"
        self.file.touch()
        self.ready: Mapping[str, Mapping[str, str]] | None = None
        self.stop = asyncio.Event()

    def child(self, role: str, then: str = WAIT, drain_seconds: float = 10) -> Child:
        command = (sys.executable, "-c", CHILD + then, role, str(self.file))
        return Child(role, command, f"settings of {role}", drain_seconds)

    def notes(self, what: str) -> list[str]:
        return [line for line in self.file.read_text().splitlines() if what in line]

    def start(self, *children: Child) -> asyncio.Task[bool]:
        def on_ready(said: Mapping[str, Mapping[str, str]]) -> None:
            self.ready = said

        return asyncio.create_task(supervise(children, on_ready, self.stop))

    async def until(self, what: str, times: int = 1) -> list[str]:
        async with asyncio.timeout(60):
            while self.ready is None or len(self.notes(what)) < times:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
        return self.notes(what)


def test_drains_in_order(tmp_path: Path) -> None:
    """All are told what they are to do, and are drained one after the other in their order."""

    async def play() -> None:
        stage = Stage(tmp_path)
        running = stage.start(stage.child("one"), stage.child("two"), stage.child("three"))
        await stage.until("started", 3)

        assert stage.ready is not None
        assert stage.ready["two"] == {"told": "settings of two"}
        stage.stop.set()
        assert await running
        assert stage.notes("drained") == ["one drained", "two drained", "three drained"]

    asyncio.run(play())


def test_restarts_what_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that dies is started again; the others are left alone."""
    monkeypatch.setattr(supervising, "FIRST_BACKOFF_SECONDS", 0.02)

    async def play() -> None:
        stage = Stage(tmp_path)
        running = stage.start(stage.child("one"), stage.child("two"))
        await stage.until("started", 2)
        for times in (2, 3):
            (*_, latest) = stage.notes("one started")
            os.kill(int(latest.split()[2]), signal.SIGKILL)
            await stage.until("one started", times)
        await asyncio.sleep(0.1)
        stage.stop.set()

        assert await running
        assert len(stage.notes("two started")) == 1
        assert stage.notes("drained") == ["one drained", "two drained"]

    asyncio.run(play())


def test_start_refused(tmp_path: Path) -> None:
    """When one cannot start, its reason is told and the others are drained."""

    async def play() -> None:
        stage = Stage(tmp_path)
        refusing = Child("two", (sys.executable, "-c", REFUSES), "", drain_seconds=10)
        with pytest.raises(Failure, match=r"^port 4318 is in use$"):
            await stage.start(stage.child("one"), refusing)
        assert stage.ready is None
        assert all(child.returncode is not None for child in (refusing.process,) if child)

    asyncio.run(play())


def test_start_dies(tmp_path: Path) -> None:
    """A child that dies without a word before it is ready is told by name and exit code."""

    async def play() -> None:
        silent = Child("writer", (sys.executable, "-c", "exit(3)"), "", drain_seconds=10)
        with pytest.raises(Failure, match="writer ended with exit code 3 before it was ready"):
            await Stage(tmp_path).start(silent)

    asyncio.run(play())


def test_stop_while_starting(tmp_path: Path) -> None:
    """Stopping does not wait for a start that takes long."""

    async def play() -> None:
        stage = Stage(tmp_path)
        slow = Child("one", (sys.executable, "-c", "import time; time.sleep(60)"), "", 10)
        running = stage.start(slow)
        await asyncio.sleep(0.2)
        stage.stop.set()

        assert await asyncio.wait_for(running, 10)
        assert stage.ready is None

    asyncio.run(play())


def test_drain_takes_too_long(tmp_path: Path) -> None:
    """A child that does not drain in its time is killed, and the answer says so."""

    async def play() -> None:
        stage = Stage(tmp_path)
        running = stage.start(stage.child("one", STUBBORN, drain_seconds=0.2), stage.child("two"))
        await stage.until("started", 2)
        stage.stop.set()

        assert not await running
        assert stage.notes("drained") == ["two drained"]

    asyncio.run(play())


def test_kill_at_once(tmp_path: Path) -> None:
    """Whoever does not want to wait for the drain can end it."""

    async def play() -> None:
        stage = Stage(tmp_path)
        children = (stage.child("one", STUBBORN, drain_seconds=60), stage.child("two"))
        running = stage.start(*children)
        await stage.until("started", 2)
        stage.stop.set()
        await asyncio.sleep(0.1)
        kill(children)

        await asyncio.wait_for(running, 10)
        assert stage.notes("drained") == []

    asyncio.run(play())


def test_orphans_end(tmp_path: Path) -> None:
    """When the supervisor is killed its children see their stdin end."""

    async def play() -> None:
        stage = Stage(tmp_path)
        running = stage.start(child := stage.child("one"))
        await stage.until("started")
        assert child.process is not None
        assert child.process.stdin is not None
        child.process.stdin.close()
        await stage.until("orphaned")
        stage.stop.set()
        await running

    asyncio.run(play())
