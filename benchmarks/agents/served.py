"""An agent of one node behind HTTP, in several processes that share a port and a store.

Each prints its URL when ready, then the runtime's JSON lines.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from agent_runtime import END, Context, Graph, Model, Runtime, State, configure_telemetry, serve


def app() -> FastAPI:
    """The agent of one process; where everything else is, it is told by its environment."""
    model = Model("openai:gpt-4o-mini", base_url=os.environ["MODEL_URL"], api_key="k")
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"messages": [await ctx.chat(model, state.messages)]}, END

    configure_telemetry("crowd", os.environ["OTLP_URL"])
    served = serve(Runtime(graph, agent_name="crowd", store=os.environ["STORE"]))
    print(os.environ["OWN_URL"], flush=True)
    return served


def main(model_url: str, otlp_url: str, store: str, processes: str) -> None:
    """Serve it until SIGTERM, as `uvicorn --workers` does."""
    config = uvicorn.Config(
        "served:app", factory=True, workers=int(processes), port=0, backlog=1024,
        log_level="warning", access_log=False,
    )  # fmt: skip
    with config.bind_socket() as listener:
        own_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        os.environ |= {
            "MODEL_URL": model_url, "OTLP_URL": otlp_url, "STORE": store, "OWN_URL": own_url,
        }  # fmt: skip
        Multiprocess(config, [listener]).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
