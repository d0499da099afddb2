"""Runs whose nodes and tools log: `python -m tests.agent_runtime.logging_process DATABASE`.

Says on stderr how they ended; stdout has the runtime's JSON lines only.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    Model,
    Runtime,
    SqliteStore,
    State,
    StoreError,
    ToolCall,
    configure_telemetry,
    serve,
    tool,
)
from demo.model_server import Rule, running

from .agents import WHO
from .conftest import CALLER


@tool(writes=True)
async def pay(cents: int, ctx: Context) -> str:
    """Pays, and says so in the log."""
    ctx.log.info("paid", cents=cents)
    return "paid"


def logging(model: Model) -> Graph:
    graph = Graph()

    @graph.node(entry=True)
    async def agent(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        ctx.log.info("asked")
        last = state.messages[-1]
        if last.content == "pay":
            return {"messages": [Message("assistant", "", (PAYMENT,))]}, "tools"
        if last.content == "chat":
            return {"messages": [await ctx.chat(model, state.messages)]}, END
        return {"messages": [Message("assistant", last.content)]}, END

    graph.tools("tools", [pay], then="agent")
    return graph


PAYMENT = ToolCall("call_1", "pay", '{"cents": 500}')


async def main(database: str) -> dict[str, Any]:
    with running(Rule(status=503, times=1), Rule(text="fine")) as vendor:
        model = Model("openai:m", base_url=vendor.base_url, api_key="k")
        store = SqliteStore(Path(database))
        async with Runtime(logging(model), agent_name="a", store=store) as runtime:
            retried = await runtime.run("chat", thread_id="t1", **WHO)
            logged = await runtime.run("log", thread_id="t2", **WHO)
            wrote = await runtime.run("pay", thread_id="t3", **WHO)
            store.execute = fail  # type: ignore[method-assign]
            over = httpx.ASGITransport(serve(runtime), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=over, base_url="http://agent") as client:
                asked = await client.get("/threads/t1", headers=CALLER)
    return {
        "retried": retried.outcome.kind,
        "logged": logged.outcome.kind,
        "wrote": [wrote.outcome.kind, wrote.text],
        "asked": asked.status_code,
    }


async def fail(*_: Any, **__: Any) -> Any:
    raise StoreError("unplugged")


if __name__ == "__main__":
    configure_telemetry("logging")
    sys.stdout = sys.stdout or sys.stderr  # the vendor's uvicorn asks it whether it is a terminal
    print(json.dumps(asyncio.run(main(sys.argv[1]))), file=sys.stderr, flush=True)
