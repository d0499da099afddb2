"""The agent: `uvicorn examples.support_agent.agent:app`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    Model,
    Runtime,
    State,
    ToolCall,
    configure_telemetry,
    serve,
)

from .shop_client import paid_cents, recall, refund, search
from .staff import caller

LIMIT = os.environ.get("APPROVE_ABOVE_CENTS", "5000")
if not LIMIT.isdecimal():
    raise SystemExit(f"APPROVE_ABOVE_CENTS={LIMIT!r} must be a whole number of cents, such as 5000")
APPROVE_ABOVE_CENTS = int(LIMIT)
MODEL = Model("openai:gpt-4o-mini", fallback=["openai:gpt-4.1-mini"])
TOOLS = (search, refund)
SYSTEM = """\
You work for a shop that sells furniture. Be brief, friendly and exact. Look up what you do not
know. Pay money back only when the customer asks for it. If a tool fails, say so and offer to try
again.
"""

Step = tuple[Mapping[str, Any], str]
graph = Graph()


@graph.node(entry=True)
async def agent(state: State, ctx: Context) -> Step:
    """Ask the model, which may want tools to be called."""
    # A memory that is down costs the run 0.3 s, not the answer; `degraded` in its line tells of it.
    known = await ctx.optional(recall(ctx), name="memory", timeout_s=0.3, default="nothing")
    system = f"{SYSTEM}About this customer you remember: {known}"
    said = await ctx.chat(MODEL, state.messages, system=system, tools=TOOLS)
    return {"messages": [said]}, "approve" if said.tool_calls else END


@graph.node()
async def approve(state: State, ctx: Context) -> Step:
    """Have a colleague approve refunds above the limit: the run ends until they have decided."""
    wanted = state.messages[-1].tool_calls
    for call in wanted:
        # Nothing is paid whose amount is not known: the customer is told, and `degraded` tells you.
        due = _to_be_paid(call, ctx)
        cents = await ctx.optional(due, name="orders", timeout_s=5, default=None)
        if cents is None:
            return _not_done(wanted, "The shop does not say what was paid; nothing was done.")
        if cents <= APPROVE_ABOVE_CENTS:
            continue
        # What they see is what they approve: their answer names this question.
        what = {"tool": call.name, "approve": call.arguments, "cents": cents}
        verdict = ctx.interrupt(what, key=call.id)
        if verdict != {"approved": True}:
            return _not_done(wanted, "A colleague did not approve this; nothing was done.")
    return {}, "tools"


def _not_done(wanted: Sequence[ToolCall], why: str) -> Step:
    """Tell the model, which puts it into words for the customer."""
    return {"messages": [Message("tool", why, tool_call_id=each.id) for each in wanted]}, "agent"


async def _to_be_paid(call: ToolCall, ctx: Context) -> int:
    """Cents that a call would pay; none if it is no refund, or one that will fail."""
    if call.name != refund.name:
        return 0
    try:
        arguments = refund.arguments.model_validate_json(call.arguments).model_dump()
    except ValidationError:
        return 0
    return await paid_cents(arguments["order_id"], ctx)


graph.tools("tools", TOOLS, then="agent")

configure_telemetry("support-agent")
app = serve(Runtime(graph, agent_name="support", feature="order-help"), auth=caller)
