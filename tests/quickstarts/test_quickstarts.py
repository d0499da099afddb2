"""Each quickstart's agent, run with its real library: what the sidecar then knows.

It asks two questions in one thread, each of which takes two model calls and one tool call between
them. The second's tool fails, and the agent answers all the same.
"""

from collections import Counter

import pytest

from tests.quickstarts.conftest import Library
from tests.quickstarts.environments import QUICKSTARTS
from tests.quickstarts.running import Observed, consoles, picked, shown

pytestmark = pytest.mark.timeout(1800)  # the libraries come over the network the first time


def test_every_request_is_one_run_that_succeeds(library: Library, observed: Observed) -> None:
    """A tool that fails is told to the model, and does not make the run an error."""
    assert len(observed.said.split("\n")) == 3
    who = ("thread_id", "tenant_id", "user_id", "agent_name")
    runs = picked(observed.runs, "outcome", "llm_calls", "tool_calls", *who)
    assert runs == [("success", 2, 1, "thread-1", "acme", "ada", "support")] * 2


def test_tokens_are_those_that_the_vendor_billed(library: Library, observed: Observed) -> None:
    """Call by call, cached ones and those spent on reasoning too."""
    kinds = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    billed = [
        (call.prompt_tokens, call.cached_tokens, call.completion_tokens,
         call.reasoning_tokens if library.reasoning else None)
        for call in observed.billed
    ]  # fmt: skip
    assert Counter(picked(observed.llm_calls, *kinds)) == Counter(billed)
    assert len(billed) == 4


def test_cost_is_known_to_be_somebodys(library: Library, observed: Observed) -> None:
    """All of it is one tenant's and user's, with provider and model, and none is unpriced."""
    (row,) = observed.cost("tenant", "user", "agent", "provider", "model")
    whose = ("tenant_id", "user_id", "agent_name", "provider", "model")
    named = ("acme", "ada", "support", library.provider, library.model)
    assert picked([row], *whose) == [named]
    assert (row["runs"], row["calls"], row["unpriced_calls"]) == (2, 4, 0)
    assert float(row["cost_usd"]) > 0


def test_tool_calls_are_counted_and_so_is_the_one_that_fails(
    library: Library, observed: Observed
) -> None:
    """The tool is named; its error is there if the library says that there was one."""
    outcomes = ["success", "error" if library.tool_errors else "success"]
    calls = picked(observed.tool_calls, "tool_name", "outcome", "tenant_id", "thread_id")
    assert calls == [("find_order", outcome, "acme", "thread-1") for outcome in outcomes]


def test_the_first_token_is_known_where_the_page_says_so(
    library: Library, observed: Observed
) -> None:
    """Of all calls or of none, of all runs or of none; what is not known is not 0."""
    for rows, known in (
        (observed.llm_calls, library.ttfb_of_calls),
        (observed.runs, library.ttfb_of_runs),
    ):
        times = [row["ttfb_ms"] for row in rows]
        assert all(time > 0 for time in times) if known else times == [None] * len(rows)


def test_the_page_shows_what_is_seen(library: Library, observed: Observed) -> None:
    """Every answer of `quietpager` on the page is the one it gives, but for times."""
    page = (QUICKSTARTS / library.quickstart / "README.md").read_text()
    answers = consoles(page)
    assert len(answers) >= 2
    for console in answers:
        assert shown(observed.tell(*console.arguments)) == shown(console.answer), console.command
