"""A range asked for cuts through what belongs together; the answer is as if it did not."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from analytics import Analytics
from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RESPONSE = "chatcmpl-BqyqQ7sWfJ4R1mZQYpUe6ox9"


def bill(analytics: Analytics, since: datetime, until: datetime) -> dict[str, Decimal]:
    """What each tenant is to pay for a range."""
    rows = analytics.ask("cost/by", since=since, until=until, by="tenant").to_pylist()
    return {row["tenant_id"]: row["cost_usd"] for row in rows if row["cost_usd"]}


@pytest.mark.parametrize("apart", [2 * MINUTE, 59 * MINUTE, 20 * HOUR], ids=str)
def test_what_a_cache_repeats_is_billed_on_the_day_of_its_response_only(
    telemetry: Telemetry, opened: Opener, apart: timedelta
) -> None:
    """Reports of single days add up to that of all, whoever asked, with an agent or without."""

    def call(tenant: str, at: datetime, response: str, *, in_agent: bool) -> None:
        above = telemetry.agent(at=at, tenant_id=tenant) if in_agent else None
        telemetry.llm(under=above, at=at, tenant_id=tenant, response_id=response)

    askers = set()
    for first, again in product((True, False), repeat=2):
        asker, response = f"{first}-{again}", f"{RESPONSE}-{first}-{again}"
        call(asker, NOON, response, in_agent=first)
        call(f"{asker}-again", NOON + apart, response, in_agent=again)
        askers.add(asker)
    call("other", NOON + DAY, "another", in_agent=False)
    analytics, border, end = opened(), NOON + min(apart, HOUR) / 2, NOON + 2 * DAY
    before, after = bill(analytics, NOON, border), bill(analytics, border, end)
    assert before.keys() == askers
    assert after.keys() == {"other"}
    assert before | after == bill(analytics, NOON, end)
    with analytics.in_passing() as passing:
        assert bill(passing, border, end) == after


def test_a_response_that_is_repeated_after_days_is_billed_again(
    telemetry: Telemetry, opened: Opener
) -> None:
    """No more than a day is looked through."""
    telemetry.llm(at=NOON, tenant_id="acme", response_id=RESPONSE)
    telemetry.llm(at=NOON + 3 * DAY, tenant_id="acme", response_id=RESPONSE)
    assert bill(opened(), NOON + 2 * DAY, NOON + 4 * DAY).keys() == {"acme"}


def test_a_short_id_is_not_looked_for(telemetry: Telemetry, opened: Opener) -> None:
    """Ollama's chatcmpl-7 comes again for another response."""
    telemetry.llm(at=NOON, tenant_id="acme", response_id="chatcmpl-7")
    telemetry.llm(at=NOON + 5 * HOUR, tenant_id="late", response_id="chatcmpl-7")
    assert bill(opened(), NOON + 4 * HOUR, NOON + DAY).keys() == {"late"}


@pytest.mark.parametrize("root", ["agent", "other"])
def test_calls_of_a_run_of_hours_are_its_tenants(
    telemetry: Telemetry, opened: Opener, root: str
) -> None:
    """The root began, and said for whom, long before the range."""
    above = telemetry.span(root, took=6 * HOUR / ms(1), tenant_id="acme")
    for hour in range(6):
        telemetry.llm(under=above, at=NOON + hour * HOUR + MINUTE)
        telemetry.span("tool", under=above, at=NOON + hour * HOUR + 2 * MINUTE, tool_name="t")
    analytics = opened()
    first, last = (bill(analytics, NOON + hour * HOUR, NOON + (hour + 1) * HOUR) for hour in (0, 5))
    assert first == last
    assert first.keys() == {"acme"}
    used = analytics.ask(
        "tools/error_rate", since=NOON + 5 * HOUR, until=NOON + DAY, by="tool", tenant="acme"
    )
    assert [row["calls"] for row in used.to_pylist()] == [1]


def test_a_run_that_began_before_the_range_is_not_one_of_it(
    telemetry: Telemetry, opened: Opener
) -> None:
    """What is read of it serves its calls; it is counted where it began."""
    above = telemetry.agent(took=6 * HOUR / ms(1), tenant_id="acme")
    telemetry.llm(under=above, at=NOON + 5 * HOUR)
    telemetry.agent(at=NOON + 5 * HOUR, tenant_id="late")
    runs = opened().ask("dashboard/totals", since=NOON + 4 * HOUR, until=NOON + DAY).to_pylist()
    assert [row["runs"] for row in runs] == [1]


def test_an_agent_below_one_from_before_the_range_is_no_run(
    telemetry: Telemetry, opened: Opener
) -> None:
    """Whether it is asked in passing or not: the run is the agent above it."""
    above = telemetry.agent(took=6 * HOUR / ms(1))
    telemetry.agent(under=above, at=NOON + 5 * HOUR, ttfb_ms=9000.0)
    telemetry.agent(at=NOON + 5 * HOUR, ttfb_ms=20.0)
    analytics, window = opened(), {"since": NOON + 4 * HOUR, "until": NOON + DAY}
    with analytics.in_passing() as passing:
        for asked in (analytics, passing):
            (overall, *_) = asked.ask("alerts/ttfb_p95", **window).to_pylist()
            assert (overall["runs"], overall["p95_ms"]) == (1, 20.0)
