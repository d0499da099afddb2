"""Every number that Quietpager tells equals one computed without it.

The independent side is the model vendor's own ledger (tokens, and from them cost by genai-prices)
and what users saw at their end of the stream (outcomes, tool errors, time to first token). The real
sidecar, the real runtime and the vendor run as processes of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genai_prices import Usage, calc_price

from agent_runtime import pseudonym
from demo.webhook import Pages, ReceivedAlert, alert_receiver
from tests.end_to_end.pipeline import Seen, answers, ask_all, follow, ledger, process, until
from tests.sidecar import Sidecar, start_sidecar

pytestmark = pytest.mark.timeout(300)

CLOCK_ERROR_MS = 100.0
"""What a user measures more than the server: connecting, two loopback hops, and a busy machine."""
STAMP_ERROR_MS = 50.0
"""The server stamps after the write returned; a busy machine may let the user read first."""
COST_ERROR_USD = 1e-9
UNPRICED = "reviewer-7b"
PROVIDERS = {"gpt-4o-mini": "openai", "gpt-4.1-mini": "openai", "claude-sonnet-4-5": "anthropic"}
SLOW_TENANT = "globex"

RULES: tuple[dict[str, Any], ...] = (
    {"first_token_ms": 60, "token_ms": 1, "cached_share": 0.35},
    {"model": "gpt-4.1-mini", "reasoning_tokens": 17},
    {"model": "gpt-4o-mini", "tool_calls": [{"name": "find_order", "arguments": {"order_id": 7}}]},
    {
        "model": "claude-sonnet-4-5",
        "tool_calls": [{"name": "find_invoice", "arguments": {"invoice_id": 88}}],
    },
    {
        "model": "gpt-4.1-mini",
        "tool_calls": [{"name": "search_documents", "arguments": {"query": "churn"}}],
    },
)
FAULTS: tuple[dict[str, Any], ...] = (
    {"model": "gpt-4o-mini", "status": 429, "retry_after": 0.05, "times": 4},
    {"model": "gpt-4.1-mini", "status": 503, "times": 3},
    {"model": "reviewer-7b", "cut_after_tokens": 3, "times": 2},
)
SLOW: dict[str, Any] = {
    "user": pseudonym(SLOW_TENANT, "").partition("-")[0] + "-*", "first_token_ms": 1000,
}  # fmt: skip

CONFIGURATION = """
[[alerts]]
name = "ttfb-p95"
threshold_ms = 1500
window = "15s"
for = "1s"
keep_firing_for = "1s"
interval = "1s"
min_samples = 5

[[webhooks]]
url = "{webhook}"
"""


@dataclass
class Played:
    """What happened, as both sides know it."""

    sidecar: Sidecar
    seen: list[Seen]
    calls: list[dict[str, Any]]
    alerts: list[ReceivedAlert]

    @property
    def billed(self) -> list[dict[str, Any]]:
        """The calls whose usage the vendor told its client."""
        return [call for call in self.calls if call["ending"] == "completed"]


def requests(rounds: int) -> list[tuple[str, str, str]]:
    """Every tenant asks every agent, as many times, for users of its own."""
    return [
        (tenant, f"user-{n % 3}", agent)
        for n in range(rounds)
        for tenant in ("acme", SLOW_TENANT, "initech")
        for agent in ("support", "billing", "research")
    ]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A hundred runs through the whole pipeline: faults first, then one tenant slow, then well."""
    home = tmp_path_factory.mktemp("numbers")
    alerts: list[ReceivedAlert] = []
    pages = Pages(alerts.append)
    with (
        alert_receiver(pages) as webhook,
        process(home / "models.log", "demo.model_server") as model_url,
        ExitStack() as ending,
    ):
        (home / "quietpager.toml").write_text(CONFIGURATION.format(webhook=webhook))
        sidecar = start_sidecar(home / "data", "--config", str(home / "quietpager.toml"))
        played = Played(sidecar, [], [], alerts)
        # A test may put another in its place.
        ending.callback(lambda: played.sidecar.end())
        with process(
            home / "agent.log", "demo.agent", "--model-url", model_url,
            "--otlp", sidecar.endpoints["OTLP/HTTP"], "--seed", "3",
        ) as agent_url:  # fmt: skip
            follow(model_url, *RULES, *FAULTS)
            played.seen += ask_all(agent_url, requests(4), at_once=4)
            follow(model_url, *RULES, SLOW)
            played.seen += ask_all(agent_url, requests(5), at_once=9)
            until(lambda: pages.has_fired(SLOW_TENANT), f"no alert fired: {sidecar.log}")
            follow(model_url, *RULES)
            played.seen += ask_all(agent_url, requests(2), at_once=4)
            until(pages.all_resolved, "an alert that fired did not resolve")
        until(lambda: runs_in(sidecar) >= len(played.seen), "not every run is in the lake")
        played.calls += ledger(model_url)
        yield played


