"""What a span raised, told as a log record and not as its event, ends it in the same way."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.analytics.telemetry import NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]
UNTOLD: dict[str, Any] = {"input_tokens": None, "output_tokens": None}
FAILED: dict[str, Any] = {"outcome": "error", "status": "error"}
RUN = "SELECT outcome, outcome_reason, error_class, error_message FROM runs"
CALL = "SELECT outcome, outcome_reason, error_class FROM llm_calls"

INTERRUPT = {
    "outcome": "interrupt", "outcome_reason": "human", "error_class": "GraphInterrupt",
}  # fmt: skip
LEFT = {
    "outcome": "interrupt", "outcome_reason": "client_disconnect", "error_class": "CancelledError",
}  # fmt: skip
LIMIT = {"outcome": "error", "outcome_reason": "provider", "error_class": "RateLimitError"}


def raised(
    telemetry: Telemetry, span: dict[str, Any], what: dict[str, Any], event: str = "exception"
) -> None:
    """The record as ingest writes it."""
    ids = {"trace_id": span["trace_id"], "span_id": span["span_id"]}
    telemetry.log(event, error_message="no", **ids, **what)


@pytest.mark.parametrize("what", [INTERRUPT, LEFT])
@pytest.mark.parametrize("told", [{}, FAILED])
def test_an_interrupt_is_one_whatever_the_status(
    told: dict[str, Any], what: dict[str, Any], telemetry: Telemetry, rows: Ask
) -> None:
    """Of the run's own span; libraries report it as OK or as an error."""
    raised(telemetry, telemetry.agent(**told), what)
    assert rows(RUN) == [what | {"error_message": "no"}]


def test_an_interrupt_in_a_node_is_the_runs(telemetry: Telemetry, rows: Ask) -> None:
    """LangGraph raises it there, and the root ends OK."""
    raised(telemetry, telemetry.node(under=telemetry.agent()), INTERRUPT)
    assert rows(RUN) == [INTERRUPT | {"error_message": "no"}]


def test_a_server_whose_handler_was_cancelled(telemetry: Telemetry, rows: Ask) -> None:
    """The root of a run without an agent's span."""
    server = telemetry.span(kind="server", status="error")
    telemetry.llm(under=server)
    raised(telemetry, server, LEFT)
    assert rows(RUN) == [LEFT | {"error_message": "no"}]


@pytest.mark.parametrize("event", ["exception", "gen_ai.client.operation.exception"])
def test_a_failed_call_has_its_error(event: str, telemetry: Telemetry, rows: Ask) -> None:
    """Which its span does not name."""
    call = telemetry.llm(under=telemetry.agent(), **FAILED, **UNTOLD)
    raised(telemetry, call, LIMIT, event)
    assert rows(CALL) == [LIMIT]


def test_a_failed_run_has_its_error(telemetry: Telemetry, rows: Ask) -> None:
    """The class and the message, as those of an event of its span."""
    raised(telemetry, telemetry.agent(**FAILED), LIMIT)
    assert rows(RUN) == [LIMIT | {"error_message": "no"}]


def test_a_call_without_a_status_or_an_answer_failed(telemetry: Telemetry, rows: Ask) -> None:
    """One with an answer may have raised in an earlier try."""
    agent = telemetry.agent()
    raised(telemetry, telemetry.llm(under=agent, **UNTOLD), LIMIT)
    raised(telemetry, telemetry.llm(under=agent, at=NOON + ms(1)), LIMIT)
    ended = rows(f"{CALL} ORDER BY started_at")
    assert ended == [LIMIT, {"outcome": "success", "outcome_reason": None, "error_class": None}]


def test_a_tool_that_raised_failed(telemetry: Telemetry, rows: Ask) -> None:
    """It has no status, and its record says what was raised."""
    tool = telemetry.tool(under=telemetry.agent())
    raised(telemetry, tool, LIMIT | {"error_class": "KeyError", "outcome_reason": None})
    told = rows("SELECT outcome, error_class, error_message FROM tool_calls")
    assert told == [{"outcome": "error", "error_class": "KeyError", "error_message": "no"}]
    assert rows("SELECT outcome, tool_errors FROM runs") == [
        {"outcome": "success", "tool_errors": 1}
    ]


def test_the_last_of_several_counts(telemetry: Telemetry, rows: Ask) -> None:
    """What was raised before was dealt with."""
    agent = telemetry.agent(**FAILED)
    raised(telemetry, agent, LIMIT)
    raised(telemetry, agent, LEFT | {"time": NOON + ms(5)})
    assert rows(RUN) == [LEFT | {"error_message": "no"}]


def test_a_record_of_no_exception_ends_nothing(telemetry: Telemetry, rows: Ask) -> None:
    """An application logs what it raised and dealt with under other names."""
    agent = telemetry.agent()
    raised(telemetry, agent, LEFT, event="retrying")
    assert [run["outcome"] for run in rows(RUN)] == ["success"]
