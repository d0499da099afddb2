"""What a run may take, a tenant may have, and what a slow client may cost."""

import asyncio
import contextlib
import re
import socket
import sys
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from agent_runtime import (
    END,
    Context,
    Graph,
    Limits,
    Price,
    RunResult,
    Runtime,
    State,
    Store,
    StoreError,
    TenantBusy,
    Usage,
    open_store,
    public_prices,
    serve,
)
from agent_runtime.outbox import ROOM
from agent_runtime.run import Run
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at
from .conftest import CALLER, Telemetry, ask, listening, wait_until

WEATHER = ToolCall(name="get_weather", arguments={"city": "Oslo"})
WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}


def limited(vendor: ModelServer, **limits: Any) -> Runtime:
    return Runtime(chatting(model_at(vendor)), agent_name="support", limits=Limits(**limits))


def run(vendor: ModelServer, **limits: Any) -> RunResult:
    async def once() -> RunResult:
        async with limited(vendor, **limits) as runtime:
            return await runtime.run("hello", **WHO)

    return asyncio.run(once())


def test_a_run_that_takes_too_long_ends(vendor: ModelServer, telemetry: Telemetry) -> None:
    """It is an error with the reason timeout, wherever it was; the model's stream is closed."""
    vendor.follow(Rule(first_token_ms=0, text="one two", stall_after_tokens=1))
    result = run(vendor, run_timeout_s=0.3)
    assert (result.outcome.kind, result.outcome.reason) == ("error", "timeout")
    node, summary = telemetry.lines("agent.node")[0], telemetry.summary()
    for line in (node, summary):
        assert (line["outcome"], line["outcome_reason"]) == ("error", "timeout")
        assert line["error_class"] == "agent_runtime.errors.RunTimeout"
        assert line["error_message"] == "the run took longer than 0.3 s"
    assert (summary["usage_source"], summary["completion_tokens"]) == ("estimated", 1)
    wait_until(lambda: vendor.calls()[0].ending == "client_gone")


def test_a_tenant_has_as_many_runs_as_allowed(vendor: ModelServer, telemetry: Telemetry) -> None:
    """One more is a typed error; other tenants, and runs after one has ended, are not affected."""
    vendor.follow(Rule(first_token_ms=100))

    async def go() -> None:
        async with limited(vendor, runs_per_tenant=2) as runtime:
            first = [asyncio.create_task(runtime.run("hello", **WHO | {"thread_id": f"t{n}"}))
                     for n in range(2)]  # fmt: skip
            await asyncio.sleep(0.05)
            with pytest.raises(TenantBusy, match="acme has 2 runs in flight") as busy:
                await runtime.run("hello", **WHO | {"thread_id": "t3"})
            assert busy.value.retry_after_s > 0
            await runtime.run("hello", **WHO | {"tenant_id": "globex"})
            await asyncio.gather(*first)
            await runtime.run("hello", **WHO)

    asyncio.run(go())
    assert [line["outcome"] for line in telemetry.lines("agent.run")] == ["success"] * 4


def test_runs_that_arrive_at_once_are_not_all_let_in(
    dsn: str, vendor: ModelServer, telemetry: Telemetry
) -> None:
    """While none has its thread yet, none is in flight; as many as allowed get to run all the same,
    and the threads of the others are free again."""
    vendor.follow(Rule(first_token_ms=60_000))

    async def go() -> None:
        limits, graph = Limits(runs_per_tenant=1), chatting(model_at(vendor))
        async with Runtime(graph, agent_name="support", limits=limits, store=dsn) as runtime:
            threads = ["t1", "t2", "t3"]
            arrived = await asyncio.gather(
                *(runtime.begin("hello", **WHO | {"thread_id": thread}) for thread in threads),
                return_exceptions=True,
            )
            assert sorted(type(each).__name__ for each in arrived) == [
                "Run", "TenantBusy", "TenantBusy",
            ]  # fmt: skip
            for each in arrived:
                if isinstance(each, Run):
                    await each.finish()
            vendor.follow(Rule(first_token_ms=0))
            for thread in threads:
                await runtime.run("hello", **WHO | {"thread_id": thread})

    asyncio.run(go())
    outcomes = [line["outcome"] for line in telemetry.lines("agent.run")]
    assert outcomes == ["interrupt", *["success"] * 3]


