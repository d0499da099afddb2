"""Claude Code's log records: a prompt is a run, whoever it delegates to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytics import Analytics
from ingest.decode import decode
from ingest.rows import log_rows
from lake import Lake
from tests.analytics.claude_code import Session
from tests.analytics.telemetry import NOON, ms


@pytest.fixture
def claude(tmp_path: Path) -> Callable[[Session, str], list[dict[str, Any]]]:
    """Answers over what a session of Claude Code sent, through the real ingest."""

    def ask(session: Session, sql: str) -> list[dict[str, Any]]:
        lake = Lake(tmp_path / "lake")
        decoded = decode("logs", [session.request.SerializeToString()], [NOON_NS])
        for position, table in enumerate(log_rows(decoded), 1):
            lake.append("logs", table, position)
        with Analytics(lake, threads=1) as analytics:
            answer: list[dict[str, Any]] = analytics.query(sql).to_pylist()
            return answer

    return ask


NOON_NS = int(NOON.timestamp()) * 10**9


def test_a_prompt_of_claude_code_is_a_run(claude: Callable[..., Any]) -> None:
    """From the first call of the prompt to the end of its last, for the session's user."""
    session = Session()
    session.prompted(NOON, "p1")
    session.answered(NOON + ms(3500), "p1", "req_1")
    session.used(NOON + ms(3700), "p1", "Bash", success=False)
    session.used(NOON + ms(3900), "p1", "Bash")
    session.answered(NOON + ms(8000), "p1", "req_2", output_tokens=100)
    session.answered(NOON + ms(60_000), "p2", "req_3")
    first, second = claude(session, "SELECT * FROM runs ORDER BY started_at")
    expected = {
        "run_id": "p1", "thread_id": session.session_id, "tenant_id": "org-acme",
        "user_id": "ada@example.com", "started_at": NOON + ms(500), "ended_at": NOON + ms(8000),
        "duration_ms": 7500.0, "ttfb_ms": None, "outcome": "success",
        "models": ["claude-sonnet-4-5"], "llm_calls": 2, "tool_calls": 2, "tool_errors": 1,
        "input_tokens": 2 * (4 + 12_000 + 900), "output_tokens": 300,
        "cache_read_tokens": 24_000, "cache_write_tokens": 1800, "unpriced_calls": 0,
        "usage_source": "calls", "source": "logs",
    }  # fmt: skip
    assert {key: first[key] for key in expected} == expected
    # 3 USD per million input tokens, 0.30 read from the cache, 3.75 written to it, 15 of output.
    assert float(first["cost_usd"]) == pytest.approx(
        (8 * 3 + 24_000 * 0.3 + 1800 * 3.75 + 300 * 15) / 1e6
    )
    assert (second["run_id"], second["thread_id"]) == ("p2", session.session_id)


def test_a_prompt_that_claude_code_delegates(claude: Callable[..., Any]) -> None:
    """The subagent's request is the subagent's, in a run that is not; what tells of it again adds
    nothing."""
    session = Session()
    session.answered(NOON + ms(3500), "p1", "req_1")
    session.delegated(NOON + ms(6000), "p1", "req_2", "Explore")
    calls = claude(
        session,
        "SELECT calls.agent_name, calls.outcome, runs.agent_name AS whose, runs.feature,"
        " runs.llm_calls, runs.input_tokens"
        " FROM llm_calls AS calls JOIN runs ON runs.run_id = calls.run_id"
        " ORDER BY calls.started_at",
    )
    run = {"whose": None, "feature": None, "llm_calls": 2, "input_tokens": 12_904 + 10,
           "outcome": "success"}  # fmt: skip
    assert calls == [run | {"agent_name": None}, run | {"agent_name": "Explore"}]


def test_a_prompt_of_claude_code_that_failed(claude: Callable[..., Any]) -> None:
    """It ended as its last model call did: an error that a later call made good is none."""
    session = Session()
    session.refused(NOON + ms(1000), "good", 1)
    session.answered(NOON + ms(5000), "good", "req_1")
    session.answered(NOON + ms(6000), "bad", "req_2")
    session.refused(NOON + ms(9000), "bad", 10)
    assert claude(session, "SELECT run_id, outcome, outcome_reason AS why, error_message, llm_calls"
                  " FROM runs ORDER BY 1"
    ) == [
        {"run_id": "bad", "outcome": "error", "why": "provider", "error_message": "Overloaded",
         "llm_calls": 2},
        {"run_id": "good", "outcome": "success", "why": None, "error_message": None,
         "llm_calls": 2},
    ]  # fmt: skip
    assert claude(session, "SELECT DISTINCT outcome_reason AS why FROM llm_calls"
                  " WHERE outcome = 'error'") == [{"why": "provider"}]  # fmt: skip
    assert claude(session, "SELECT attempt, unpriced, cost_usd FROM usage WHERE outcome = 'error'"
                  " ORDER BY 1") == [
        {"attempt": 1, "unpriced": False, "cost_usd": None},
        {"attempt": 10, "unpriced": False, "cost_usd": None},
    ]  # fmt: skip


def test_claude_code_s_events_name_no_provider(claude: Callable[..., Any]) -> None:
    """It calls Anthropic's models; those of Bedrock have names that only Bedrock has."""
    session = Session()
    for number, model in enumerate(("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5")):
        session.event("api_request", NOON + ms(number), "p1", model=model, request_id=f"r{number}")
    assert claude(session, "SELECT provider FROM llm_calls ORDER BY started_at") == [
        {"provider": "anthropic"}, {"provider": None},
    ]  # fmt: skip


def test_a_session_of_claude_code_without_prompts(claude: Callable[..., Any]) -> None:
    """Versions that send no prompt.id, and calls that no prompt caused: the session is the run."""
    session = Session()
    session.answered(NOON + ms(3000), None, "req_1")
    session.answered(NOON + ms(9000), None, "req_2")
    assert claude(session, "SELECT run_id, llm_calls, tenant_id FROM runs") == [
        {"run_id": session.session_id, "llm_calls": 2, "tenant_id": "org-acme"}
    ]
