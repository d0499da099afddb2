"""What real libraries sent gives the numbers that the model vendor has in its book.

Each test runs over every fixture of `tests/fixtures/otlp`. What a library does not tell, or tells
wrong, is in the manifest with the reason; nothing else is excused.
"""

from typing import Any

import pytest

from tests.conformance.conftest import Recorded, Rows

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
VENDORS = {"openai", "anthropic", "gcp.gemini", "gcp.gen_ai", "aws.bedrock"}


def total(rows: Rows, column: str) -> int | None:
    told = [row[column] for row in rows if row[column] is not None]
    return sum(told) if told else None


@pytest.mark.parametrize("column", TOKENS)
def test_tokens_are_those_of_the_invoice(recorded: Recorded, column: str) -> None:
    """Summed over model calls, each token once; what was never told is no number but 0 or NULL."""
    assert (total(recorded.model_calls, column) or 0) == (recorded.told(column) or 0)


def test_runs_add_up_to_the_same_tokens(recorded: Recorded) -> None:
    """A token belongs to one run and not to two."""
    for column in TOKENS:
        assert (total(recorded.runs, column) or 0) == (recorded.told(column) or 0), column


def test_no_part_exceeds_its_whole(recorded: Recorded) -> None:
    """Cached tokens are part of the input on every row, whatever the source's rule."""
    for row in recorded.rows:
        cached = (row["cache_read_tokens"] or 0) + (row["cache_write_tokens"] or 0)
        assert cached <= (row["input_tokens"] or 0) or row["input_tokens"] is None


def test_each_model_call_counts_once(recorded: Recorded) -> None:
    """However many instrumentations saw it, and with whatever wrappers."""
    if (wanted := recorded.told("model_calls")) is not None:
        assert len(recorded.model_calls) == wanted


def test_failed_model_calls_are_errors(recorded: Recorded) -> None:
    """What the provider refused failed; what it answered did not."""
    if (wanted := recorded.told("failed_model_calls")) is not None:
        failed = [call for call in recorded.model_calls if call["outcome"] == "error"]
        assert len(failed) == wanted


def test_tool_calls_and_their_errors_are_counted(recorded: Recorded) -> None:
    """As often as the tool really ran and failed."""
    assert len(recorded.tool_calls) == (recorded.told("tool_calls") or 0)
    failed = [call for call in recorded.tool_calls if call["outcome"] == "error"]
    assert len(failed) == (recorded.told("tool_errors") or 0)


@pytest.mark.parametrize(
    ("given", "column"), [("thread", "thread_id"), ("user", "user_id"), ("tenant", "tenant_id")]
)
def test_everything_belongs_to_whom_the_caller_named(
    recorded: Recorded, given: str, column: str
) -> None:
    """Runs, model calls and tool calls alike; where nobody was named, nobody is made up."""
    wanted = recorded.told(given)
    found = (*recorded.runs, *recorded.model_calls, *recorded.tool_calls)
    # A thread that nobody gave may be one that the library made up.
    if wanted is not None or (found and given != "thread"):
        assert {row[column] for row in found} == {wanted}


def test_runs_end_as_they_did(recorded: Recorded) -> None:
    """success, error or interrupt, in the order of their start."""
    if (wanted := recorded.told("outcomes")) is not None:
        assert [run["outcome"] for run in recorded.runs] == wanted


def test_streamed_calls_have_a_first_token(recorded: Recorded) -> None:
    """As many as were streamed and told it; never 0, never for a call that was not streamed."""
    times = [call["ttfb_ms"] for call in recorded.model_calls if call["ttfb_ms"] is not None]
    assert len(times) == (recorded.told("first_tokens") or 0)
    assert all(time > 0 for time in times)


def test_calls_name_the_provider_and_the_model(recorded: Recorded) -> None:
    """The model that was asked for, or its dated name; a provider, never a framework."""
    models: list[Any] = recorded.golden["models"]
    for call in recorded.model_calls:
        if "providers" not in recorded.entry.get("untold", {}):
            assert call["provider"] in VENDORS
        if "models" not in recorded.entry.get("untold", {}):
            named = call["response_model"] or call["request_model"]
            assert any(named == model or named.startswith(f"{model}-") for model in models), named
