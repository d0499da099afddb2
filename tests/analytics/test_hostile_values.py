"""No value in the data makes a view or a shipped question fail, or spoils another row."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import VIEWS, Analytics, questions
from analytics.statements import read_only
from lake import TABLES
from tests.analytics.telemetry import NOON, Telemetry

Ask = Callable[..., list[dict[str, Any]]]

PARAMETERS: dict[str, object] = {
    "target": 0.95,
    "threshold_ms": 1500,
    "limit_usd": Decimal("0.25"),
    "bucket_seconds": 3600,
    "thread_id": "t",
    "tolerance_ms": 1000.0,
    "input_names": ["gen_ai.usage.input_tokens"],
    "prefixes": ["gen_ai."],
    "known": "gen_ai[.]operation[.]name",
    "by": "tenant,user,agent,feature,provider,model,day,tool,error",
}
COUNTS = st.one_of(
    st.none(),
    st.sampled_from((0, -1, 1, 1000, 10**12 - 1, 10**12, *(2**n for n in (31, 32, 53, 62)))),
    st.sampled_from((2**63 - 1, -(2**63), -(2**31) - 1)),
    st.integers(-(2**63), 2**63 - 1),
)
REALS = st.one_of(
    st.none(),
    st.sampled_from((0.0, -0.0, -1.0, 0.0005, 2147484.0, 2.0**31, 2.0**53, 2.0**62, 2.0**63)),
    st.sampled_from((1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan)),
    st.floats(),
)
MOMENTS = st.one_of(
    st.just(NOON),
    # OpenTelemetry counts nanoseconds since 1970 in 64 bits.
    st.sampled_from((datetime(1970, 1, 1, tzinfo=UTC), datetime(2554, 7, 21, tzinfo=UTC))),
    st.integers(0, 2**64 // 1000 - 1).map(
        lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    ),
)


def numbers(table: str) -> st.SearchStrategy[dict[str, Any]]:
    """A value for each numeric column of a lake table."""
    columns = TABLES[table].arrow
    return st.fixed_dictionaries(
        {
            field.name: REALS if pa.types.is_floating(field.type) else COUNTS
            for field in columns
            if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        }
    )


@st.composite
def hostile(draw: st.DrawFn) -> Telemetry:
    """One of everything that the views tell apart, every number drawn."""
    telemetry = Telemetry()

    def span(kind: str, **columns: Any) -> dict[str, Any]:
        began = draw(MOMENTS)
        drawn = {"at": began, "end_time": draw(MOMENTS), "received_at": draw(MOMENTS)}
        model = {"provider": "openai", "request_model": "gpt-4o", "thread_id": "t"}
        return telemetry.span(kind, **model, **drawn, **draw(numbers("spans")), **columns)

    def line(event: str, **columns: Any) -> None:
        model = {"provider": "openai", "request_model": "gpt-4o", "thread_id": "t"}
        telemetry.log(event, at=draw(MOMENTS), **model, **draw(numbers("logs")), **columns)

    agent = span("agent", tenant_id="acme", outcome="interrupt", outcome_reason="shutdown")
    node = span("node", under=agent, node="plan")
    for _ in range(2):
        span("llm", under=node, response_id="same")
        span("tool", under=node, tool_name="search")
    span("llm", under=span("llm", under=span("other")))
    span("llm", under=span("agent", under=span("other"), run_id="rolled-up"))
    line("agent.run", run_id="logged", tenant_id="acme")
    line("agent.run", trace_id=agent["trace_id"])
    line("agent.node", trace_id="f" * 32, node="act")
    return telemetry


def questioned(analytics: Analytics, name: str) -> list[dict[str, Any]]:
    wanted = read_only(questions()[name].sql).named_parameters
    given_ = {key: value for key, value in PARAMETERS.items() if key in wanted}
    answer: list[dict[str, Any]] = analytics.ask(name, **given_).to_pylist()
    return answer


@settings(max_examples=5)
@given(hostile())
def test_every_view_and_question_answers(telemetry: Telemetry) -> None:
    """Whatever the numbers and times, all answer, and a run beside them is as it was."""
    agent = telemetry.agent(run_id="ordinary", tenant_id="ordinary", ttfb_ms=100.0)
    telemetry.llm(under=agent, provider="openai", request_model="gpt-4o")
    telemetry.tool(under=agent, tool_name="search")
    with TemporaryDirectory() as root, Analytics(telemetry.lake(Path(root)), threads=1) as asked:
        for view in VIEWS:
            asked.query(f"SELECT * FROM {view}")
        for name in questions():
            assert questioned(asked, name) is not None
        (run,) = asked.query("SELECT * FROM runs WHERE run_id = 'ordinary'").to_pylist()
        assert (run["llm_calls"], run["tool_calls"], run["unpriced_calls"]) == (1, 1, 0)
        assert run["cost_usd"] == Decimal("0.0035")
        (ttfb,) = asked.ask(
            "slo/ttfb", tenant="ordinary", target=0.95, threshold_ms=1500
        ).to_pylist()
        assert (ttfb["good"], ttfb["total"], ttfb["value"]) == (1, 1, 100.0)


@pytest.mark.parametrize("minutes", [36, 60 * 24 * 364])
def test_a_long_run_began_when_it_says(minutes: int, telemetry: Telemetry, rows: Ask) -> None:
    """A run or node known from its line alone began its whole duration before the line."""
    took = timedelta(minutes=minutes)
    for event in ("agent.run", "agent.node"):
        telemetry.log(event, trace_id="e" * 32, duration_ms=took.total_seconds() * 1000)
    for view in ("runs", "nodes"):
        (found,) = rows(f"SELECT started_at FROM {view}")
        assert found["started_at"] == NOON - took


@pytest.mark.parametrize("duration_ms", [None, -1.0, 1e300, math.inf, math.nan])
def test_an_impossible_duration_moves_nothing(
    duration_ms: float | None, telemetry: Telemetry, rows: Ask
) -> None:
    """Of a duration that cannot be true nothing is concluded: the run is where its line is."""
    telemetry.log("agent.run", run_id="r", duration_ms=duration_ms)
    (found,) = rows("SELECT started_at FROM runs")
    assert found["started_at"] == NOON


@pytest.mark.parametrize("durations", list(permutations((None, 1.0, math.nan, 1e308), 3)))
def test_impossible_durations_beside_others(
    durations: tuple[float | None, ...], telemetry: Telemetry, rows: Ask
) -> None:
    """One impossible duration among others fails no query, in whatever order they come."""
    for event in ("agent.run", "agent.node"):
        for duration_ms in durations:
            telemetry.log(event, duration_ms=duration_ms)
    for view in ("runs", "nodes"):
        assert len(rows(f"SELECT started_at FROM {view}")) == 3
