"""The embedded DuckDB: one database in memory, locked down, that answers over lake snapshots."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from analytics.questions import (
    FACTS,
    ORDER,
    VIEWS,
    Step,
    as_view,
    briefly,
    in_passing,
    run_starts_of,
    steps_for,
)
from analytics.statements import QueryError, one_line
from lake import TABLES, Snapshot, literally

if TYPE_CHECKING:
    from analytics.prices import PriceBook, PriceOverride

KEPT_SNAPSHOTS = 4
"""Snapshots whose steps are kept for the next question: an overview asks many of the same."""

HELD_ROWS = 50_000
"""Rows of spans, and of lines, up to which a question reads them once and into memory, about 1 kB
each; of more, each step reads the columns it needs."""

MANY_TRACES = 20_000
"""Of more traces the long way is not even tried with little memory: it would spill, and be late."""

TOO_LARGE = "the answer needs more memory than the limit; ask about less time or fewer columns"
WORD = re.compile(r"\w+")
LAKE_TABLES = frozenset(f"lake_{table}" for table in TABLES)

SnapshotKey = tuple[frozenset[tuple[str, int]], datetime | None, datetime | None]


@dataclass(frozen=True)
class Cut:
    """What a question is asked of: `rows`, and the rows of before among which kin is looked for."""

    rows: Snapshot
    earlier: Snapshot


class TooLargeError(QueryError):
    """The answer needs more memory than the engine may have."""


@dataclass
class Session:
    """A connection that shows one snapshot, and the steps of `sql/views/` it has built so far."""

    connection: duckdb.DuckDBPyConnection
    busy: Lock = field(default_factory=Lock)
    built: set[str] = field(default_factory=set)


class Engine:
    """A DuckDB that reads the files under `readable` and nothing else, and writes nothing.

    Safe for use from several threads: questions about one snapshot take turns, others do not wait.
    """

    def __init__(
        self,
        readable: Path,
        overrides: "Sequence[PriceOverride]",
        *,
        memory_limit: str,
        threads: int,
        sparing: bool = False,
    ) -> None:
        self._overrides = overrides
        self._sparing = sparing
        self._spill = TemporaryDirectory(prefix="quietpager-")
        self._opening = Lock()
        self._priced = False
        self._sessions: OrderedDict[SnapshotKey, Session] = OrderedDict()
        self._database = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                "temp_directory": self._spill.name,
                "preserve_insertion_order": False,
                "python_enable_replacements": False,
            }
        )
        self._prepare(readable)

    def answer(
        self,
        statement: duckdb.Statement,
        params: Mapping[str, object],
        cut: Cut,
        rests_on: frozenset[str] | None = None,
        *,
        alone: bool = False,
    ) -> pa.Table:
        """The whole answer to a statement of `read_only` over `cut`. Raises QueryError.

        `rests_on` names the steps that the statement reads; when left out, all are built whose
        names occur in it. `alone` says that no other question will be asked about this cut: none
        of its steps is kept.
        """
        session = None
        try:
            steps = steps_for(_names_in(statement) if rests_on is None else rests_on)
            if alone and any(cut.rows.files.values()):  # one empty range is like the next
                session, _ = self._opened(cut)
                steps = briefly(statement.query) or in_passing(steps, statement.query)
            else:
                session = self._session(cut)
            with session.busy:
                return _interruptibly(
                    session.connection, lambda: self._answer(session, statement, params, steps)
                )
        except duckdb.OutOfMemoryException as error:
            raise TooLargeError(TOO_LARGE) from error
        except duckdb.Error as error:
            damage = session and _damage_behind(error, cut, session)
            raise QueryError(damage or one_line(error)) from error

    def _answer(
        self,
        session: Session,
        statement: duckdb.Statement,
        params: Mapping[str, object],
        steps: Sequence[Step],
    ) -> pa.Table:
        self._build(session, steps)
        return session.connection.sql(statement, params=dict(params)).to_arrow_table()

    def close(self) -> None:
        with self._opening:
            self._sessions.clear()
            self._database.close()
        self._spill.cleanup()

    def _prepare(self, readable: Path) -> None:
        database = self._database
        database.execute("SET GLOBAL TimeZone = 'UTC'")
        database.execute("SET GLOBAL parquet_metadata_cache = true")  # files never change
        # A file is asked about twice: by its pattern, then by its path.
        allowed = [str(readable.absolute()), literally(str(readable.resolve()))]
        database.execute("SET allowed_directories = $1", [allowed])
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")

    def _opened(self, cut: Cut) -> tuple[Session, bool]:
        """A session of a cut, and whether every table can be read."""
        session = Session(self._database.cursor())
        whole = cut.rows.attach(session.connection)
        whole &= cut.earlier.show(session.connection, "spans", "lake_earlier_spans")
        return session, whole

    def _session(self, cut: Cut) -> Session:
        versions = frozenset(cut.rows.versions.items())
        key = (versions, cut.rows.since, cut.rows.until)
        with self._opening:
            if (session := self._sessions.get(key)) is None:
                session, whole = self._opened(cut)
                if not whole:
                    return session  # not kept: the file may be restored at any time
                for old in [old for old in self._sessions if old[0] != versions]:
                    del self._sessions[old]
                self._sessions[key] = session
            self._sessions.move_to_end(key)
            while len(self._sessions) > KEPT_SNAPSHOTS:
                self._sessions.popitem(last=False)
        return session

    def _build(self, session: Session, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.name not in session.built:
                if step.name == "prices":
                    self._list_prices()
                if step.name in FACTS:
                    step = _held_or_seen(session.connection, step)
                session.connection.execute(step.sql)
                if step.name == "models_used":
                    self._match_models(session)
                session.built.add(step.name)
                if step.name == "other_traces":
                    others = len(session.connection.table("other_traces"))
                    if others > MANY_TRACES and self._sparing:
                        raise TooLargeError(TOO_LARGE)
                    if not others and not len(session.connection.table("log_facts")):
                        self._build(session, run_starts_of("lone_starts"))
                        return

    @cached_property
    def _prices(self) -> "PriceBook":
        """Read at the first question about money: the public list takes most of a second."""
        from analytics.prices import PriceBook

        return PriceBook(self._overrides)

    def _list_prices(self) -> None:
        with self._opening:
            if self._priced:
                return
            self._database.register("listed", self._prices.price_list())
            self._database.execute("CREATE TABLE price_list AS FROM listed")
            self._database.unregister("listed")
            self._priced = True

    def _match_models(self, session: Session) -> None:
        used = session.connection.table("models_used").fetchall()
        session.connection.register("price_matches", self._prices.match_models(used))


def _damage_behind(error: duckdb.Error, cut: Cut, session: Session) -> str | None:
    """The damaged file that made a question fail, and what to do; None if none did."""
    return cut.rows.damage_behind(error, session.connection) or cut.earlier.damage_behind(
        error, session.connection
    )


def _held_or_seen(connection: duckdb.DuckDBPyConnection, facts: Step) -> Step:
    """The step as a table where it has few rows, else as a view."""
    seen = as_view(facts)
    if seen == facts:
        return seen
    connection.execute(seen.sql)
    if _has_many_rows(connection, facts.name):
        return seen
    connection.execute(f"DROP VIEW {facts.name}")
    return facts


def _has_many_rows(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    counted = connection.table(table).limit(HELD_ROWS + 1).aggregate("COUNT(*)")
    return bool(counted.fetchall()[0][0] > HELD_ROWS)


def _interruptibly(
    connection: duckdb.DuckDBPyConnection, answer: Callable[[], pa.Table]
) -> pa.Table:
    """``answer()``, ended by Ctrl-C.

    DuckDB does not return to Python before it has the answer, and Python takes signals in the main
    thread only, so that one has to wait elsewhere.
    """
    if current_thread() is not main_thread():
        return answer()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="query") as pool:
        asked = pool.submit(answer)
        try:
            return asked.result()
        except KeyboardInterrupt:
            while not asked.done():  # between two statements there is nothing to interrupt
                connection.interrupt()
                wait([asked], timeout=0.1)
            raise


def _names_in(statement: duckdb.Statement) -> frozenset[str]:
    """The steps whose names occur in a statement: more than it needs does no harm.

    Where there is none it asks for the catalogue (SHOW TABLES), or misspelt a name and shall be
    answered with what is there.
    """
    words = frozenset(WORD.findall(statement.query.lower()))
    known = words & (LAKE_TABLES | frozenset(ORDER))
    return known or frozenset(VIEWS)
