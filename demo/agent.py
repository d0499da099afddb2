"""Three agents of a made-up shop, served by the real runtime: `python -m demo.agent`.

support answers with a tool that finds orders, billing with one that finds invoices, research has
its answer reviewed by a model of the shop's own, for which there is no public price. Their tools
fail now and then, as tools do.
"""

import asyncio
import os
import random
import socket
from collections.abc import Mapping
from typing import Annotated

import typer
import uvicorn

from agent_runtime import END, Context, Graph, Model, Runtime, State, Tool, configure_telemetry
from agent_runtime import serve as serve_agents
from agent_runtime import tool as as_tool

FAILURES = {"find_order": 0.02, "find_invoice": 0.09, "search_documents": 0.005}
"""Share of the calls of each tool that fail."""
TOOL_SECONDS = 0.03
MEMORY = "sqlite:///:memory:"
"""Threads of the demo end with it."""
ATTEMPTS = 4

HANDBOOK = """\
You work for a shop that sells furniture in eleven countries. Be brief, friendly and exact. Never
promise a date that the order does not show. Never name another customer. Amounts are in the
currency of the invoice. If a tool fails, say so and offer to come back to it. Escalate whatever is
about injury, law or the press. Answer in the language in which you were asked.
"""
PROMPTS = {
    "support": HANDBOOK * 10,
    "billing": HANDBOOK * 8,
    "research": HANDBOOK * 16,
    "review": HANDBOOK * 3,
}


def build_agents(model_url: str, *, failures: Mapping[str, float] = FAILURES, seed: int = 0) -> (
    dict[str, Runtime]
):  # fmt: skip
    """The agents by name, their models served at ``model_url``.

    ``failures`` says how often each tool fails, ``seed`` makes which calls do repeatable.
    """
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def unreliably(name: str, error: Exception) -> None:
        if dice.random() < failures[name]:
            raise error

    @as_tool
    async def find_order(order_id: int) -> str:
        """Where an order is."""
        await asyncio.sleep(TOOL_SECONDS)
        unreliably("find_order", TimeoutError("the warehouse did not answer within 2 s"))
        return f"Order {order_id} left the warehouse this morning."

    @as_tool
    async def find_invoice(invoice_id: int) -> str:
        """An invoice and its payments."""
        await asyncio.sleep(TOOL_SECONDS)
        unreliably("find_invoice", ConnectionError("payments.internal: connection reset by peer"))
        return f"Invoice {invoice_id}: 129.00 EUR, paid twice, one of them pending."

    @as_tool
    async def search_documents(query: str) -> str:
        """What the shop's documents say."""
        await asyncio.sleep(TOOL_SECONDS)
        unreliably("search_documents", ValueError("the index is being rebuilt"))
        return f"3 documents about {query!r}."

    def model(name: str) -> Model:
        return Model(name, base_url=model_url, api_key="none", max_attempts=ATTEMPTS)

    return {
        "support": Runtime(
            _with_tool(model("openai:gpt-4o-mini"), "support", find_order),
            agent_name="support",
            feature="order-help",
            store=MEMORY,
        ),
        "billing": Runtime(
            _with_tool(model("anthropic:claude-sonnet-4-5"), "billing", find_invoice),
            agent_name="billing",
            feature="invoice-help",
            store=MEMORY,
        ),
        "research": Runtime(
            _with_tool(
                model("openai:gpt-4.1-mini"),
                "research",
                search_documents,
                reviewer=model("in-house:reviewer-7b"),
            ),
            agent_name="research",
            feature="reports",
            store=MEMORY,
        ),
    }


def _with_tool(model: Model, role: str, helper: Tool, reviewer: Model | None = None) -> Graph:
    """Answer, looking things up first if the model wants to; then have it reviewed, if by any."""
    graph = Graph()

    @graph.node(entry=True)
    async def answer(state: State, ctx: Context) -> tuple[dict[str, object], str]:
        said = await ctx.chat(model, state.messages, system=PROMPTS[role], tools=[helper])
        then = "look_up" if said.tool_calls else "review" if reviewer else END
        return {"messages": [said]}, then

    graph.tools("look_up", [helper], then="answer")
    if reviewer is not None:

        @graph.node()
        async def review(state: State, ctx: Context) -> tuple[dict[str, object], str]:
            verdict = await ctx.chat(reviewer, state.messages, system=PROMPTS["review"])
            return {"messages": [verdict]}, END

    return graph


def main(
    model_url: Annotated[str, typer.Option(help="Base URL of the model vendor.")],
    otlp: Annotated[str, typer.Option(help="Base URL to which spans are sent.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any.")] = 0,
    seed: Annotated[int, typer.Option(help="Which calls of tools fail.")] = 0,
) -> None:
    """Serve the agents; prints their base URL when ready, then JSON lines of nodes and runs."""
    # Half a second instead of five: whoever watches a demo should not wait for its numbers.
    os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", "500")
    configure_telemetry("demo-shop", otlp)
    app = serve_agents(build_agents(model_url, seed=seed))
    with socket.create_server((host, port)) as listener:
        typer.echo(f"http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(
            sockets=[listener]
        )


if __name__ == "__main__":
    typer.run(main)
