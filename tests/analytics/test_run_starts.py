"""What an alert asks of runs, read in the short way, is what `run_endings` says in the long one."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import Analytics, QueryError
from analytics.engine import Cut
from analytics.questions import Step, briefly, question_named, run_starts_of
from analytics.statements import read_only
from lake import Lake, Snapshot
from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

SHORT = "SELECT tenant_id, started_at, ttfb_ms FROM run_starts"
LONG = "SELECT tenant_id, started_at, ttfb_ms FROM run_endings"
ALERT = "alerts/ttfb_p95"
Runs = Counter[tuple[Any, ...]]


def runs_in(analytics: Analytics, sql: str) -> Runs:
    return Counter(tuple(row.values()) for row in analytics.query(sql).to_pylist())


def agree(analytics: Analytics) -> Runs:
    """The runs, which are the same whichever way they are asked for."""
    expected = runs_in(analytics, LONG)
    with analytics.in_passing() as passing:
        assert runs_in(passing, SHORT) == expected
    assert runs_in(analytics, SHORT) == expected
    return expected


@contextmanager
def both(telemetry: Telemetry, root: Path) -> Iterator[Analytics]:
    with Analytics(telemetry.lake(root), threads=1) as analytics:
        yield analytics


@pytest.mark.parametrize("seed", range(4))
def test_any_telemetry_has_the_same_runs_either_way(seed: int, tmp_path: Path) -> None:
    """Traces with one oddity or several, lines and copies, that come in two commits."""
    chance = random.Random(seed)
    commits = [Telemetry(), Telemetry()]
    everything = Telemetry()
    for number in range(120):
        spans_of_a_trace(everything, chance, f"{number:032x}")
    for _ in range(12):
        line(everything, chance)
    for row in everything.spans:
        chance.choice(commits).spans.append(row)
        if chance.random() < 0.02:
            chance.choice(commits).spans.append(row | {"received_at": row["received_at"] + ms(1)})
    for row in everything.logs:
        chance.choice(commits).logs.append(row)
    lake = Lake(tmp_path / "lake")
    with Analytics(lake, threads=1) as analytics:
        for position, telemetry in enumerate(commits, start=1):
            telemetry.into(lake, position)
            assert agree(analytics)


def spans_of_a_trace(telemetry: Telemetry, chance: random.Random, trace: str) -> None:
    """An agent and its calls of one tenant, but for what is odd about this one."""
    classes = chance.choice([
        ["agent", "llm", "tool"], ["agent", "llm"], ["llm", "tool"], ["agent", "agent", "llm"],
        ["node", "agent", "llm"], ["span", "agent", "llm"], ["span", "llm"],
    ])  # fmt: skip
    tenants = chance.choice([["acme"], ["acme"], [None], ["acme", None], ["acme", "beta"]])
    whose = {
        "run_id": chance.choice([None, f"r{chance.randint(0, 30)}"]),
        "thread_id": chance.choice([None, f"t{chance.randint(0, 30)}"]),
    }
    top: dict[str, Any] | None = None
    for span_class in classes:
        columns: dict[str, Any] = {
            "at": NOON + ms(chance.randint(0, 5000)),
            "took": chance.choice([0, 50, 700]),
            "ttfb_ms": chance.choice([None, float(chance.randint(1, 9))]),
            "tenant_id": chance.choice(tenants),
            "hearsay": chance.choice([None, None, "tenant_id,", "tenant_id,run_id,"]),
            "kind": chance.choice(["server", "internal"]),
        } | {name: value for name, value in whose.items() if chance.random() < 0.5}
        if span_class == "llm":
            columns |= {
                "response_id": chance.choice([None, f"resp-{chance.randint(0, 20)}"]),
                "service_name": chance.choice(["app", "gateway"]),
                "scope_name": chance.choice(["framework", "client"]),
            }
        make = getattr(telemetry, span_class)
        if span_class == "llm" and chance.random() < 0.3:
            telemetry.llm(**columns | {"at": columns["at"] + ms(0.5), "scope_name": "client"})
        span = make(under=top, **columns) if top else make(trace=trace, **columns)
        if top is None or chance.random() < 0.3:
            top = span


def line(telemetry: Telemetry, chance: random.Random) -> None:
    """That names a run, a trace or a thread, which may be there or not."""
    name = chance.choice([
        {"run_id": f"r{chance.randint(0, 40)}"}, {"trace_id": f"{chance.randint(0, 130):032x}"},
        {"thread_id": f"t{chance.randint(0, 40)}"},
    ])  # fmt: skip
    telemetry.log(
        chance.choice(["agent.run", "agent.run", "agent.cost", "noise"]),
        at=NOON + ms(chance.randint(0, 6000)),
        duration_ms=chance.choice([None, 100.0, 3000.0]),
        ttfb_ms=chance.choice([None, 77.0]),
        tenant_id=chance.choice([None, "gamma"]),
        agent_name="a",
        **name,
    )


def test_a_run_of_which_only_a_line_knows_the_tenant(telemetry: Telemetry, tmp_path: Path) -> None:
    """Its line is looked for by its trace, its run_id or its thread."""
    by_trace = telemetry.agent(ttfb_ms=1.0)
    telemetry.agent(ttfb_ms=2.0, run_id="r")
    telemetry.agent(ttfb_ms=None, thread_id="t", tenant_id="of the thread", took=100)
    telemetry.agent(ttfb_ms=4.0)
    telemetry.log("agent.run", trace_id=by_trace["trace_id"], tenant_id="of the trace")
    telemetry.log("agent.run", run_id="r", tenant_id="of the run")
    telemetry.log("agent.run", thread_id="t", ttfb_ms=3.0, at=NOON + ms(100))
    with both(telemetry, tmp_path / "lake") as analytics:
        assert agree(analytics) == {
            ("of the trace", NOON, 1.0): 1,
            ("of the run", NOON, 2.0): 1,
            ("of the thread", NOON, 3.0): 1,
            (None, NOON, 4.0): 1,
        }


def test_a_span_that_comes_late_changes_what_was_said(tmp_path: Path) -> None:
    """A root that arrives after its calls: they were no run, and now are its tenant's."""
    lake, telemetry, later = Lake(tmp_path / "lake"), Telemetry(), Telemetry()
    agent = later.agent(tenant_id="acme", ttfb_ms=5.0)
    telemetry.llm(under=agent, at=NOON + ms(1), parent_span_id=agent["span_id"])
    telemetry.into(lake, 1)
    with Analytics(lake, threads=1) as analytics:
        assert agree(analytics) == {}
        later.into(lake, 2)
        assert agree(analytics) == {("acme", NOON, 5.0): 1}


