"""An hour of four tenants' agent traffic as rows of the lake, the same at every call.

globex waits long for its first token in the last quarter, one tool of acme fails now and then, and
initech runs a model nobody has a price for.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lake import TABLES

Row = dict[str, Any]


@dataclass(frozen=True)
class Tenant:
    name: str
    users: int
    agent: str
    models: tuple[tuple[str, str], ...]
    tools: tuple[str, ...]


TENANTS = (
    Tenant(
        "acme", 40, "support", (("openai", "gpt-4.1"), ("openai", "gpt-4.1-mini")),
        ("search_orders", "lookup_customer", "issue_refund"),
    ),
    Tenant(
        "globex", 25, "research", (("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o")),
        ("web_search", "read_document"),
    ),
    Tenant(
        "initech", 8, "reports", (("openai", "gpt-4o-mini"), ("initech", "house-model-7b")),
        ("run_query", "send_email"),
    ),
    Tenant(
        "umbrella", 15, "support", (("openai", "gpt-4o-mini"),),
        ("search_orders", "lookup_customer"),
    ),
)  # fmt: skip
WEIGHTS = (5, 3, 1, 2)
TOOL_ERROR_RATE = {"web_search": 0.05, "issue_refund": 0.04, "send_email": 0.02}


def traffic(until: datetime, *, length: timedelta, runs: int) -> pa.Table:
    """Spans of ``runs`` agent requests spread evenly over the time before ``until``."""
    dice = random.Random(7)
    rows = [
        row
        for number in range(runs)
        for row in _run(dice, number, until - length + length * ((number + 0.5) / runs), until)
    ]
    return table(rows, until)


def table(rows: list[Row], received_at: datetime) -> pa.Table:
    """Rows as the lake takes them; columns that a row leaves out are NULL."""
    complete = [
        {
            "day": row["start_time"].date(),
            "end_time": row["start_time"] + timedelta(milliseconds=row["duration_ms"]),
            "status": "error" if row.get("outcome") == "error" else "unset",
            "service_name": "agents",
            "attributes": [],
            "resource_attributes": [],
            "events": [],
            "links": [],
            "received_at": received_at,
            **row,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(complete, schema=TABLES["spans"].arrow)


def agent_run(
    number: int,
    at: datetime,
    *,
    tenant: str = "acme",
    user: str = "user-1",
    agent: str = "support",
    ttfb_ms: float | None = 700.0,
    duration_ms: float = 4000.0,
    outcome: str = "success",
) -> Row:
    """The span of one agent request."""
    return {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:08x}{0:08x}",
        "name": f"invoke_agent {agent}",
        "kind": "server",
        "span_class": "agent",
        "operation": "invoke_agent",
        "start_time": at,
        "duration_ms": duration_ms,
        "tenant_id": tenant,
        "user_id": user,
        "thread_id": f"thread-{tenant}-{user}",
        "run_id": f"run-{number}",
        "agent_name": agent,
        "ttfb_ms": ttfb_ms,
        "outcome": outcome,
    }


def child(run: Row, number: int, name: str, span_class: str, duration_ms: float) -> Row:
    """A span inside a run."""
    identity = ("trace_id", "tenant_id", "user_id", "thread_id", "run_id", "agent_name")
    return {key: run[key] for key in identity} | {
        "span_id": f"{run['span_id'][:8]}{number:08x}",
        "parent_span_id": run["span_id"],
        "name": name,
        "kind": "client",
        "span_class": span_class,
        "start_time": run["start_time"] + timedelta(milliseconds=10 * number),
        "duration_ms": duration_ms,
        "outcome": "success",
    }


def model_call(run: Row, number: int, *, provider: str, model: str, tokens: tuple[int, int]) -> Row:
    """One call of a model."""
    return child(run, number, f"chat {model}", "llm", 900.0) | {
        "operation": "chat",
        "provider": provider,
        "request_model": model,
        "response_model": model,
        "response_id": f"response-{run['span_id'][:8]}-{number}",
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "cache_read_tokens": 0,
    }


def tool_call(run: Row, number: int, *, tool: str, failed: bool = False) -> Row:
    """One call of a tool."""
    return child(run, number, f"execute_tool {tool}", "tool", 120.0) | {
        "operation": "execute_tool",
        "tool_name": tool,
        "tool_call_id": f"call-{run['span_id'][:8]}-{number}",
        "outcome": "error" if failed else "success",
        "error_class": "TimeoutError" if failed else None,
    }


def _run(dice: random.Random, number: int, at: datetime, until: datetime) -> Iterator[Row]:
    tenant = dice.choices(TENANTS, WEIGHTS)[0]
    slow = tenant.name == "globex" and until - at < timedelta(minutes=15)
    ttfb_ms = dice.lognormvariate(6.35, 0.28) + (1500 + 900 * dice.random() if slow else 0)
    failed = dice.random() < 0.003
    run = agent_run(
        number,
        at,
        tenant=tenant.name,
        user=f"{tenant.name}-{dice.randrange(tenant.users)}",
        agent=tenant.agent,
        ttfb_ms=None if dice.random() < 0.012 else ttfb_ms,
        duration_ms=ttfb_ms + dice.uniform(800, 9000),
        outcome="error" if failed else "success",
    )
    yield run
    for call in range(1, dice.choice((2, 3, 4))):
        provider, model = tenant.models[0 if dice.random() < 0.7 else -1]
        tokens = (dice.randrange(600, 4200), dice.randrange(80, 700))
        yield model_call(run, call, provider=provider, model=model, tokens=tokens)
    for call in range(11, 11 + dice.choice((0, 1, 2, 3))):
        tool = dice.choice(tenant.tools)
        failed = dice.random() < TOOL_ERROR_RATE.get(tool, 0.0)
        yield tool_call(run, call, tool=tool, failed=failed)
        if failed and dice.random() < 0.8:
            yield tool_call(run, call + 10, tool=tool)
