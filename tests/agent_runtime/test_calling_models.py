"""Retries, timeouts and fallbacks, counted in the vendor's book."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime import END, Context, Graph, Model, RunResult, Runtime, State, serve
from agent_runtime.retry import retry_after_s
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at, support
from .conftest import Telemetry, ask, listening, wait_until

WEATHER = ToolCall(name="get_weather", arguments={"city": "Oslo"})


def run(model: Model, text: str = "hello") -> RunResult:
    async def once() -> RunResult:
        async with Runtime(chatting(model), agent_name="support") as runtime:
            return await runtime.run(text, thread_id="t1", tenant_id="acme", user_id="ada")

    return asyncio.run(once())


def statuses(vendor: ModelServer) -> list[int]:
    return [call.status for call in vendor.calls()]


def test_transient_refusals_are_retried(vendor: ModelServer, telemetry: Telemetry) -> None:
    """After a 429 and a 502 the third call answers: one result, three spans, attempts counted."""
    vendor.follow(Rule(first_token_ms=0), Rule(status=502, times=2), Rule(status=429, times=1))
    assert run(model_at(vendor)).outcome.kind == "success"
    assert statuses(vendor) == [429, 502, 200]
    chats = telemetry.spans("chat ")
    assert [(span.attributes or {})["agent.attempt"] for span in chats] == [1, 2, 3]
    assert [(span.attributes or {}).get("error.type") for span in chats] == [
        "agent_runtime.errors.ProviderRefused", "agent_runtime.errors.ProviderRefused", None,
    ]  # fmt: skip
    line = telemetry.summary()
    assert (line["llm_calls"], line["llm_retries"]) == (3, 2)
    assert line["usage_source"] == "provider"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_may_pass_is_tried_again(
    vendor: ModelServer, telemetry: Telemetry, status: int
) -> None:
    """A provider that was too slow, in conflict, busy or down is asked a second time."""
    vendor.follow(Rule(first_token_ms=0), Rule(status=status, times=1))
    assert run(model_at(vendor)).outcome.kind == "success"
    assert statuses(vendor) == [status, 200]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_will_not_pass_is_not_tried_again(
    vendor: ModelServer, telemetry: Telemetry, status: int
) -> None:
    """A wrong request, key or model name would be refused again: the error comes at once."""
    vendor.follow(Rule(first_token_ms=0), Rule(status=status, times=1))
    result = run(model_at(vendor))
    assert (result.outcome.kind, result.outcome.reason) == ("error", "provider")
    assert statuses(vendor) == [status]


def test_five_attempts_and_no_more(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A vendor that stays down is called five times altogether."""
    vendor.follow(Rule(status=503))
    result = run(model_at(vendor))
    assert (result.outcome.kind, result.outcome.reason) == ("error", "provider")
    assert statuses(vendor) == [503] * 5
    assert "answered 503" in telemetry.summary()["error_message"]


def test_retry_after_is_honoured(vendor: ModelServer, telemetry: Telemetry) -> None:
    """The next call comes no earlier than the vendor asked for."""
    vendor.follow(Rule(first_token_ms=0), Rule(status=429, retry_after=0.5, times=1))
    assert run(model_at(vendor)).outcome.kind == "success"
    first, second = vendor.calls()
    assert second.started_at - first.started_at >= 0.5


def test_a_wait_beyond_the_budget_is_not_begun(vendor: ModelServer, telemetry: Telemetry) -> None:
    """When the vendor asks to wait longer than the budget, the error comes at once."""
    vendor.follow(Rule(status=429, retry_after=60))
    began = time.monotonic()
    assert run(model_at(vendor)).outcome.kind == "error"
    assert time.monotonic() - began < 5
    assert statuses(vendor) == [429]


