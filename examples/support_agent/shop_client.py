"""The shop's services as the agent uses them. `ctx.http` sends trace and thread along."""

import os

from agent_runtime import Context, tool

SHOP_URL = os.environ.get("SHOP_URL", "http://127.0.0.1:8110")


@tool
async def search(query: str, ctx: Context) -> str:
    """What the shop's help pages say."""
    # What it raises becomes a result that the model sees, and may answer in words of its own.
    answer = await ctx.http.get(f"{SHOP_URL}/articles", params={"query": query})
    return answer.raise_for_status().text


async def what_became(key: str, ctx: Context) -> dict[str, int]:
    """Asked when a refund's reply got lost, before anything is sent again."""
    # A 404 does not say that there will be none, so it is an error here: the refund is asked for
    # again under the same key, which the shop takes as one.
    answer = await ctx.http.get(f"{SHOP_URL}/refunds/{key}")
    return answer.raise_for_status().json()


# An order is paid back once, however often the model asks for it and in whichever thread. The model
# does not say how much.
@tool(writes=True, keyed=True, resolve=what_became, once_per=["order_id"], timeout_s=5)
async def refund(order_id: int, ctx: Context) -> dict[str, int]:
    """Pay back what the customer paid for an order."""
    answer = await ctx.http.post(
        f"{SHOP_URL}/refunds",
        json={"order_id": order_id},
        headers={"Idempotency-Key": ctx.idempotency_key},
    )
    return answer.raise_for_status().json()


async def paid_cents(order_id: int, ctx: Context) -> int:
    """What the customer paid for an order; nothing if there is no such order."""
    answer = await ctx.http.get(f"{SHOP_URL}/orders/{order_id}")
    return 0 if answer.status_code == 404 else answer.raise_for_status().json()["cents"]


async def recall(ctx: Context) -> str:
    """What is remembered of the user."""
    answer = await ctx.http.get(f"{SHOP_URL}/memory/{ctx.identity.user_id}")
    return answer.raise_for_status().text
