"""The questions `drift/...`: runs that spans and lines tell differently, or only one of them."""

from typing import Any

import pytest

from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

LATER = {"since": NOON - ms(1), "until": NOON + ms(3_600_000)}


def one_sided(opened: Opener, **given: Any) -> list[tuple[str, str, str]]:
    answer = opened().ask("drift/one_sided", **LATER | given).to_pylist()
    return [(row["run_id"], row["seen_in"], row["reason"]) for row in answer]


def disagreeing(opened: Opener, tolerance_ms: float = 1000) -> list[dict[str, Any]]:
    answer = opened().ask("drift/disagreeing", tolerance_ms=tolerance_ms, **LATER)
    rows: list[dict[str, Any]] = answer.to_pylist()
    return rows


def test_runs_seen_on_one_side(telemetry: Telemetry, opened: Opener) -> None:
    """Each names the side it was seen in, and what most likely became of the other."""
    for agent, runs in {"both": ("lost lines", "whole"), "tracer": ("r1",)}.items():
        for run in runs:
            telemetry.agent(run_id=run, agent_name=agent)
    telemetry.log("agent.run", run_id="whole", agent_name="both")
    telemetry.log("agent.run", run_id="sampled", agent_name="both", trace_id="a" * 32)
    telemetry.log("agent.run", run_id="r2", agent_name="logger")
    orphan = telemetry.node(under={"trace_id": "f" * 32, "span_id": "e" * 16})
    telemetry.log("agent.run", run_id="root lost", agent_name="both", trace_id=orphan["trace_id"])
    assert one_sided(opened) == [
        ("lost lines", "spans", "its lines were lost"),
        ("r1", "spans", "its agent sent no lines at all"),
        ("r2", "logs", "its agent sent no spans at all"),
        ("root lost", "logs", "its own span was lost, others of its trace were not"),
        ("sampled", "logs", "its trace was sampled away or lost"),
    ]


def test_a_run_of_the_last_minute_may_still_arrive(telemetry: Telemetry, opened: Opener) -> None:
    """Spans and lines take their time: nothing is concluded from what has just ended."""
    telemetry.agent(run_id="r", took=100)
    assert one_sided(opened, until=NOON + ms(30_000)) == [
        ("r", "spans", "the other side may not have arrived yet")
    ]


def test_the_lines_of_calls_are_lines_of_the_run(telemetry: Telemetry, opened: Opener) -> None:
    """An agent that writes no summary is seen in logs by its calls."""
    agent = telemetry.agent(run_id="r")
    telemetry.log("agent.cost", trace_id=agent["trace_id"])
    telemetry.agent(run_id="named")
    telemetry.log("agent.tool", run_id="named")
    assert one_sided(opened) == []


def test_only_one_tenant(telemetry: Telemetry, opened: Opener) -> None:
    """Runs of others are not shown."""
    telemetry.agent(run_id="a", tenant_id="acme")
    telemetry.agent(run_id="g", tenant_id="globex")
    assert [row[0] for row in one_sided(opened, tenant="globex")] == ["g"]


def test_sides_that_agree_are_no_drift(telemetry: Telemetry, opened: Opener) -> None:
    """Equal in outcome, calls and tokens; a duration within the tolerance; unknown is no claim."""
    agent = telemetry.agent(run_id="r", took=500)
    telemetry.llm(under=agent)
    telemetry.log("agent.run", run_id="r", duration_ms=900.0, outcome="success", llm_calls=1,
                  input_tokens=1000, output_tokens=100)  # fmt: skip
    telemetry.agent(run_id="idle")
    telemetry.log("agent.run", run_id="idle", llm_calls=0, input_tokens=0, output_tokens=0)
    telemetry.agent(run_id="says little")
    telemetry.log("agent.run", run_id="says little")
    assert disagreeing(opened) == []


def test_what_differs_is_told(telemetry: Telemetry, opened: Opener) -> None:
    """A lost call span lowers calls and tokens of the spans; outcome and duration speak for
    themselves."""
    agent = telemetry.agent(run_id="r", took=500, tenant_id="acme", agent_name="bot")
    telemetry.llm(under=agent)
    telemetry.log("agent.run", run_id="r", duration_ms=2500.0, outcome="error", llm_calls=2,
                  input_tokens=2000, output_tokens=200)  # fmt: skip
    (row,) = disagreeing(opened)
    assert row["reason"] == (
        "spans / logs: outcome success / error, duration 500.0 / 2500.0 ms, model calls 1 / 2, "
        "input tokens 1000 / 2000, output tokens 100 / 200"
    )
    assert (row["run_id"], row["tenant_id"], row["agent_name"], row["seen_in"]) == (
        "r", "acme", "bot", "both",
    )  # fmt: skip
    assert (row["input_tokens_in_spans"], row["input_tokens_in_logs"]) == (1000, 2000)


def test_lines_of_calls_are_compared_where_there_is_no_summary(
    telemetry: Telemetry, opened: Opener
) -> None:
    """By the run they name, else by their trace."""
    agent = telemetry.agent(run_id="r")
    call = telemetry.llm(under=agent)
    for _ in range(2):
        telemetry.log("agent.cost", run_id="r", input_tokens=call["input_tokens"],
                      output_tokens=call["output_tokens"])  # fmt: skip
    other = telemetry.agent()
    telemetry.llm(under=other)
    telemetry.log("agent.cost", trace_id=other["trace_id"], input_tokens=1000, output_tokens=99)
    assert [row["reason"] for row in disagreeing(opened)] == [
        "spans / logs: output tokens 100 / 99",
        "spans / logs: model calls 1 / 2, input tokens 1000 / 2000, output tokens 100 / 200",
    ]


@pytest.mark.parametrize(("event", "with_lines"), [("http.request", False), ("agent.cost", True)])
def test_which_sources_there_are(
    event: str, with_lines: bool, telemetry: Telemetry, opened: Opener
) -> None:
    """Whoever they are of; lines that are of no run are none."""
    telemetry.agent(run_id="r", tenant_id="acme")
    telemetry.log(event, run_id="other", tenant_id="globex")
    (seen,) = opened().ask("drift/runs", tenant="acme", **LATER).to_pylist()
    assert seen == {"runs": 1, "from_logs": 0, "with_spans": True, "with_lines": with_lines}
