"""Runs agents: graphs of nodes that ask models and call tools, served as streams.

Comes in: a graph of nodes, models and tools; requests of users.
Goes out: a stream of events per run; threads in a store, with a checkpoint behind every node;
OpenTelemetry spans (``invoke_agent`` > ``node`` > ``chat`` or ``execute_tool``) with GenAI
attributes; a JSON line per node, call of a model and call of a tool, and one per run.
Never: end a run without its summary line; repeat a call whose answer the user has begun to read;
run a finished node again, or a thread twice at once; let a failure of telemetry or of a tool end a
run; depend on what reads the telemetry.

    model = Model("openai:gpt-4o-mini", fallback=["anthropic:claude-haiku-4-5"])

    @tool
    async def get_weather(city: str, ctx: Context) -> str:
        "The weather in a city."
        return (await ctx.http.get(f"https://weather.example/{city}")).text

    graph = Graph()

    @graph.node(entry=True)
    async def agent(state, ctx):
        answer = await ctx.chat(model, state.messages, system="Be brief.", tools=[get_weather])
        return {"messages": [answer]}, "tools" if answer.tool_calls else END

    graph.tools("tools", [get_weather], then="agent")

    configure_telemetry("weather-agent")
    app = serve(Runtime(graph, agent_name="weather"))     # uvicorn module:app
"""

from agent_runtime.context import Context
from agent_runtime.errors import (
    AgentRuntimeError,
    AnswerPaused,
    BudgetExceeded,
    Draining,
    FirstTokenTimeout,
    GraphError,
    IdleTimeout,
    LeaseLost,
    NotAsked,
    NotDone,
    NothingToResume,
    PromptTooLong,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
    RecursionLimitReached,
    Refused,
    RunTimeout,
    StateNotStorable,
    StoreError,
    StreamBroken,
    TenantBusy,
    ThreadBusy,
    ThreadNotFound,
    WritePending,
)
from agent_runtime.events import Event
from agent_runtime.graph import END, Graph, State
from agent_runtime.identity import RunIdentity, pseudonym
from agent_runtime.limits import Limits
from agent_runtime.messages import Message, ToolCall, Usage
from agent_runtime.model import Model
from agent_runtime.outcome import Outcome
from agent_runtime.prices import Price, Prices, public_prices
from agent_runtime.result import RunResult
from agent_runtime.runtime import Runtime
from agent_runtime.serve import identity_from_headers, serve
from agent_runtime.store import PostgresStore, SqliteStore, Store, open_store
from agent_runtime.tally import Tally
from agent_runtime.telemetry import configure_telemetry
from agent_runtime.threads import Checkpoint
from agent_runtime.tools import Tool, tool

__all__ = [
    "END",
    "AgentRuntimeError",
    "AnswerPaused",
    "BudgetExceeded",
    "Checkpoint",
    "Context",
    "Draining",
    "Event",
    "FirstTokenTimeout",
    "Graph",
    "GraphError",
    "IdleTimeout",
    "LeaseLost",
    "Limits",
    "Message",
    "Model",
    "NotAsked",
    "NotDone",
    "NothingToResume",
    "Outcome",
    "PostgresStore",
    "Price",
    "Prices",
    "PromptTooLong",
    "ProviderError",
    "ProviderRefused",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RecursionLimitReached",
    "Refused",
    "RunIdentity",
    "RunResult",
    "RunTimeout",
    "Runtime",
    "SqliteStore",
    "State",
    "StateNotStorable",
    "Store",
    "StoreError",
    "StreamBroken",
    "Tally",
    "TenantBusy",
    "ThreadBusy",
    "ThreadNotFound",
    "Tool",
    "ToolCall",
    "Usage",
    "WritePending",
    "configure_telemetry",
    "identity_from_headers",
    "open_store",
    "pseudonym",
    "public_prices",
    "serve",
    "tool",
]