def test_nothing_is_repeated_once_the_user_reads(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A stream cut after its first tokens is an error, not a second beginning."""
    vendor.follow(Rule(first_token_ms=0, text="one two three four", cut_after_tokens=2))
    with listening(serve(support(vendor, fallback=["openai:gpt-4o"]))) as url:
        answer = ask(url, "hello")
    assert answer.text == "one two"
    assert (answer.end["outcome"], answer.end["outcome_reason"]) == ("error", "provider")
    assert len(vendor.calls()) == 1
    line = telemetry.summary()
    assert line["error_class"] == "agent_runtime.errors.StreamBroken"
    assert line["usage_source"] == "estimated"
    assert line["ttfb_ms"] is not None


def test_a_stream_cut_before_the_first_token_is_retried(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """As long as the user saw nothing, a cut stream is worth another call."""
    vendor.follow(
        Rule(first_token_ms=0), Rule(cut_after_tokens=0, times=2), Rule(tool_calls=(WEATHER,))
    )
    assert run(model_at(vendor)).outcome.kind == "success"
    assert [call.ending for call in vendor.calls()] == ["cut", "cut", "completed", "completed"]


def test_whenever_a_run_is_cut_the_prompt_is_counted(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """At whichever step of asking: a prompt that has reached the vendor is on the line, estimated,
    since it is on the bill."""
    vendor.follow(Rule(first_token_ms=60_000))
    graph = Graph()

    @graph.node(entry=True)
    async def ask(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        asking.set()
        return {"messages": [await ctx.chat(model_at(vendor), state.messages)]}, END

    async def cut_after(runtime: Runtime, steps: int) -> None:
        asking.clear()
        run = await runtime.begin("hello", thread_id=f"t{steps}", tenant_id="a", user_id="u")
        await asking.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        await run.finish()

    async def go() -> None:
        async with Runtime(graph, agent_name="support") as runtime:
            for steps in range(40):
                await cut_after(runtime, steps)
            await asyncio.sleep(0.3)  # until the vendor has taken in what reached it

    asking = asyncio.Event()
    asyncio.run(go())
    sources = {line["thread_id"]: line["usage_source"] for line in telemetry.lines("agent.cost")}
    billed = [call.metadata["thread_id"] for call in vendor.calls()]
    assert 0 < len(billed) < 40
    assert {sources[thread] for thread in billed} == {"estimated"}


def test_a_silent_vendor_is_given_up(vendor: ModelServer, telemetry: Telemetry) -> None:
    """No token within first_token_timeout_s: that call is closed and another one made."""
    vendor.follow(Rule(first_token_ms=0), Rule(stall_after_tokens=0, times=1))
    assert run(model_at(vendor, first_token_timeout_s=0.2)).outcome.kind == "success"
    assert [call.ending for call in vendor.calls()] == ["client_gone", "completed"]
    failed, _ = telemetry.spans("chat ")
    assert (failed.attributes or {})["error.type"] == "agent_runtime.errors.FirstTokenTimeout"


def test_a_stream_that_falls_silent_is_an_error(vendor: ModelServer, telemetry: Telemetry) -> None:
    """No further token within idle_timeout_s ends the run with a timeout."""
    vendor.follow(Rule(first_token_ms=0, text="one two three", stall_after_tokens=2))
    result = run(model_at(vendor, idle_timeout_s=0.2))
    assert (result.outcome.kind, result.outcome.reason) == ("error", "timeout")
    assert telemetry.summary()["error_class"] == "agent_runtime.errors.IdleTimeout"
    assert len(vendor.calls()) == 1


def test_a_slow_but_steady_stream_is_left_alone(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Both timeouts are between tokens: an answer may take longer than either."""
    vendor.follow(Rule(first_token_ms=100, token_ms=100, text="a b c d e f"))
    model = model_at(vendor, first_token_timeout_s=0.4, idle_timeout_s=0.4)
    assert run(model).text == "a b c d e f"


def test_an_unreachable_vendor_is_retried(telemetry: Telemetry) -> None:
    """Refused connections count as transient; the error names them."""
    model = Model("openai:m", base_url="http://127.0.0.1:9", api_key="k", max_attempts=3)
    result = run(model)
    assert result.outcome.reason == "provider"
    assert telemetry.summary()["llm_calls"] == 3
    assert telemetry.summary()["error_class"] == "agent_runtime.errors.ProviderUnreachable"


def test_a_fallback_answers_and_stays(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Once the first model failed, the rest of the run asks the second one only."""
    vendor.follow(
        Rule(first_token_ms=0, tool_calls=(WEATHER,)), Rule(model="gpt-4o-mini", status=500)
    )
    result = run(model_at(vendor, fallback=["openai:gpt-4o"], max_attempts=2))
    assert result.outcome.kind == "success"
    assert [call.model for call in vendor.calls()] == [
        "gpt-4o-mini", "gpt-4o-mini", "gpt-4o", "gpt-4o",
    ]  # fmt: skip
    line = telemetry.summary()
    assert (line["model"], line["fallback_from"]) == ("gpt-4o", "gpt-4o-mini")


def test_the_second_fallback_stands_in_for_the_model_that_was_asked_for(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Not for the first fallback, which was given up on the way: every call of either, its span,
    the node's line and the summary say so, and so do those of the run's later nodes."""
    vendor.follow(
        Rule(first_token_ms=0, tool_calls=(WEATHER,)), Rule(model="a", status=500),
        Rule(model="b", status=500),
    )  # fmt: skip
    model = model_at(vendor, "openai:a", fallback=["openai:b", "openai:c"], max_attempts=1)
    assert run(model).outcome.kind == "success"
    asked = [("a", None), ("b", "a"), ("c", "a"), ("c", "a")]
    costs = telemetry.lines("agent.cost")
    assert [(line["model"], line["fallback_from"]) for line in costs] == asked
    spans = [each.attributes or {} for each in telemetry.spans("chat ")]
    assert [
        (each["gen_ai.request.model"], each.get("agent.fallback_from")) for each in spans
    ] == asked
    nodes = [(line["node"], line["model"], line["fallback_from"])
             for line in telemetry.lines("agent.node")]  # fmt: skip
    assert nodes == [("agent", "c", "a"), ("tools", None, None), ("agent", "c", "a")]
    summary = telemetry.summary()
    assert (summary["model"], summary["fallback_from"]) == ("c", "a")


def test_a_fallback_may_live_elsewhere(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A fallback with an endpoint of its own is asked there, and named as its provider."""
    dead = Model(
        "openai:gpt-4o-mini", base_url="http://127.0.0.1:9", max_attempts=1,
        fallback=[model_at(vendor, "groq:llama")],
    )  # fmt: skip
    assert run(dead).outcome.kind == "success"
    assert telemetry.summary()["provider"] == "groq"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_people_must_mend_is_not_hidden_by_a_fallback(
    vendor: ModelServer, telemetry: Telemetry, status: int
) -> None:
    """A wrong request, key or model name is an error at once: no retry, no other model."""
    vendor.follow(Rule(first_token_ms=0), Rule(model="gpt-4o-mini", status=status))
    result = run(model_at(vendor, fallback=["openai:gpt-4o"]))
    assert (result.outcome.kind, result.outcome.reason) == ("error", "provider")
    assert [call.model for call in vendor.calls()] == ["gpt-4o-mini"]


def test_fallbacks_share_the_budget(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A silent first model leaves the second one its part of the time."""
    vendor.follow(Rule(first_token_ms=0), Rule(model="gpt-4o-mini", stall_after_tokens=0))
    model = model_at(vendor, fallback=["openai:gpt-4o"], retry_budget_s=2.0)
    began = time.monotonic()
    assert run(model).outcome.kind == "success"
    assert 0.9 < time.monotonic() - began < 5


def test_waiting_for_a_retry_can_be_interrupted(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A client who leaves during a backoff ends the run then, not after the wait."""
    vendor.follow(Rule(status=429, retry_after=20))

    async def leave() -> float:
        async with Runtime(chatting(model_at(vendor)), agent_name="support") as runtime:
            run = runtime.run("hello", thread_id="t1", tenant_id="acme", user_id="ada")
            reading = asyncio.create_task(run)
            await asyncio.to_thread(wait_until, lambda: telemetry.spans("chat "))
            began = time.monotonic()
            reading.cancel()
            await asyncio.wait({reading})
            return time.monotonic() - began

    assert asyncio.run(leave()) < 1
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_shutdown_does_not_sit_a_wait_out(
    vendor: ModelServer, telemetry: Telemetry, stopped_before: bool
) -> None:
    """A run that waits for a retry, or begins to, when its time to finish is over is stopped."""
    vendor.follow(Rule(first_token_ms=300 * stopped_before, cut_after_tokens=0),
                  *([] if stopped_before else [Rule(status=429, retry_after=20)]))  # fmt: skip

    async def stop() -> tuple[RunResult, float]:
        runtime = Runtime(chatting(model_at(vendor)), agent_name="support", finish_s=0)
        running = asyncio.create_task(
            runtime.run("hello", thread_id="t1", tenant_id="acme", user_id="ada")
        )
        await asyncio.to_thread(wait_until, vendor.calls)
        if not stopped_before:
            await asyncio.to_thread(wait_until, lambda: telemetry.spans("chat "))
        began = time.monotonic()
        await runtime.aclose()
        return await running, time.monotonic() - began

    result, took = asyncio.run(stop())
    assert (result.outcome.kind, result.outcome.reason) == ("interrupt", "shutdown")
    assert took < 5
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize(("form", "at_least"), [("ms", 0.5), ("date", 0.5)])
def test_a_wait_is_understood_however_it_is_said(
    vendor: ModelServer, telemetry: Telemetry, form: Any, at_least: float
) -> None:
    """Milliseconds and dates over the wire; a date's fraction of a second is rounded up."""
    vendor.follow(
        Rule(first_token_ms=0), Rule(status=529, retry_after=0.5, retry_after_as=form, times=1)
    )
    assert run(model_at(vendor)).outcome.kind == "success"
    first, second = vendor.calls()
    assert second.started_at - first.started_at >= at_least


@given(st.integers(0, 100_000))
def test_retry_after_is_read_in_all_three_forms(seconds: int) -> None:
    """Seconds, milliseconds and an HTTP date mean the same wait."""
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    date = datetime.fromtimestamp(now.timestamp() + seconds, UTC)
    http_date = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert retry_after_s({"retry-after": str(seconds)}) == seconds
    assert retry_after_s({"retry-after-ms": str(seconds * 1000)}) == seconds
    assert retry_after_s({"retry-after": http_date}, now) == seconds


@given(st.text())
def test_a_retry_after_nobody_understands_is_ignored(text: str) -> None:
    """Whatever the header holds, there is a wait of at least zero seconds or none."""
    wait = retry_after_s({"retry-after": text})
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"name": "openai:"}, "has no name"),
        ({"name": "m", "base_url": "127.0.0.1:1"}, "must begin with https:// or http://"),
        ({"name": "groq:llama"}, "needs a base_url"),
        ({"name": "m", "max_attempts": 0}, "max_attempts=0"),
        ({"name": "m", "fallback": [Model("b", fallback=["c"])]}, "has fallbacks itself"),
    ],
)
def test_a_model_that_cannot_work_is_refused(options: dict[str, object], complaint: str) -> None:
    """The error names the value and what to do, when the model is made."""
    with pytest.raises(ValueError, match=complaint):
        Model(**options)  # type: ignore[arg-type] # that is refused, too


def test_the_key_is_not_shown() -> None:
    """A model may be printed without giving away its key."""
    assert "sk-secret" not in repr(Model("m", api_key="sk-secret"))


def test_a_key_that_cannot_be_sent_is_not_quoted(telemetry: Telemetry) -> None:
    """The line break at the end of a file is no part of it; with another one nothing is sent."""
    assert Model("m", api_key="a-key\n").key == "a-key"
    run(Model("m", base_url="http://127.0.0.1:9", api_key="a\nkey"))
    assert telemetry.summary()["error_class"] == "ValueError"
    assert "a\\nkey" not in telemetry.stdout.getvalue()
