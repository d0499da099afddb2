"""An agent of one node behind HTTP; prints its URL when ready, then the runtime's JSON lines."""

import socket
import sys
from collections.abc import Mapping
from typing import Any

import uvicorn

from agent_runtime import END, Context, Graph, Model, Runtime, State, configure_telemetry, serve


def main(model_url: str, otlp_url: str, store: str) -> None:
    """Serve it until SIGTERM."""
    model = Model("openai:gpt-4o-mini", base_url=model_url, api_key="k")
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [await ctx.chat(model, state.messages)]}, END

    configure_telemetry("crowd", otlp_url)
    app = serve(Runtime(graph, agent_name="crowd", store=store))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
