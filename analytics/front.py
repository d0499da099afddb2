"""The front door: questions asked of a lake, answered as Arrow tables."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

import pyarrow as pa

from analytics.engine import Cut, Engine, TooLargeError
from analytics.questions import question_named
from analytics.statements import QueryError, read_only
from lake import Lake, Snapshot

if TYPE_CHECKING:
    from analytics.prices import PriceOverride

PADDING = timedelta(hours=1)
"""How much more than the time asked for is read on each side: a run that began in the window has
spans after it, and a call in the window belongs to a run that began before."""

LOOK_BACK = timedelta(days=1)
"""How long before the window the spans are looked for that its own belong to: what a run of hours
says of itself, the response that a cache repeats. See `sql/views/earlier_spans.sql`."""

PASSING_MEMORY = "128MB"
"""What a question asked in passing may take before it spills: it comes again and again beside all
else, and is answered from less at the price of some time."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)


class Analytics:
    """Answers over a lake: shipped questions by name, and any read-only SQL over the views.

    One object may be used from several threads. `memory_limit` holds for all requests together;
    what does not fit spills to the system's temporary directory.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        prices: "Sequence[PriceOverride]" = (),
        memory_limit: str = "512MB",
        threads: int = 2,
    ) -> None:
        self._lake = lake
        self._prices = prices
        self._versions: Mapping[str, int] | None = None
        self._cuts: dict[tuple[datetime | None, datetime | None], Cut] = {}
        self._ample: Engine | None = None
        self._engine = Engine(lake.root, prices, memory_limit=memory_limit, threads=threads)

    def ask(
        self,
        question: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **params: object,
    ) -> pa.Table:
        """The answer to a shipped question, such as ``slo/ttfb`` or ``cost/by``.

        `params` are the parameters its .sql file documents; `tenant` is None (all) if not given.
        Without `since` or `until` that side is open. Raises UnknownQuestion, and QueryError for a
        parameter that is missing or not the question's.
        """
        asked = question_named(question)
        given = {"since": since or BEGINNING, "until": until or END, "tenant": None, **params}
        return self._run(
            question, asked.sql, given, frozenset(params), since, until, rests_on=asked.rests_on
        )

    def query(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pa.Table:
        """The answer to one read-only statement over the views; `$name` is taken from `params`.

        `since` and `until` are bound to `$since` and `$until` and limit what is read, an hour more
        on each side and what of the day before belongs to it: they save time, the statement itself
        selects. Raises QueryError, whose message is one line.
        """
        given = {"since": since or BEGINNING, "until": until or END, **(params or {})}
        return self._run("query", sql, given, frozenset(params or ()), since, until)

    def pinned(self) -> "Analytics":
        """The same analytics, answering from the lake as it is now, whatever arrives later.

        For answers that stand side by side and must agree. Use it for a request, not for long:
        the files of a past version are deleted after an hour. It shares this one's engine.
        """
        twin = copy(self)
        twin._versions = self._lake.versions()  # noqa: SLF001 - of its own class
        twin._cuts = {}  # noqa: SLF001 - of its own class
        return twin

    def in_passing(self) -> "Analytics":
        """The same analytics, for ranges about which nothing else will be asked, such as "now".

        Less is held in memory for an answer, and nothing for the next. What cannot be answered
        like that is answered by this one's engine. Close both.
        """
        twin = copy(self)
        twin._ample = self._engine  # noqa: SLF001 - of its own class
        twin._engine = Engine(  # noqa: SLF001 - of its own class
            self._lake.root, self._prices, memory_limit=PASSING_MEMORY, threads=1, sparing=True
        )
        return twin

    def close(self) -> None:
        """Give back memory and spill files."""
        self._engine.close()

    def __enter__(self) -> "Analytics":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(
        self,
        name: str,
        sql: str,
        given: Mapping[str, object],
        required: frozenset[str],
        since: datetime | None,
        until: datetime | None,
        *,
        rests_on: frozenset[str] | None = None,
    ) -> pa.Table:
        statement = read_only(sql)
        wanted = statement.named_parameters
        if missing := sorted(wanted - given.keys()):
            raise QueryError(f"{name} needs a value for ${', $'.join(missing)}")
        if surplus := sorted(required - wanted):
            raise QueryError(
                f"{name} has no parameter {', '.join(surplus)}; "
                f"it has {', '.join(sorted(wanted)) or 'none'}"
            )
        params = {key: given[key] for key in wanted}
        cut = self._cut(since, until)
        if self._ample is None:
            return self._engine.answer(statement, params, cut, rests_on)
        try:
            return self._engine.answer(statement, params, cut, rests_on, alone=True)
        except TooLargeError:
            return self._ample.answer(statement, params, cut, rests_on, alone=True)

    def _cut(self, since: datetime | None, until: datetime | None) -> Cut:
        if (cut := self._cuts.get((since, until))) is not None:
            return cut
        rows = self._lake.snapshot(
            since=since and since - PADDING,
            until=until and until + PADDING,
            versions=self._versions,
        )
        cut = Cut(rows, self._before(rows))
        if self._versions is not None:  # pinned: it is the same for the next question
            self._cuts[since, until] = cut
        return cut

    def _before(self, rows: Snapshot) -> Snapshot:
        spans = {table: rows.versions[table] for table in ("spans",) if table in rows.versions}
        if rows.since is None or not spans:
            return Snapshot({}, {})
        since = rows.since + PADDING - LOOK_BACK
        return self._lake.snapshot(since=since, until=rows.since, versions=spans)
