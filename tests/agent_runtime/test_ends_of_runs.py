"""How runs end by themselves: with an error of a node, or at the limit of nodes."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from agent_runtime import (
    END,
    BudgetExceeded,
    Context,
    Outcome,
    ProviderUnreachable,
    Runtime,
    State,
    serve,
)
from agent_runtime.errors import error_message

from .agents import WHO, Step, graph_of
from .conftest import Telemetry, ask, listening


def test_an_error_in_a_node_ends_the_run(telemetry: Telemetry) -> None:
    """Both lines and spans name the error, with secrets masked; the client gets its class only."""

    async def fail(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise ValueError("no such plan; key=sk-verysecret0123456789")

    with listening(serve(Runtime(graph_of(fail), agent_name="support"))) as url:
        answer = ask(url, "hello")
    assert answer.end["outcome"] == "error"
    assert answer.end["error_class"] == "ValueError"
    assert "no such plan" not in str(answer.events)
    lines = telemetry.lines()
    assert [line["event"] for line in lines] == ["agent.node", "agent.run"]
    for line in lines:
        assert (line["level"], line["outcome"], line["error_class"]) == (
            "error", "error", "ValueError",
        )  # fmt: skip
        assert line["error_message"] == "no such plan; key=[masked]"
    for span in telemetry.spans():
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "ValueError"
        [event] = span.events
        assert event.name == "exception"
        assert "verysecret" not in span.to_json()


def test_an_error_that_cannot_be_said_has_its_lines(telemetry: Telemetry) -> None:
    """Also when its own ``__str__`` raises, as that of careless libraries."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise KeyError("detail")

    async def fail(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise MuteError

    with listening(serve(Runtime(graph_of(fail), agent_name="support"))) as url:
        assert ask(url, "hello").end["error_class"].endswith("MuteError")
    lines = telemetry.lines()
    assert [line["event"] for line in lines] == ["agent.node", "agent.run"]
    assert {line["error_message"] for line in lines} == {
        "it cannot be said: its __str__ raised KeyError"
    }
    assert [span.status.status_code for span in telemetry.spans()] == [StatusCode.ERROR] * 2


def ended(node: Step) -> Outcome:
    async def run() -> Outcome:
        async with Runtime(graph_of(node), agent_name="a") as runtime:
            return (await runtime.run("go", thread_id="t1", **WHO)).outcome

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ([BudgetExceeded("used up")], "budget"),
        ([ValueError("odd"), BudgetExceeded("used up")], "budget"),
        ([ExceptionGroup("inner", [ProviderUnreachable("gone")]), ValueError("odd")], "provider"),
        ([ValueError("odd"), KeyError("x")], None),
    ],
)
def test_what_failed_side_by_side_is_named(
    telemetry: Telemetry, raised: list[Exception], reason: str | None
) -> None:
    """Not the group that a TaskGroup raises: the first error of ours, or the first one."""

    async def side_by_side(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        async def fail(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as tasks:
            for each in raised:
                tasks.create_task(fail(each))
        return {}, END

    outcome = ended(side_by_side)
    assert outcome.reason == reason
    assert not isinstance(outcome.error, ExceptionGroup)
    for line in telemetry.lines():
        assert (line["outcome_reason"], line["error_message"]) == (reason, str(outcome.error))
        assert line["error_class"].endswith(type(outcome.error).__name__)
    for span in telemetry.spans():
        assert (span.attributes or {})["error.type"] == line["error_class"]


def test_what_an_error_was_raised_from_is_named(telemetry: Telemetry) -> None:
    """Beside the class of the error itself, on every line of it."""

    async def wrap(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        raise RuntimeError("could not answer") from ProviderUnreachable("gone")

    assert ended(wrap).reason is None
    for line in telemetry.lines():
        assert line["error_class"] == "RuntimeError"
        assert line["error_cause"] == "agent_runtime.errors.ProviderUnreachable"


def test_an_endless_loop_stops_at_the_limit(telemetry: Telemetry) -> None:
    """A graph that never ends runs exactly 25 nodes and fails with recursion_limit."""

    async def again(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {}, "again"

    async def run() -> str | None:
        async with Runtime(graph_of(again), agent_name="loop") as runtime:
            result = await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")
            return result.outcome.reason

    assert asyncio.run(run()) == "recursion_limit"
    assert len(telemetry.lines("agent.node")) == 25
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("error", "recursion_limit")
    assert line["error_class"] == "agent_runtime.errors.RecursionLimitReached"


def test_the_last_allowed_node_may_end_the_run(telemetry: Telemetry) -> None:
    """A run that reaches its end with the 25th node succeeds."""

    async def count(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        n = state.values.get("n", 0) + 1
        return {"n": n}, END if n == 25 else "count"

    async def run() -> str:
        async with Runtime(graph_of(count), agent_name="loop") as runtime:
            result = await runtime.run("go", thread_id="t1", tenant_id="acme", user_id="ada")
            return result.outcome.kind

    assert asyncio.run(run()) == "success"
    assert len(telemetry.lines("agent.node")) == 25


@pytest.mark.parametrize(
    "said",
    [
        "sk-proj-SECRET1234",
        "Authorization: Bearer SECRET1234",
        "postgresql://agent:SECRET1234@db/agents",
        "https://x.example/?api_key=SECRET1234&q=1",
        '{"api_key": "SECRET1234", "client_secret":"SECRET1234"}',
        "AKIASECRET1234567890",
        "AIzaSECRET1234567890123456789012345678x",
        "eyJhbGciOiJIUzI1NiJ9.SECRET1234.SECRET1234",
        "github_pat_SECRET1234",
        "glpat-SECRET1234",
        "hf_SECRET1234567890",
        "npm_SECRET1234567890",
        "{'api_key': 'SECRET1234', 'password': 'my SECRET'}",
        "{'password': \"it's SECRET\"}",
        r"{\"api_key\": \"SECRET1234\"}",
        "connect(password='SECRET')",
        r"""{'password': 'it\'s "SECRET"'}""",
        "password: SECRET",
        "password = SECRET",
        "passwd=SECRET",
        "secret: SECRET",
        "token: SECRET",
        "AWS_ACCESS_KEY=SECRET/1",
        "Authorization: Token SECRET",
        "Authorization: SECRET",
        "{'Authorization': 'ApiKey SECRET'}",
    ],
)
def test_what_looks_like_a_key_is_masked(said: str) -> None:
    """Whoever's it is, in whatever an error quotes."""
    told = error_message(ValueError(f"refused: {said}; try again"))
    assert "SECRET" not in told
    assert "refused: " in told
    assert "[masked]" in told


def test_what_is_no_secret_is_told() -> None:
    """A message that is masked too much helps nobody, nor does one that cannot be encoded."""
    for said in (
        "KeyError: 'plan'",
        "maximum tokens: 4096, completion_tokens=5",
        "hf_hub_download() of npm_config_registry",
        "token = next(stream); key = (1, 2)",
        "no password was given: ask for one",
    ):
        assert error_message(ValueError(said)) == said
    assert error_message(ValueError("caf\udce9")) == "caf?"