def runs_in(sidecar: Sidecar) -> int:
    (row,) = answers(sidecar, "sql", "SELECT count(*) AS n FROM runs")
    return int(row["n"])


def price(call: dict[str, Any]) -> Decimal | None:
    """What a call costs in USD, by genai-prices from the vendor's ledger; None without a price."""
    if call["model"] == UNPRICED:
        return None
    usage = Usage(
        input_tokens=call["prompt_tokens"],
        cache_read_tokens=call["cached_tokens"],
        output_tokens=call["completion_tokens"],
    )
    return calc_price(
        usage,
        model_ref=call["model"],
        provider_id=PROVIDERS[call["model"]],
        genai_request_timestamp=datetime.fromtimestamp(call["started_at"], UTC),
    ).total_price


def test_tokens(played: Played) -> None:
    """Every token the vendor billed is counted once, by tenant and model, of every kind; besides
    them stands what the runtime estimates of streams that were cut, of which nobody told."""
    expected: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    tenant_of = {each.run_id: each.tenant for each in played.seen}
    for call in played.billed:
        expected[tenant_of[call["metadata"]["run_id"]], call["model"]] += Counter(
            input=call["prompt_tokens"], cached=call["cached_tokens"],
            output=call["completion_tokens"], reasoning=call["reasoning_tokens"],
        )  # fmt: skip
    cut = answers(
        played.sidecar, "sql",
        "SELECT tenant_id, request_model AS model, input_tokens, output_tokens FROM llm_calls "
        "WHERE outcome <> 'success' AND input_tokens IS NOT NULL",
    )  # fmt: skip
    assert len(cut) == sum(call["ending"] == "cut" for call in played.calls) == 2
    for row in cut:
        expected[row["tenant_id"], row["model"]] += Counter(
            input=row["input_tokens"], output=row["output_tokens"]
        )
    told = {
        (row["tenant_id"], row["model"]): Counter(
            input=row["input_tokens"], cached=row["cache_read_tokens"],
            output=row["output_tokens"], reasoning=row["reasoning_tokens"],
        )
        for row in answers(played.sidecar, "cost", "--by", "tenant,model", "--since", "1d")
    }  # fmt: skip

    assert told == dict(expected)
    assert sum(each["cached"] for each in expected.values()) > 0
    assert sum(each["reasoning"] for each in expected.values()) > 0


def test_every_call(played: Played) -> None:
    """Every call the vendor got is one row, refused and cut ones included; ids agree."""
    told = answers(played.sidecar, "sql", "SELECT response_id, outcome FROM llm_calls")

    assert len(told) == len(played.calls)
    assert {row["response_id"] for row in told if row["outcome"] == "success"} == {
        call["id"] for call in played.billed
    }
    assert Counter(call["status"] for call in played.calls) == {
        200: len(played.calls) - 7, 429: 4, 503: 3,
    }  # fmt: skip


def test_calls_are_in_nodes(played: Played) -> None:
    """Every model and tool call says in which node of the agent's graph it was made."""
    for view in ("llm_calls", "tool_calls"):
        (told,) = answers(
            played.sidecar, "sql", f"SELECT count(*) AS calls, count(node) AS placed FROM {view}"
        )
        assert told["placed"] == told["calls"] > 0


@pytest.mark.parametrize("dimension", ["tenant", "user", "agent", "model"])
def test_cost(dimension: str, played: Played) -> None:
    """Cost equals the ledger priced by genai-prices, whatever it is broken down by."""
    runs = {seen.run_id: seen for seen in played.seen}
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for call in played.billed:
        run = runs[call["metadata"]["run_id"]]
        key = call["model"] if dimension == "model" else getattr(run, dimension)
        if (cost := price(call)) is not None:
            expected[key] += cost
    told = {
        row[column]: row["cost_usd"]
        for row in answers(played.sidecar, "cost", "--by", dimension, "--since", "1d")
        for column in list(row)[:1]
        if row["cost_usd"] is not None
    }

    assert told.keys() == expected.keys()
    for key, cost in expected.items():
        assert abs(Decimal(str(told[key])) - cost) <= Decimal(str(COST_ERROR_USD)), key
    assert sum(expected.values()) > Decimal("0.01")


def test_unpriced(played: Played) -> None:
    """Calls without a price are counted, and their cost is not told as zero."""
    (row,) = (
        row
        for row in answers(played.sidecar, "cost", "--by", "model", "--since", "1d")
        if row["model"] == UNPRICED
    )

    assert row["cost_usd"] is None
    assert row["unpriced_calls"] == row["calls"]


