"""An agent to do harm to: `python program.py SETTINGS`, SETTINGS being JSON.

Prints its port as the first line; then stdout has the runtime's JSON lines only. A user who says
"3 turns" has the model asked three times, with a pause of a node's own in between.
"""

import asyncio
import json
import re
import socket
import sys
from collections.abc import Mapping
from typing import Any

import uvicorn

from agent_runtime import (
    END,
    Context,
    Graph,
    Model,
    NotDone,
    Runtime,
    State,
    configure_telemetry,
    serve,
    tool,
)

Step = tuple[Mapping[str, Any], str]


def build(services: str, model: Model) -> Graph:
    """The graph, its tools and memory served at `services`."""

    @tool
    async def look_up(topic: str, ctx: Context) -> str:
        """Looks something up elsewhere."""
        return (await ctx.http.get(f"{services}/look_up/{topic}")).raise_for_status().text

    @tool
    async def nap(seconds: float) -> str:
        """Takes its time."""
        await asyncio.sleep(seconds)
        return "rested"

    @tool
    async def recite(characters: int) -> str:
        """Says a lot."""
        return "x" * characters

    async def became(key: str, ctx: Context) -> Any:
        found = await ctx.http.get(f"{services}/charges/{key}")
        if found.status_code == 404:
            raise NotDone("no such charge")
        return found.raise_for_status().json()

    @tool(writes=True, resolve=became, timeout_s=5)
    async def take_money(cents: int, ctx: Context) -> Any:
        """Charges a card."""
        answer = await ctx.http.post(
            f"{services}/charges",
            json={"thread": ctx.identity.thread_id, "cents": cents},
            headers={"idempotency-key": ctx.idempotency_key},
        )
        return answer.raise_for_status().json()

    tools, graph = (look_up, nap, recite, take_money), Graph()

    async def recall(ctx: Context) -> str:
        return (await ctx.http.get(f"{services}/memory")).text

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> Step:
        known = await ctx.optional(recall(ctx), name="memory", timeout_s=0.3, default="nothing")
        said = await ctx.chat(model, state.messages, system=f"You know {known}.", tools=tools)
        turn = state.values.get("turn", 1)
        if said.tool_calls:
            return {"messages": [said]}, "tools"
        wanted = re.match(r"(\d+) turns", state.last_user)
        over = turn >= int(wanted[1] if wanted else 1)
        return {"messages": [said], "turn": turn + 1}, END if over else "pause"

    @graph.node()
    async def pause(state: State, ctx: Context) -> Step:
        await asyncio.sleep(0.02)
        return {}, "agent"

    graph.tools("tools", tools, then="agent")
    return graph


def main() -> None:
    settings = json.loads(sys.argv[1])
    model = Model("openai:m", base_url=settings["vendor"], api_key="k", **settings["model"])
    if "send_timeout_s" in settings:
        sys.modules["agent_runtime.serve"].SEND_TIMEOUT_S = settings["send_timeout_s"]
    configure_telemetry("faults", settings["otlp"])
    runtime = Runtime(
        build(settings["services"], model),
        agent_name="support",
        finish_s=settings["finish_s"],
        drain_s=settings["drain_s"],
        store=settings["store"],
        lease_s=settings.get("lease_s", 15),
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            serve(runtime), log_level=60, access_log=False, timeout_graceful_shutdown=5
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
