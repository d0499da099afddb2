"""How the local model vendor behaves: fast, mostly well, and at times slow to one tenant."""

from typing import Any

import httpx

from agent_runtime import pseudonym

Rule = dict[str, Any]

SLOW_TENANT = "globex"
TIMEOUT_SECONDS = 10.0

USUAL: tuple[Rule, ...] = (
    {"first_token_ms": 180, "token_ms": 3, "cached_share": 0.4},
    {"model": "gpt-4.1-mini", "first_token_ms": 240, "reasoning_tokens": 12},
    {"model": "claude-sonnet-4-5", "first_token_ms": 320},
    {"model": "reviewer-7b", "first_token_ms": 60, "cached_share": 0},
    {
        "model": "gpt-4o-mini",
        "tool_calls": [{"name": "find_order", "arguments": {"order_id": 1042}}],
    },
    {
        "model": "claude-sonnet-4-5",
        "tool_calls": [{"name": "find_invoice", "arguments": {"invoice_id": 88}}],
    },
    {
        "model": "gpt-4.1-mini",
        "tool_calls": [{"name": "search_documents", "arguments": {"query": "churn"}}],
    },
    {"probability": 0.05, "first_token_ms": 600},
    {"probability": 0.02, "status": 429, "retry_after": 0.2},
    {"probability": 0.01, "status": 503},
    {"probability": 0.001, "cut_after_tokens": 6},
)
"""Later rules come before earlier ones; shares are per call."""

_TENANT_IS_SLOW = pseudonym(SLOW_TENANT, "").partition("-")[0]
SLOW: Rule = {"user": f"{_TENANT_IS_SLOW}-*", "first_token_ms": 1100}


def follow(base_url: str, *rules: Rule) -> None:
    """Have the vendor at ``base_url`` answer by these rules from now on."""
    url = httpx.URL(base_url).join("/rules")
    answer = httpx.put(url, json=list(rules), timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