def test_an_ordinary_trace_is_left_out_of_the_long_way(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    """One agent, its calls and one tenant: nothing of it is worked out but what is asked."""
    ordinary = telemetry.agent(tenant_id="acme", ttfb_ms=1.0)
    telemetry.llm(under=ordinary, tenant_id="acme")
    crowded = telemetry.agent(tenant_id="acme", ttfb_ms=2.0)
    telemetry.agent(under=crowded, tenant_id="acme")
    asked = question_named(ALERT)
    with duckdb.connect() as connection:
        telemetry.lake(tmp_path / "lake").snapshot().attach(connection)
        Snapshot({}, {}).show(connection, "spans", "lake_earlier_spans")
        for each in briefly(asked.sql):
            connection.execute(each.sql)
        seen = connection.sql("SELECT DISTINCT trace_id FROM span_facts").fetchall()
    assert seen == [(crowded["trace_id"],)]


@pytest.mark.parametrize("line", [False, True])
def test_where_each_run_is_one_span_nothing_else_is_worked_out(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, line: bool
) -> None:
    """Unless there are lines: a run may be told by those alone."""
    stand_ins: list[str] = []

    def noted(name: str) -> Sequence[Step]:
        stand_ins.append(name)
        return run_starts_of(name)

    monkeypatch.setattr("analytics.engine.run_starts_of", noted)
    agent = telemetry.agent(tenant_id="acme", ttfb_ms=1.0)
    telemetry.llm(under=agent, tenant_id="acme")
    if line:
        telemetry.log("agent.run", run_id="of lines", tenant_id="beta", ttfb_ms=2.0)
    with both(telemetry, tmp_path / "lake") as analytics:
        assert sum(agree(analytics).values()) == 1 + line
    assert stand_ins == ([] if line else ["lone_starts"])


def test_a_question_in_passing_that_does_not_fit_is_answered_with_more_memory(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert that cannot be evaluated would be worse than memory."""
    monkeypatch.setattr("analytics.front.PASSING_MEMORY", "32MB")
    sql = "SELECT len(list(repeat('x', 1000) || i)) AS n FROM range(60000) AS r (i)"
    telemetry.agent()
    with both(telemetry, tmp_path / "lake") as analytics, analytics.in_passing() as passing:
        assert passing.query(sql)["n"].to_pylist() == [60_000]
        too_much = sql.replace("60000", "600000")
        with pytest.raises(QueryError, match="needs more memory than the limit"):
            passing.query(too_much)


def test_many_traces_that_need_the_long_way_are_left_to_more_memory(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the answer does not come late: nothing of them is worked out twice."""
    for _ in range(3):
        telemetry.agent(under=telemetry.agent(ttfb_ms=1.0))
    with both(telemetry, tmp_path / "lake") as analytics, analytics.in_passing() as passing:
        expected = runs_in(passing, SHORT)
        monkeypatch.setattr("analytics.engine.MANY_TRACES", 2)
        assert runs_in(passing, SHORT) == expected
        with pytest.raises(QueryError, match="needs more memory"):
            passing._engine.answer(
                read_only(SHORT),
                {},
                Cut(analytics._lake.snapshot(), Snapshot({}, {})),
                alone=True,
            )


def test_the_alert_has_the_answer_of_the_long_way(telemetry: Telemetry, opened: Opener) -> None:
    """Of the question itself: the p95 over runs of all kinds, within its window."""
    for number in range(40):
        agent = telemetry.agent(at=NOON + ms(number), tenant_id="acme", ttfb_ms=float(number))
        if number % 3 == 0:
            telemetry.agent(under=agent, tenant_id="beta", ttfb_ms=9000.0, at=NOON + ms(number))
    telemetry.agent(at=NOON - timedelta(minutes=10), tenant_id="acme", ttfb_ms=9000.0)
    analytics = opened()
    since = NOON - timedelta(minutes=4)
    until = since + timedelta(minutes=5)
    with analytics.in_passing() as passing:
        answer = passing.ask(ALERT, since=since, until=until).to_pylist()
    assert answer == analytics.ask(ALERT, since=since, until=until).to_pylist()
    assert [(row["tenant_id"], row["runs"], row["p95_ms"]) for row in answer] == [
        (None, 40, pytest.approx(37.05)),
        ("acme", 40, pytest.approx(37.05)),
    ]
