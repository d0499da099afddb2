"""Time to first token, as measured at the server's edge."""

from agent_runtime import serve
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import support
from .conftest import Answer, Telemetry, ask, listening

SLACK_MS = 50.0
"""The server reads its clock after sending: another thread may hold the interpreter in between,
and the client may have read the token by then."""


def first_token_ms(answer: Answer) -> float:
    return answer.times[answer.names().index("token")] * 1000


def test_it_lies_between_the_models_latency_and_what_the_client_sees(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """TTFB includes the model's first-token latency and is at most what the client waited."""
    vendor.follow(Rule(first_token_ms=300, token_ms=30, text="one two three four five"))
    with listening(serve(support(vendor))) as url:
        answer = ask(url, "hello")
    line = telemetry.summary()
    assert 300 <= line["ttfb_ms"] <= first_token_ms(answer) + SLACK_MS
    assert line["duration_ms"] >= line["ttfb_ms"] + 4 * 30 - SLACK_MS
    assert (telemetry.span("invoke_agent").attributes or {})["agent.ttfb_ms"] == line["ttfb_ms"]


def test_the_turn_that_calls_tools_does_not_stop_the_clock(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Only text that the user sees counts, so a tool turn's latency is inside TTFB."""
    call = ToolCall(name="get_weather", arguments={"city": "Oslo"})
    vendor.follow(Rule(first_token_ms=150, tool_calls=(call,)))
    with listening(serve(support(vendor))) as url:
        ask(url, "hello")
    assert telemetry.summary()["ttfb_ms"] >= 300


def test_retries_are_inside(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Waiting for a rate limit is time that the user waits."""
    vendor.follow(Rule(first_token_ms=0), Rule(status=429, retry_after=0.4, times=1))
    with listening(serve(support(vendor))) as url:
        answer = ask(url, "hello")
    assert 400 <= telemetry.summary()["ttfb_ms"] <= first_token_ms(answer) + SLACK_MS


def test_a_run_without_a_token_has_none(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Where no token was sent there is no TTFB, rather than zero."""
    vendor.follow(Rule(status=400))
    with listening(serve(support(vendor))) as url:
        assert "token" not in ask(url, "hello").names()
    assert telemetry.summary()["ttfb_ms"] is None
    assert "agent.ttfb_ms" not in (telemetry.span("invoke_agent").attributes or {})
