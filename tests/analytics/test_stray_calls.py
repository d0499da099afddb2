"""A call that a framework tells in the agent's trace, and the client below it in one of its own."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

Streams = Callable[..., dict[str, Any]]


@pytest.fixture
def agent(telemetry: Telemetry) -> dict[str, Any]:
    return telemetry.agent(at=NOON - ms(10), took=2000, tenant_id="acme")


@pytest.fixture
def framework(telemetry: Telemetry, agent: dict[str, Any]) -> Streams:
    """What the framework says of a stream, in the trace of the agent."""

    def told(**columns: Any) -> dict[str, Any]:
        return telemetry.llm(
            **{"under": agent, "at": NOON, "took": 500, "scope_name": "framework"} | columns
        )

    return told


@pytest.fixture
def client(telemetry: Telemetry) -> Streams:
    """What the client says of it, in a trace of its own."""

    def told(**columns: Any) -> dict[str, Any]:
        return telemetry.llm(**{"at": NOON + ms(5), "took": 490, "scope_name": "client"} | columns)

    return told


def test_it_is_one_call_of_the_agents_run(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """Billed to the agent's tenant; what only the client knows is kept."""
    told = framework()
    client(ttfb_ms=80.0, cache_read_tokens=640)
    analytics = opened()
    (call,) = analytics.query("SELECT * FROM llm_calls").to_pylist()
    assert (call["span_id"], call["tenant_id"]) == (told["span_id"], "acme")
    assert (call["input_tokens"], call["cache_read_tokens"], call["ttfb_ms"]) == (1000, 640, 80.0)
    (run,) = analytics.query("SELECT * FROM runs").to_pylist()
    assert (run["tenant_id"], run["llm_calls"], run["input_tokens"]) == ("acme", 1, 1000)
    assert run["cost_usd"] == call["cost_usd"]


def test_a_stream_without_usage_is_one_call_too(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """Neither library knows counts: the vendor sent none."""
    nothing = {"input_tokens": None, "output_tokens": None}
    framework(**nothing)
    client(response_id="resp-1", **nothing)
    analytics = opened()
    assert analytics.query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [1]
    assert analytics.query("SELECT COUNT(*) AS n FROM runs")["n"].to_pylist() == [1]


@pytest.mark.parametrize(
    "unlike",
    [
        {"output_tokens": 101},
        {"request_model": "gpt-4o-mini"},
        {"service_name": "another"},
        {"scope_name": "framework"},
        {"at": NOON - ms(5)},
        {"took": 600},
        {"response_id": "resp-2"},
        {"status": "error", "outcome": "error"},
    ],
    ids=lambda unlike: "-".join(unlike),
)
def test_what_speaks_against_it_leaves_two(
    framework: Streams, client: Streams, opened: Opener, unlike: dict[str, Any]
) -> None:
    """Other counts, model or service, the same library, another time or response, a failure."""
    framework(response_id="resp-1")
    client(**unlike)
    calls = opened().query("SELECT trace_id FROM llm_calls")["trace_id"].to_pylist()
    assert len(set(calls)) == 2


def test_more_than_a_second_later_is_another_call(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """A long stream is not asked which of all calls within it is its own."""
    framework(took=5000)
    client(at=NOON + ms(1001))
    assert opened().query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [2]


def test_a_call_with_its_twin_below_it_has_no_other(
    telemetry: Telemetry, framework: Streams, client: Streams, opened: Opener
) -> None:
    """What the application asks by itself meanwhile is its own."""
    wrapper = framework()
    telemetry.llm(under=wrapper, at=NOON + ms(2), took=400, scope_name="client")
    alone = client()
    calls = opened().query("SELECT trace_id FROM llm_calls")["trace_id"].to_pylist()
    assert sorted(calls) == sorted([wrapper["trace_id"], alone["trace_id"]])


def test_where_there_is_a_choice_nothing_is_dropped(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """Two parallel streams with the same counts: rather twice than lost."""
    for _ in range(2):
        framework()
        client()
    assert opened().query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [4]


def test_parallel_streams_with_counts_of_their_own_are_told_apart(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """Each pair is one call."""
    for tokens in (1000, 2000):
        framework(input_tokens=tokens)
        client(input_tokens=tokens)
    answer = opened().query("SELECT input_tokens FROM llm_calls ORDER BY input_tokens")
    assert answer["input_tokens"].to_pylist() == [1000, 2000]


NO_COUNTS: dict[str, Any] = {"input_tokens": None, "output_tokens": None}
REFUSED = NO_COUNTS | {"outcome": "error", "status": "error"}


@pytest.mark.parametrize(
    ("of_framework", "of_client"),
    [
        ("langchain_openai.chat_models.base.OpenAIRateLimitError", "openai.RateLimitError"),
        ("anthropic.InternalServerError", "api_error"),
        ("InternalServerError", "500"),
    ],
)
def test_a_refused_request_that_both_tell_is_one_call(
    framework: Streams, client: Streams, opened: Opener, of_framework: str, of_client: str
) -> None:
    """One's class has the vendor's name before it, or the other says what the vendor calls it."""
    framework(error_class=of_framework, **REFUSED)
    client(error_class=of_client, **REFUSED)
    assert opened().query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [1]


def test_a_refused_request_without_an_agent_is_one_call(
    framework: Streams, client: Streams, opened: Opener
) -> None:
    """Both are traces by themselves; the client begins and ends just within the framework."""
    framework(under=None, **REFUSED)
    client(**REFUSED | {"at": NOON + ms(1), "took": 498})
    assert opened().query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NO_COUNTS, NO_COUNTS | {"took": 300}),
        (NO_COUNTS | {"took": 600}, NO_COUNTS | {"at": NOON + ms(60)}),
        (NO_COUNTS | {"under": None}, NO_COUNTS),
        (REFUSED | {"under": None}, REFUSED | {"at": NOON + ms(8), "took": 490}),
        (REFUSED, NO_COUNTS),
        (REFUSED | {"took": 800}, REFUSED | {"took": 300}),
        (REFUSED | {"error_class": "ServerError"}, REFUSED | {"error_class": "RateLimitError"}),
    ],
    ids=["ends", "begins", "root", "failed-root", "failed", "failed-ends", "errors"],
)
def test_without_counts_what_speaks_against_it_leaves_two(
    framework: Streams, client: Streams, opened: Opener, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """A title that is streamed beside the answer, or an outage that two requests met."""
    framework(**one)
    client(**other)
    assert opened().query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [2]


@pytest.mark.parametrize("first", ["framework", "client"])
def test_of_two_traces_that_begin_at_once_one_is_kept(
    telemetry: Telemetry, opened: Opener, first: str
) -> None:
    """Neither has an agent: they are one call and one run, not each the other's."""
    for library in sorted(["framework", "client"], key=lambda library: library != first):
        telemetry.llm(scope_name=library)
    analytics = opened()
    assert analytics.query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [1]
    assert analytics.query("SELECT llm_calls FROM runs")["llm_calls"].to_pylist() == [1]


def test_it_is_one_call_though_both_were_sent_twice(
    telemetry: Telemetry, framework: Streams, client: Streams, opened: Opener
) -> None:
    """Copies of a span are no further calls of its trace."""
    framework()
    client()
    telemetry.spans += [span | {"received_at": NOON + ms(9000)} for span in telemetry.spans]
    analytics = opened()
    assert analytics.query("SELECT COUNT(*) AS n FROM llm_calls")["n"].to_pylist() == [1]
    assert analytics.query("SELECT llm_calls FROM runs")["llm_calls"].to_pylist() == [1]
