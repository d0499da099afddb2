"""The public API of agent_runtime as users write it; read by the type checker, never run.

`mypy --strict` must accept every call here, infer the types asserted, and refuse what is marked
with an ignore: an ignore that is not needed is itself an error.
"""

from typing import Any, assert_type

from fastapi import FastAPI, Request

from agent_runtime import (
    END,
    Context,
    Event,
    Graph,
    Limits,
    Message,
    Model,
    NotDone,
    Outcome,
    PostgresStore,
    Price,
    RunResult,
    Runtime,
    State,
    Tally,
    Tool,
    configure_telemetry,
    public_prices,
    serve,
    tool,
)

fallback = Model("openai:gpt-4.1-mini")
model = Model("openai:gpt-4o-mini", fallback=[fallback], base_url="http://127.0.0.1:1/v1")
assert_type(model.provider, str)
Model("anthropic:claude-haiku-4-5", fallback=["openai:gpt-4o"], speaks="messages")
Model("m", speaks="grpc")  # type: ignore[arg-type]
Model(4)  # type: ignore[arg-type]


@tool
async def get_weather(city: str, ctx: Context) -> str:
    """The weather in a city."""
    return (await ctx.http.get(f"https://weather.example/{city}")).text


@tool(name="clock", timeout_s=1.0)
def tell_time() -> str:
    """What time it is."""
    return "noon"


assert_type(get_weather, Tool)
assert_type(tell_time, Tool)


async def what_became(key: str, ctx: Context) -> dict[str, int]:
    """What upstream has under an idempotency key."""
    found = await ctx.http.get(f"https://pay.example/charges/{key}")
    if found.status_code == 404:
        raise NotDone(key)
    return {"charge": int(found.text)}


@tool(writes=True, keyed=True, resolve=what_became, once_per=["order"], timeout_s=10)
async def charge(order: str, cents: int, ctx: Context) -> str:
    """A tool that writes passes its key on."""
    assert_type(ctx.idempotency_key, str)
    return order


assert_type(charge, Tool)
tool(writes=True, resolve=tell_time)  # type: ignore[call-overload]

graph = Graph(recursion_limit=10)


@graph.node(entry=True)
async def answer(state: State, ctx: Context) -> tuple[dict[str, Any], str]:
    """A node returns what changes and where to go on."""
    said = await ctx.chat(model, state.messages, system="Be brief.", tools=[get_weather])
    assert_type(said, Message)
    assert_type(state.last_user, str)
    ctx.emit(Event("token", {"text": said.content}))
    ctx.emit(Event("tokens", {}))  # type: ignore[arg-type]
    await ctx.chat(model, "hello")  # type: ignore[arg-type]
    assert_type(ctx.interrupt({"approve": said.content}), Any)
    return {"messages": [said]}, "tools" if said.tool_calls else END


@graph.node()  # type: ignore[arg-type]
def not_a_coroutine(state: State, ctx: Context) -> str:
    """A node that is no coroutine function, or returns no pair, is refused."""
    return END


graph.tools("tools", [get_weather, tell_time], then="answer")
runtime = Runtime(graph, agent_name="weather", feature="forecast", drain_s=30.0)
Runtime(graph, agent_name="weather", store="postgresql://db/agents", lease_s=30.0)
Runtime(graph, agent_name="weather", store=PostgresStore("postgresql://db/agents", pool_size=5))
prices = {"openai:gpt-4o-mini": Price("0.15", "0.60", cached="0.075")}
Runtime(graph, agent_name="weather", limits=Limits(runs_per_tenant=5, run_usd=1, prices=prices))
Runtime(graph, agent_name="weather", limits=Limits(run_usd=0.5, prices=public_prices))
Runtime(graph, agent_name="weather", store=7)  # type: ignore[arg-type]


async def in_code() -> RunResult:
    """A run without a server: event by event, or as a whole."""
    events = runtime.astream("Rain tomorrow?", thread_id="t-1", tenant_id="acme", user_id="ann")
    async for event in events:
        assert_type(event, Event)
    result = await runtime.run(
        "Rain tomorrow?",
        thread_id="t-1",
        tenant_id="acme",
        user_id="ann",
    )
    assert_type(result.outcome, Outcome)
    assert_type(result.usage, Tally)
    answered = await runtime.resume(
        "t-1", tenant_id="acme", user_id="bob", value=True, question=result.question
    )
    assert_type(answered, RunResult)
    await runtime.run("Rain tomorrow?", thread_id="t-1")  # type: ignore[call-arg]
    return result


async def from_session(request: Request) -> tuple[str, str]:
    """An authentication hook of one's own: tenant and user."""
    return "acme", str(request.headers["x-session"])


configure_telemetry("weather-agent")
assert_type(serve(runtime), FastAPI)
serve({"weather": runtime}, auth=from_session, drain_delay_s=5.0)
serve([runtime])  # type: ignore[arg-type]
