"""What Claude Code sends according to its documentation; it is no library that a script can run.

The numbers are those of `tests/fixtures/written/claude_code.json`, counted by hand: two requests of
82 and 131 tokens in, of which 64 were written to the cache and 64 read from it, and 17 and 9 out.
"""

from pathlib import Path
from typing import Any

import pytest

from ingest.decode import decode
from ingest.receive.decode import Format, decode_batch
from ingest.receive.signals import LOGS
from ingest.rows import log_rows

WRITTEN = Path(__file__).parents[1] / "fixtures" / "written"
LIMIT_BYTES = 1_000_000
RECEIVED = 1_795_536_060_000_000_000

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def lines() -> Rows:
    """The rows of Claude Code's events, as received over HTTP in JSON."""
    sent = (WRITTEN / "claude_code.json").read_bytes()
    batch = decode_batch(
        sent, LOGS, Format.JSON, "", limit=LIMIT_BYTES, received_unix_nano=RECEIVED
    )
    return [
        row for table in log_rows(decode("logs", [batch.request], [RECEIVED]))
        for row in table.to_pylist()
    ]  # fmt: skip


def of_class(lines: Rows, span_class: str) -> Rows:
    return [line for line in lines if line["span_class"] == span_class]


def test_its_requests_are_model_calls(lines: Rows) -> None:
    """One answered 529 failed, two were answered; a name of the model on each."""
    calls = of_class(lines, "llm")
    assert [call["outcome"] for call in calls] == ["error", "success", "success"]
    assert {call["request_model"] for call in calls} == {"claude-sonnet-4-5"}
    assert calls[0]["error_class"] == "529"


def test_its_tokens_include_the_cached_ones(lines: Rows) -> None:
    """Claude Code counts them beside the input, as Anthropic does; here they are part of it."""
    answered = of_class(lines, "llm")[1:]
    assert [call["input_tokens"] for call in answered] == [82, 131]
    assert [call["output_tokens"] for call in answered] == [17, 9]
    assert [call["cache_write_tokens"] for call in answered] == [64, 0]
    assert [call["cache_read_tokens"] for call in answered] == [0, 64]


def test_its_tools_succeed_and_fail(lines: Rows) -> None:
    """By a text that says true or false."""
    tools = [(call["tool_name"], call["outcome"]) for call in of_class(lines, "tool")]
    assert tools == [("Bash", "error"), ("Read", "success")]


def test_its_events_belong_to_session_account_and_organization(lines: Rows) -> None:
    """The account, not user.id, which is an anonymous number of the installation."""
    for line in lines:
        assert line["thread_id"] == "11111111-2222-4333-8444-555555555555"
        assert (line["user_id"], line["tenant_id"]) == ("acct-1", "org-acme")
