"""The demo's agents on the real runtime, with the scripted model vendor."""

import asyncio
from fnmatch import fnmatchcase

import pytest

from agent_runtime import pseudonym
from demo.agent import build_agents
from demo.model_server import Rule, running
from demo.model_server.rules import Script
from demo.vendor import SLOW, SLOW_TENANT, USUAL

ALWAYS = dict.fromkeys(("find_order", "find_invoice", "search_documents"), 1.0)
NEVER = dict.fromkeys(ALWAYS, 0.0)


def play(agent: str, failures: dict[str, float], tenant: str = "acme"):
    rules = [Rule(**rule) for rule in (*USUAL, SLOW) if "probability" not in rule]

    async def run():
        async with build_agents(vendor.base_url, failures=failures)[agent] as runtime:
            return await runtime.run("?", thread_id="t", tenant_id=tenant, user_id="u")

    with running(*rules) as vendor:
        return asyncio.run(run()), vendor.calls()


@pytest.mark.parametrize(
    ("agent", "models"),
    [
        ("support", ["gpt-4o-mini", "gpt-4o-mini"]),
        ("billing", ["claude-sonnet-4-5", "claude-sonnet-4-5"]),
        ("research", ["gpt-4.1-mini", "gpt-4.1-mini", "reviewer-7b"]),
    ],
)
def test_looks_up_and_answers(agent: str, models: list[str]) -> None:
    """Each agent looks something up and answers; research has its answer reviewed."""
    result, calls = play(agent, NEVER)

    assert [call.model for call in calls] == models
    assert result.outcome.kind == "success"
    assert (result.usage.tool_calls, result.usage.tool_errors) == (1, 0)


def test_tool_fails() -> None:
    """A tool that fails does not end the run: the model hears of it and answers."""
    result, calls = play("billing", ALWAYS)

    assert result.outcome.kind == "success"
    assert result.usage.tool_errors == 1
    assert len(calls) == 2


def test_slow_tenant() -> None:
    """What makes the vendor slow for one tenant leaves the others alone."""
    script = Script((Rule(**rule) for rule in (*USUAL, SLOW)), seed=0)
    _, calls = play("support", NEVER, SLOW_TENANT)
    users = {
        tenant: script.behaviour("gpt-4o-mini", pseudonym(tenant, "u"))
        for tenant in ("acme", "globex")
    }

    assert {fnmatchcase(call.user, SLOW["user"]) for call in calls} == {True}
    assert users["globex"].first_token_ms == SLOW["first_token_ms"]
    assert users["acme"].first_token_ms < 1000
