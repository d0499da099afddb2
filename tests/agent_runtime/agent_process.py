"""An agent in a process of its own: `python agent_process.py SETTINGS`, SETTINGS being JSON.

Prints its port as the first line; then stdout has the runtime's JSON lines only. `app` is for
uvicorn's workers, which find SETTINGS in AGENT_SETTINGS.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI

from agent_runtime import (
    END,
    Context,
    Graph,
    Model,
    Runtime,
    State,
    configure_telemetry,
    serve,
    tool,
)


@tool
def doze() -> str:
    """Sleeps a minute, in a thread."""
    time.sleep(60)
    return "awake"


def build(settings: Mapping[str, Any]) -> FastAPI:
    model = Model("openai:m", base_url=settings["vendor"], api_key="k")
    graph = Graph()

    @graph.node(entry=True)
    async def answer(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        if state.last_user == "block":
            time.sleep(60)  # noqa: ASYNC251 - as careless code does
        said = await ctx.chat(model, state.messages, tools=[doze])
        if said.tool_calls:
            return {"messages": [said]}, "tools"
        return {"messages": [said]}, "again" if state.last_user == "repeat" else END

    @graph.node()
    async def again(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        await asyncio.sleep(0.05)
        return {}, "answer"

    graph.tools("tools", [doze], then="answer")
    configure_telemetry("agent-process", settings["otlp"])
    runtime = Runtime(
        graph, agent_name="support", finish_s=settings["finish_s"], drain_s=settings["drain_s"]
    )
    return serve(runtime, drain_delay_s=settings["drain_delay_s"])


def app() -> FastAPI:
    return build(json.loads(os.environ["AGENT_SETTINGS"]))


def main() -> None:
    served = build(json.loads(sys.argv[1]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        # Without a grace period of its own: then uvicorn waits for clients as long as they like.
        config = uvicorn.Config(served, log_level=60, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
