"""The databases that threads are kept in: what both do, each on the real thing."""

import asyncio
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_runtime import StoreError
from agent_runtime.store import SqliteStore, open_store
from agent_runtime.store.sqlite import MOVE_AFTER

THREAD = {"tenant_id": "acme", "agent_name": "support", "thread_id": "t1"}


def acquire(dsn: str, owner: str, *, lease_s: float = 60.0, create: bool = True) -> list[int]:
    async def run() -> list[int]:
        store = open_store(dsn)
        try:
            rows = await store.execute(
                "acquire_lease", **THREAD, owner=owner, lease_s=lease_s, create=create
            )
        finally:
            await store.close()
        return [row["fence"] for row in rows]

    return asyncio.run(run())


def test_one_holds_the_lease(dsn: str) -> None:
    """Of two owners one gets it; it may have it again, and the other one when it has run out."""
    assert acquire(dsn, "one", create=False) == []
    assert acquire(dsn, "one", lease_s=0.3) == [1]
    assert acquire(dsn, "two") == []
    assert acquire(dsn, "one", lease_s=0.3) == [2]
    time.sleep(0.35)
    assert acquire(dsn, "two", create=False) == [3]


def test_schemas_made_at_once_are_one(dsn: str) -> None:
    """Replicas that start together all find a database they can use, whoever made it."""
    start = threading.Barrier(4)

    def replica(number: int) -> list[int]:
        start.wait()
        return acquire(dsn, f"run{number}")

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(replica, range(4))) == [[], [], [], [1]]


def test_a_file_that_others_write_stops_nobody_else(tmp_path: Path) -> None:
    """While another process writes, a statement waits, and the rest of the process does not."""
    store = SqliteStore(tmp_path / "agent.db")

    async def run() -> tuple[list[dict[str, int]], int]:
        await store.open()
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(
                store.execute("acquire_lease", **THREAD, owner="one", lease_s=60.0, create=True)
            )
            turns = 0
            for _ in range(20):
                await asyncio.sleep(0.01)
                turns += not waiting.done()
            other.execute("COMMIT")
        rows = await waiting
        await store.close()
        return rows, turns

    rows, turns = asyncio.run(run())
    assert [row["fence"] for row in rows] == [1]
    assert turns == 20


def test_those_who_wait_for_a_file_give_up_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one after the other, or a crowd would wait for minutes behind another process."""
    monkeypatch.setattr(sys.modules["agent_runtime.store.sqlite"], "BUSY_S", 0.5)
    store = SqliteStore(tmp_path / "agent.db")

    async def run() -> tuple[list[BaseException | list[dict[str, Any]]], float]:
        await store.open()
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            waiting = (
                store.execute(
                    "acquire_lease", **{**THREAD, "thread_id": f"t{number}"}, owner="one",
                    lease_s=60.0, create=True,
                )
                for number in range(20)
            )  # fmt: skip
            results = await asyncio.gather(*waiting, return_exceptions=True)
            took_s = time.monotonic() - began
        await store.close()
        return results, took_s

    results, took_s = asyncio.run(run())
    assert {type(result) for result in results} == {StoreError}
    assert took_s < 20 * 0.5 / 2


def test_a_damaged_file_is_an_error_of_the_store(tmp_path: Path) -> None:
    """So that clients are told to come again, and a write that was claimed is in doubt."""
    store = SqliteStore(tmp_path / "agent.db")

    async def run() -> None:
        await store.open()
        await store.execute("acquire_lease", **THREAD, owner="one", lease_s=60.0, create=True)
        with closing(sqlite3.connect(store.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = store.path.stat().st_size
        with store.path.open("r+b") as file:
            file.seek(4096)  # behind the first page, which says that it is a database
            file.write(b"Z" * (size - 4096))
        with pytest.raises(StoreError, match=r"agent\.db: database disk image is malformed"):
            await store.execute("load_thread", **THREAD)
        await store.close()

    asyncio.run(run())


def test_the_log_behind_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """What is written moves from SQLite's log to the file, and its place there is used again."""
    store = SqliteStore(tmp_path / "agent.db")
    log = tmp_path / "agent.db-wal"

    async def write(times: int) -> int:
        for number in range(times):
            await store.execute(
                "acquire_lease", **{**THREAD, "thread_id": f"t{number}"}, owner="one",
                lease_s=60.0, create=True,
            )  # fmt: skip
        return log.stat().st_size

    async def run() -> tuple[int, int]:
        await store.open()
        sizes = await write(MOVE_AFTER), await write(MOVE_AFTER * 6)
        await store.close()
        return sizes

    once, later = asyncio.run(run())
    assert later < 3 * once


def test_of_a_thread_only_the_last_values_are_read(dsn: str) -> None:
    """They may be large, and checkpoints many: a turn takes no longer for those behind it."""

    async def run() -> list[dict[str, Any]]:
        store = open_store(dsn)
        try:
            rows = await store.execute(
                "acquire_lease", **THREAD, owner="o", lease_s=60.0, create=True
            )
            for seq in (1, 2, 3):
                await store.execute(
                    "save_checkpoint", **THREAD, fence=rows[0]["fence"], seq=seq, run_id="r",
                    turn_id="t", step=seq, next_node="n", messages="[]", state_values="{}",
                    interrupts="{}", tally="{}",
                )  # fmt: skip
            return await store.execute("load_thread", **THREAD)
        finally:
            await store.close()

    rows = asyncio.run(run())
    assert [row["messages"] for row in rows] == ["[]"] * 3
    for name in ("state_values", "interrupts", "tally"):
        assert [row[name] for row in rows] == [None, None, "{}"]
