"""PostgreSQL: a pool of connections, each held for one statement."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
import stamina
from opentelemetry import trace
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from agent_runtime.errors import StoreError
from agent_runtime.store.statements import origin, schema_steps, statement
from agent_runtime.tally import Tally
from agent_runtime.under_way import succeeded

POOL_SIZE = 20
"""Connections at most; fewer are open while fewer nodes end at once."""
ACQUIRE_S = 2.0
"""How long a statement waits for a connection."""
PATIENCE_S = 10.0
"""For a statement and its repetitions, as while the server restarts; shorter than a lease."""
SCHEMA_LOCK = 7_163_842_091
"""Key of the advisory lock under which the schema is changed; a number nobody else uses."""

Connection = psycopg.AsyncConnection[dict[str, Any]]
T = TypeVar("T")


class PostgresStore:
    """A `Store` in a database of PostgreSQL."""

    def __init__(self, dsn: str, *, pool_size: int = POOL_SIZE) -> None:
        place = conninfo_to_dict(dsn)
        self._name = f"PostgreSQL {place.get('host', '')}/{place.get('dbname', '')}"
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            # No prepared statements: each carries its origin, and poolers in between lose them.
            kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None,
                    "application_name": place.get("application_name") or _service(),
                    "connect_timeout": 5},
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=ACQUIRE_S,
            open=False,
        )  # fmt: skip
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and bring the schema up to date.

        Whoever comes while somebody tries shares that attempt, and its failure.
        """
        opening = self._opening
        if opening is None or (opening.done() and not succeeded(opening)):
            opening = self._opening = asyncio.create_task(self._open())
        if not opening.done():
            await asyncio.wait({opening})
        opening.result()

    async def _open(self) -> None:
        await self._pool.open()
        await self._patiently(_migrate)

    async def execute(
        self,
        name: str,
        tally: Tally | None = None,
        /,
        *,
        durable: bool = False,  # noqa: ARG002 - whatever is committed is durable here
        **values: Any,
    ) -> list[dict[str, Any]]:
        """Run a statement of ``sql/postgres``."""
        # Placeholders are written %(name)s, so a percent sign in a comment has to be doubled.
        asks = origin(values.get("thread_id")).replace("%", "%%")
        text = asks + statement("postgres", name)

        async def run(connection: Connection) -> list[dict[str, Any]]:
            return await (await connection.execute(text, values)).fetchall()

        await self.open()
        return await self._patiently(run, tally)

    async def close(self) -> None:
        """Close the connections, each when its statement is done."""
        if self._opening is not None:
            self._opening.cancel()
        await self._pool.close()

    async def _patiently(
        self, work: Callable[[Connection], Awaitable[T]], tally: Tally | None = None
    ) -> T:
        attempts = stamina.retry_context(
            psycopg.OperationalError,
            attempts=None,
            timeout=PATIENCE_S,
            wait_initial=0.05,
            wait_max=1,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for attempt in attempts:
                    with attempt:
                        return await self._once(work, tally)
        except (psycopg.Error, TimeoutError) as error:
            reason = str(error) or f"no answer within {PATIENCE_S:g} s"
            raise StoreError(f"{self._name}: {reason}; is it up, and is its disk full?") from error
        raise AssertionError("attempts end with a result or an error")

    async def _once(self, work: Callable[[Connection], Awaitable[T]], tally: Tally | None) -> T:
        asked = time.perf_counter()
        try:
            connection = await self._pool.getconn()
        finally:
            if tally is not None:
                tally.db_wait_ms += (time.perf_counter() - asked) * 1000
        try:
            return await work(connection)
        finally:
            await self._pool.putconn(connection)


def _service() -> str:
    """What `pg_stat_activity` calls the connections; statements say for which thread they are."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    name = None if resource is None else resource.attributes.get("service.name")
    known = isinstance(name, str) and not name.startswith("unknown_service")
    return str(name) if known else "agent_runtime"


async def _migrate(connection: Connection) -> None:
    """Take the steps that are missing; another process that does the same waits."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        await connection.execute(statement("postgres", "schema_versions"))
        found = await connection.execute(statement("postgres", "version"))
        row = await found.fetchone()
        version = 0 if row is None else row["version"]
        for number, step in enumerate(schema_steps("postgres")[version:], version + 1):
            await connection.execute(step)
            await connection.execute(statement("postgres", "add_version"), {"version": number})