def test_cost_per_request(played: Played) -> None:
    """The p95 of cost per request is that of the runs all of whose calls have a price."""
    by_run: dict[str, list[Decimal | None]] = defaultdict(list)
    for call in played.calls:
        if call["status"] == 200:
            by_run[call["metadata"]["run_id"]].append(price(call))
    known = [
        float(sum(c for c in costs if c is not None))
        for costs in by_run.values()
        if None not in costs
    ]
    objective = objectives(played)["cost-per-request"]

    assert objective["total"] == len(known)
    assert objective["missing"] == len(played.seen) - len(known)
    assert objective["value"] == pytest.approx(np.percentile(known, 95), abs=COST_ERROR_USD)


def test_ttfb(played: Played) -> None:
    """TTFB p95 is what users measured, within the clock error, and is computed exactly."""
    told = {
        row["run_id"]: row["ttfb_ms"]
        for row in answers(played.sidecar, "sql", "SELECT run_id, ttfb_ms FROM runs")
    }
    measured = {seen.run_id: seen.first_token_ms for seen in played.seen}
    assert {run for run, ms in told.items() if ms is None} == {
        run for run, ms in measured.items() if ms is None
    }
    for run, ms in measured.items():
        if ms is not None:
            assert told[run] <= ms + STAMP_ERROR_MS, "the server cannot be later than what it sent"

    user_p95 = np.percentile([ms for ms in measured.values() if ms is not None], 95)
    objective = objectives(played)["ttfb"]
    assert abs(objective["value"] - user_p95) <= CLOCK_ERROR_MS
    own = [ms for ms in told.values() if ms is not None]
    assert objective["value"] == pytest.approx(np.percentile(own, 95), abs=1e-6)
    assert objective["total"] == len(own)
    assert objective["good"] == sum(ms < 1500 for ms in own)
    well = objective["good"] / len(own) >= 0.95 and np.percentile(own, 95) < 1500
    assert objective["state"] == ("met" if well else "breached")


def test_outcomes(played: Played) -> None:
    """Each run ended as its user was told, and the objective counts them so."""
    told = answers(played.sidecar, "sql", "SELECT run_id, outcome FROM runs")
    assert {row["run_id"]: row["outcome"] for row in told} == {
        seen.run_id: seen.outcome for seen in played.seen
    }

    objective = objectives(played)["stream-success"]
    assert objective["total"] == len(played.seen)
    assert objective["good"] == sum(seen.outcome == "success" for seen in played.seen)
    assert objective["good"] < objective["total"], "streams were cut"
    assert objective["state"] == "breached", "of a hundred runs not one may be cut"


def test_tool_errors(played: Played) -> None:
    """Tools were called and failed as often as users saw."""
    calls = Counter(tool for seen in played.seen for tool, _ in seen.tools)
    errors = Counter(tool for seen in played.seen for tool, failed in seen.tools if failed)
    assert errors, "tools fail now and then"
    told = answers(played.sidecar, "tools", "--since", "1d")

    assert {row["tool_name"]: row["calls"] for row in told} == calls
    assert {row["tool_name"]: row["errors"] for row in told if row["errors"]} == errors
    surfaced = sum(seen.tools[-1][1] for seen in played.seen if seen.tools)
    objective = objectives(played)["tool-errors"]
    assert objective["total"] == sum(bool(seen.tools) for seen in played.seen)
    assert objective["total"] - objective["good"] == surfaced


def test_alert(played: Played) -> None:
    """The slow tenant's alert fired, reached the webhook, resolved, and is in the history."""
    told = [(alert.tenant, alert.status) for alert in played.alerts]
    assert told.index((SLOW_TENANT, "firing")) < told.index((SLOW_TENANT, "resolved"))
    assert {tenant for tenant, _ in told} <= {SLOW_TENANT, None}

    history = answers(played.sidecar, "alerts")
    assert {row["fingerprint"] for row in history} == {a.fingerprint for a in played.alerts}
    assert all(row["resolved_at"] for row in history)


def test_restart(played: Played, tmp_path: Path) -> None:
    """After a restart every number is as before."""
    questions = (
        ("cost", "--by", "tenant,user,agent,model,day", "--since", "1d"),
        ("tools", "--by", "tool,tenant,agent,error", "--since", "1d"),
        ("alerts",),
        ("sql", "SELECT * FROM runs ORDER BY run_id"),
    )
    before = [answers(played.sidecar, *question) for question in questions]
    assert played.sidecar.end() == 0
    played.sidecar = start_sidecar(played.sidecar.data)

    assert [answers(played.sidecar, *question) for question in questions] == before


def objectives(played: Played) -> dict[str, dict[str, Any]]:
    return {row["slo"]: row for row in answers(played.sidecar, "slo", "--window", "24h")}