def test_a_busy_tenant_is_answered_429(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Over HTTP the refusal says when to come back, before anything runs."""
    vendor.follow(Rule(first_token_ms=0, text="one two", stall_after_tokens=1))
    with (
        listening(serve(limited(vendor, runs_per_tenant=1))) as url,
        httpx.stream(
            "POST", f"{url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER
        ) as running,
    ):
        lines = running.iter_lines()
        next(lines)
        refused = httpx.post(f"{url}/threads/t2/runs", json={"input": "hi"}, headers=CALLER)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "acme has 1 runs in flight" in refused.json()["detail"]
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"run_tokens": 10}, r"used \d+ tokens; run_tokens allows 10"),
        (
            {"run_usd": Decimal("0.000001"), "prices": {"openai:gpt-4o-mini": Price(1, "2.5")}},
            r"cost 0.\d+ USD; run_usd allows 0.000001",
        ),
    ],
)
def test_a_run_ends_when_its_budget_is_used_up(
    vendor: ModelServer, telemetry: Telemetry, limits: dict[str, Any], said: str
) -> None:
    """The call that exceeds it is finished, the next one is not made."""
    vendor.follow(Rule(first_token_ms=0, tool_calls=(WEATHER,)))
    result = run(vendor, **limits)
    assert (result.outcome.kind, result.outcome.reason) == ("error", "budget")
    assert [call.ending for call in vendor.calls()] == ["completed"]
    line = telemetry.summary()
    assert line["error_class"] == "agent_runtime.errors.BudgetExceeded"
    assert re.search(said, line["error_message"])
    assert (line["llm_calls"], line["tool_calls"]) == (1, 1)


def test_calls_side_by_side_share_the_budget(vendor: ModelServer, telemetry: Telemetry) -> None:
    """As many are made at once as it has room for; the others wait, and at most one exceeds it."""
    vendor.follow(Rule(first_token_ms=50, token_ms=0, text="word " * 100))
    model = model_at(vendor, parameters={"max_tokens": 120})
    graph = Graph()

    @graph.node(entry=True)
    async def ask_around(state: State, ctx: Context) -> tuple[dict[str, Any], str]:
        asked = (ctx.chat(model, state.messages) for _ in range(8))
        await asyncio.gather(*asked, return_exceptions=True)
        return {}, END

    async def go() -> None:
        limits = Limits(run_tokens=280)
        async with Runtime(graph, agent_name="a", limits=limits) as runtime:
            await runtime.run("hello", **WHO)

    asyncio.run(go())
    calls = vendor.calls()
    tokens = [call.prompt_tokens + call.completion_tokens for call in calls]
    assert sum(tokens[:-1]) <= 280 < sum(tokens)
    assert calls[1].started_at < (calls[0].ended_at or 0) < calls[2].started_at


def test_a_budget_is_one_of_the_turn(dsn: str, vendor: ModelServer, telemetry: Telemetry) -> None:
    """Who resumes goes on with what is left, also of what a node had spent that then failed:
    otherwise a client that resumes again and again would have no limit."""
    vendor.follow(Rule(first_token_ms=0, token_ms=0, text="word " * 40))
    graph = Graph()

    @graph.node(entry=True)
    async def fail(state: State, ctx: Context) -> tuple[dict[str, Any], str]:
        await ctx.chat(model_at(vendor), state.messages)
        raise ConnectionError("down")

    async def go() -> list[str | None]:
        limits = Limits(run_tokens=150, run_usd=1, prices={"openai:gpt-4o-mini": Price(1, 2)})
        reasons = []
        for _ in range(2):  # another process goes on where the first one was
            async with Runtime(graph, agent_name="a", limits=limits, store=dsn) as runtime:
                if not reasons:
                    reasons.append((await runtime.run("hello", **WHO)).outcome.reason)
                reasons += [(await runtime.resume(**WHO)).outcome.reason for _ in range(2)]
                at, _ = await runtime.thread("t1", tenant_id="acme")
                assert at.spent.tokens > 0 < at.spent.usd
        async with Runtime(graph, agent_name="a", limits=limits, store=dsn) as runtime:
            reasons.append((await runtime.run("hello", **WHO)).outcome.reason)
        return reasons

    assert asyncio.run(go()) == [None, None, None, "budget", "budget", None]
    assert len(vendor.calls()) == 4


class Dying:
    """A store as a process sees it until it dies: nothing that comes behind arrives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dead = False

    async def open(self) -> None:
        await self._store.open()

    async def execute(self, statement: str, *tally: Any, **values: Any) -> list[dict[str, Any]]:
        if self.dead:
            raise StoreError("the process is dead")
        return await self._store.execute(statement, *tally, **values)

    async def close(self) -> None:
        await self._store.close()


def test_what_a_process_that_died_was_calling_is_paid_from_the_budget(
    dsn: str, vendor: ModelServer, telemetry: Telemetry
) -> None:
    """As the most that it may have used, which is all that is known; of calls that came to their
    end it is known better."""
    vendor.follow(Rule(first_token_ms=0, token_ms=50, text="word " * 40))
    graph = chatting(model_at(vendor, parameters={"max_tokens": 100}))
    limits = Limits(run_tokens=250)  # the prompt is estimated at some 180

    async def go() -> tuple[int, RunResult, int]:
        store = Dying(open_store(dsn))
        async with Runtime(
            graph, agent_name="a", limits=limits, store=store, lease_s=0.3
        ) as runtime:
            dies = asyncio.create_task(runtime.run("hello", **WHO))
            await asyncio.to_thread(wait_until, vendor.calls)
            store.dead = True
            await dies
        vendor.follow(Rule(first_token_ms=0, token_ms=0, text="word " * 40))
        async with Runtime(graph, agent_name="a", limits=limits, store=dsn) as runtime:
            at, _ = await runtime.thread("t1", tenant_id="acme")
            resumed = await runtime.resume(**WHO)
            await runtime.run("hello", **WHO)
            after, _ = await runtime.thread("t1", tenant_id="acme")
        return at.spent.tokens, resumed, after.spent.tokens

    unknown, resumed, known = asyncio.run(go())
    assert 250 < unknown < 350
    assert (resumed.outcome.kind, resumed.outcome.reason) == ("error", "budget")
    *_, last = vendor.calls()
    assert known == last.prompt_tokens + last.completion_tokens


def test_failed_attempts_are_paid_from_the_budget(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """A stream that is cut before its first token costs its prompt, each time."""
    vendor.follow(Rule(first_token_ms=0), Rule(cut_after_tokens=0))
    assert run(vendor, run_tokens=1).outcome.reason == "budget"
    assert [call.ending for call in vendor.calls()] == ["cut"]


def test_a_budget_in_money_needs_a_price(vendor: ModelServer, telemetry: Telemetry) -> None:
    """A model whose price is not known is not called: unknown is not free."""
    prices = {"openai:gpt-4o": Price(1, 1)}
    assert run(vendor, run_usd=1, prices=prices).outcome.reason == "budget"
    assert not vendor.calls()
    assert "there is no price for 'openai:gpt-4o-mini'" in telemetry.summary()["error_message"]


def test_a_price_counts_each_part_once() -> None:
    """Cached and written parts have their own price or the input's, and are inside the input."""
    usage = Usage(1000, 100, cached_tokens=600, cache_write_tokens=200)
    assert Price(10, 20).of(usage) == Decimal("0.012")
    assert Price("10", 20, cached=1, cache_write=12.5).of(usage) == Decimal("0.0071")


def test_published_prices_are_at_hand() -> None:
    """A known model has a price above zero, an unknown one has none."""
    usage = Usage(1000, 100, cached_tokens=500)
    price = public_prices("openai:gpt-4o-mini", usage)
    assert price is not None
    assert 0 < price < Decimal("0.001")
    assert public_prices("in-house:reviewer-7b", usage) is None


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [({"run_tokens": 0}, "run_tokens=0"), ({"run_usd": 1}, "run_usd needs prices")],
)
def test_limits_that_cannot_work_are_refused(limits: dict[str, Any], complaint: str) -> None:
    """The error names the value and what to do."""
    with pytest.raises(ValueError, match=complaint):
        Limits(**limits)


def test_a_client_who_does_not_read_holds_the_model_up(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Events do not pile up without bound; what was held back comes when it is read."""
    words = ROOM * 3
    vendor.follow(Rule(first_token_ms=0, token_ms=0, text=" ".join("x" * 3 for _ in range(words))))

    async def go() -> int:
        async with Runtime(
            chatting(model_at(vendor, idle_timeout_s=0.2)), agent_name="support"
        ) as runtime:
            events = runtime.astream("hello", **WHO)
            async with contextlib.aclosing(events):
                await anext(events)
                await asyncio.sleep(0.6)  # longer than the model may be silent
                [current] = runtime._runs
                assert ROOM <= len(current._outbox._events) < ROOM + 10
                return sum([event.name == "token" async for event in events])

    assert asyncio.run(go()) == words
    assert telemetry.summary()["outcome"] == "success"


def test_a_client_who_takes_nothing_has_left(
    vendor: ModelServer, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open but dead does not keep a run for ever: it ends with its summary."""
    monkeypatch.setattr(sys.modules["agent_runtime.serve"], "SEND_TIMEOUT_S", 0.3)
    vendor.follow(Rule(first_token_ms=0, token_ms=0, text=" ".join(["x" * 20_000] * 2000)))
    body = b'{"input": "hi"}'
    head = "".join(f"{name}: {value}\r\n" for name, value in CALLER.items())
    request = (
        f"POST /threads/t1/runs HTTP/1.1\r\nhost: x\r\n{head}content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    runtime = Runtime(chatting(model_at(vendor)), agent_name="a")
    with listening(serve(runtime)) as url, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", httpx.URL(url).port or 0))
        client.sendall(request.encode() + body)
        line = telemetry.summary()
        wait_until(lambda: vendor.calls()[0].ending == "client_gone")
        assert not runtime.in_flight
    assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")


def test_a_silent_stream_is_kept_alive(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Comments come while the model thinks; they are no event and no first token."""
    vendor.follow(Rule(first_token_ms=400, text="one"))
    app = serve(Runtime(chatting(model_at(vendor)), agent_name="a"), keepalive_s=0.05)
    with listening(app) as url:
        body = httpx.post(f"{url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER).text
        answer = ask(url, "hello", thread="t2")
    assert body.index(": keepalive\n\n") < body.index("event: token")
    assert "keepalive" not in answer.names()
    assert all(line["ttfb_ms"] >= 400 for line in telemetry.lines("agent.run"))


def test_sending_to_a_slow_reader_is_measured(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Time in which the client's connection took nothing is on the line as send_blocked_ms."""
    graph = Graph()

    @graph.node(entry=True)
    async def talk(state: State, ctx: Context) -> tuple[dict[str, Any], str]:
        text = await ctx.chat(model_at(vendor), state.messages)
        return {"messages": [text]}, END

    vendor.follow(Rule(first_token_ms=0, token_ms=0, text=" ".join(["x" * 50_000] * 200)))
    with (
        listening(serve(Runtime(graph, agent_name="a"))) as url,
        httpx.stream(
            "POST", f"{url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER
        ) as response,
    ):
        chunks = response.iter_raw()
        next(chunks)
        time.sleep(1.5)
        for _ in chunks:
            pass
    line = telemetry.summary()
    assert line["outcome"] == "success"
    assert line["send_blocked_ms"] > 300
