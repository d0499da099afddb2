"""Quickstarts whose library is not run here: what it sends, and what the sidecar then knows."""

import json

import pytest

from tests.quickstarts.conftest import RECORDED
from tests.quickstarts.environments import QUICKSTARTS
from tests.quickstarts.running import PAYLOADS, Observed, consoles, picked, sent, shown


@pytest.fixture(scope="module")
def vercel(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What agent.mjs sent for two questions, the second of which met a tool that failed."""
    return sent(*RECORDED["vercel-ai-sdk"], tmp_path_factory.mktemp("vercel"))


@pytest.fixture(scope="module")
def claude_code(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """Two prompts: the second met an overloaded API once, and a command that failed."""
    return sent(*RECORDED["claude-code"], tmp_path_factory.mktemp("claude"))


def test_vercel_reports_runs_tokens_and_tools(vercel: Observed) -> None:
    """The agent's span repeats the usage of its calls; they are counted once."""
    columns = ("thread_id", "tenant_id", "user_id", "agent_name", "outcome", "tool_errors")
    assert picked(vercel.runs, *columns) == [
        ("thread-1", "acme", "ada", "support", "success", 0),
        ("thread-1", "acme", "ada", "support", "success", 1),
    ]
    usage = ("provider", "response_model", "input_tokens", "cache_read_tokens", "output_tokens")
    assert picked(vercel.llm_calls, *usage) == [
        ("openai", "gpt-4o-mini", 90, 36, 5),
        ("openai", "gpt-4o-mini", 119, 47, 18),
        ("openai", "gpt-4o-mini", 120, 48, 5),
        ("openai", "gpt-4o-mini", 151, 60, 20),
    ]
    assert all(row["ttfb_ms"] > 0 for row in vercel.llm_calls)
    assert picked(vercel.tool_calls, "tool_name", "outcome") == [
        ("find_order", "success"),
        ("find_order", "error"),
    ]


def test_claude_code_reports_requests_tokens_and_tools(claude_code: Observed) -> None:
    """A prompt is a run; cached tokens are part of the input; an API error costs nothing."""
    usage = ("outcome", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    assert sorted(picked(claude_code.llm_calls, *usage), key=str) == [
        ("error", None, None, None, None),
        ("success", 12904, 12000, 900, 180),
        ("success", 13306, 12900, 400, 220),
        ("success", 13605, 13300, 300, 90),
        ("success", 13857, 13600, 250, 310),
    ]
    who = ("tenant_id", "user_id", "thread_id", "outcome", "llm_calls", "tool_errors")
    thread = "0b6f6a0e-8c3f-4b5e-9d0a-2f1f3c1f7a11"
    assert picked(claude_code.runs, *who) == [
        ("org-acme", "ada@example.com", thread, "success", 2, 0),
        ("org-acme", "ada@example.com", thread, "success", 3, 1),
    ]
    assert picked(claude_code.tool_calls, "tool_name", "outcome") == [
        ("Read", "success"),
        ("Bash", "error"),
    ]


@pytest.mark.parametrize(
    ("quickstart", "left"), [("vercel-ai-sdk", "vercel"), ("claude-code", "claude_code")]
)
def test_the_page_shows_what_is_seen(
    quickstart: str, left: str, request: pytest.FixtureRequest
) -> None:
    """Every answer of `quietpager` on the page is the one it gives, but for times."""
    observed: Observed = request.getfixturevalue(left)
    answers = consoles((QUICKSTARTS / quickstart / "README.md").read_text())
    assert len(answers) >= 2
    for console in answers:
        assert shown(observed.tell(*console.arguments)) == shown(console.answer), console.command


def test_payloads_are_otlp_json() -> None:
    """They can be sent as they are, with curl."""
    for payload in PAYLOADS.glob("*.json"):
        assert json.loads(payload.read_text()).keys() <= {"resourceSpans", "resourceLogs"}
