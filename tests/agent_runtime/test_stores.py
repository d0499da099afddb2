"""The databases that threads are kept in: what both do, each on the real thing."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from agent_runtime.store import open_store

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
