"""The numbers of the page are those of the lake, and nothing unknown reads as zero or perfect."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from analytics import Analytics, load_slos
from analytics.alerts import AlertHistory
from dashboards.build import LakeUnreadableError, build_overview, check_readable
from dashboards.overview import Overview
from dashboards.pages import Selection
from dashboards.ranges import RANGES, RangeName
from lake import Lake
from tests.dashboards.agent_traffic import agent_run, model_call, table, tool_call, traffic
from tests.dashboards.conftest import RUNS, Filled

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def overview_of(data: Path, rows: pa.Table | None, selection: Selection) -> Overview:
    """The overview at NOW of a lake with these rows."""
    lake = Lake(data / "lake")
    if rows is not None:
        lake.append("spans", rows, 1)
    alerts = AlertHistory(data / "state" / "alerts.sqlite")
    return build_overview(Analytics(lake), load_slos(None), alerts, selection, now=NOW)


def test_totals_count_what_was_written(tmp_path: Path) -> None:
    """Runs, tenants, users, calls and tokens equal a count of the rows themselves."""
    rows = traffic(NOW, length=timedelta(minutes=55), runs=120)
    overview = overview_of(tmp_path, rows, Selection(RangeName.HOUR))

    spans = rows.to_pylist()
    classes = Counter(span["span_class"] for span in spans)
    runs = [span for span in spans if span["span_class"] == "agent"]
    assert overview.totals.runs == classes["agent"] == 120
    assert overview.totals.model_calls == classes["llm"]
    assert overview.totals.tool_calls == classes["tool"]
    assert overview.totals.tenants == len({run["tenant_id"] for run in runs})
    assert overview.totals.users == len({run["user_id"] for run in runs})
    assert overview.totals.input_tokens == sum(span["input_tokens"] or 0 for span in spans)
    assert overview.totals.output_tokens == sum(span["output_tokens"] or 0 for span in spans)
    assert overview.newest_run_at == max(run["start_time"] for run in runs)
    assert overview.tenants == ("acme", "globex", "initech", "umbrella")


def test_costs_add_up_and_name_what_has_no_price(tmp_path: Path) -> None:
    """The rows sum to the total; a model nobody has a price for is counted, not free."""
    rows = traffic(NOW, length=timedelta(minutes=55), runs=120)
    overview = overview_of(tmp_path, rows, Selection(RangeName.HOUR))

    priced = [cost.cost_usd for cost in overview.costs if cost.cost_usd is not None]
    assert sum(priced, Decimal(0)) == overview.totals.cost_usd
    unpriced = [cost for cost in overview.costs if cost.model == "house-model-7b"]
    assert [cost.cost_usd for cost in unpriced] == [None]
    assert unpriced[0].unpriced_calls == unpriced[0].calls == overview.totals.unpriced_calls
    assert sum(cost.calls for cost in overview.costs) == overview.totals.model_calls
    amounts = [cost.cost_usd or Decimal(-1) for cost in overview.costs]
    assert amounts == sorted(amounts, reverse=True)


def test_cost_is_tokens_times_price(tmp_path: Path) -> None:
    """A million tokens in and out of gpt-4o-mini cost its list price, 0.15 + 0.60 USD."""
    run = agent_run(1, NOW - timedelta(minutes=5))
    call = model_call(run, 1, provider="openai", model="gpt-4o-mini", tokens=(1_000_000, 1_000_000))
    overview = overview_of(tmp_path, table([run, call], NOW), Selection(RangeName.HOUR))
    assert overview.totals.cost_usd == Decimal("0.75")


def test_tool_errors_by_tool(tmp_path: Path) -> None:
    """A failure that a retry mended counts as an error, but not as one a user met."""
    at = NOW - timedelta(minutes=5)
    mended, failed = agent_run(1, at), agent_run(2, at)
    rows = [
        mended,
        tool_call(mended, 1, tool="search", failed=True),
        tool_call(mended, 2, tool="search"),
        failed,
        tool_call(failed, 1, tool="search", failed=True),
        tool_call(failed, 2, tool="lookup"),
    ]
    overview = overview_of(tmp_path, table(rows, NOW), Selection(RangeName.HOUR))
    search, lookup = overview.tools
    assert (search.tool, search.calls, search.errors, search.surfaced) == ("search", 3, 2, 1)
    assert search.rate == pytest.approx(2 / 3)
    assert (lookup.tool, lookup.calls, lookup.errors, lookup.rate) == ("lookup", 1, 0, 0.0)


def test_ttfb_card(tmp_path: Path) -> None:
    """p95, state, budget, coverage and excluded follow the published formulas."""
    at = NOW - timedelta(minutes=30)
    waits = [100.0 * number for number in range(1, 21)]
    rows = [agent_run(number, at, ttfb_ms=wait) for number, wait in enumerate(waits)]
    rows += [agent_run(100, at, ttfb_ms=None)]
    overview = overview_of(tmp_path, table(rows, NOW), Selection(RangeName.HOUR))
    card = overview.slos[0]
    assert card.unit == "ms"
    assert card.value == pytest.approx(1905.0)
    assert (card.state, card.threshold, card.target, card.better) == (
        "breached",
        1500.0,
        0.95,
        "lower",
    )
    assert (card.good, card.total, card.missing) == (14, 20, 1)
    assert card.coverage == pytest.approx(20 / 21)
    assert card.budget_left == pytest.approx(1 - (6 / 20) / 0.05)


def test_a_series_has_a_point_for_every_step_and_no_number_where_nothing_happened(
    tmp_path: Path,
) -> None:
    """The sparkline's steps cover the range evenly; a quiet step is null, not zero."""
    rows = [agent_run(number, NOW - timedelta(minutes=20)) for number in range(25)]
    overview = overview_of(tmp_path, table(rows, NOW), Selection(RangeName.HOUR))
    series = overview.slos[0].series
    assert len(series) == 60
    assert {later.at - earlier.at for earlier, later in itertools.pairwise(series)} == {
        timedelta(minutes=1)
    }
    known = [point for point in series if point.value is not None]
    assert [(point.at, point.value, point.total) for point in known] == [
        (NOW - timedelta(minutes=20), 700.0, 25)
    ]
    assert all(point.total == 0 for point in series if point.value is None)


@pytest.mark.parametrize("name", list(RangeName))
def test_every_range_looks_back_as_far_as_it_says(tmp_path: Path, name: RangeName) -> None:
    """A run just inside the range counts, one just outside does not."""
    length = RANGES[name].length
    inside, outside = timedelta(seconds=5), timedelta(seconds=-5)
    rows = [
        agent_run(1, NOW - length + inside),
        agent_run(2, NOW - length + outside),
        agent_run(3, NOW + inside),
    ]
    overview = overview_of(tmp_path, table(rows, NOW), Selection(name))
    assert overview.totals.runs == 1
    assert (overview.since, overview.until) == (NOW - length, NOW)
    for card in overview.slos:
        assert len(card.series) <= 61


def test_a_tenant_is_seen_alone(tmp_path: Path) -> None:
    """With a tenant picked, every number is that tenant's; the others stay to be picked."""
    rows = traffic(NOW, length=timedelta(minutes=55), runs=120)
    overview = overview_of(tmp_path, rows, Selection(RangeName.HOUR, "globex"))
    spans = [span for span in rows.to_pylist() if span["tenant_id"] == "globex"]
    classes = Counter(span["span_class"] for span in spans)
    assert overview.tenant == "globex"
    assert overview.totals.tenants == 1
    assert overview.totals.runs == classes["agent"]
    assert overview.totals.model_calls == classes["llm"]
    assert {cost.tenant for cost in overview.costs} == {"globex"}
    assert {tool.tool for tool in overview.tools} <= {"web_search", "read_document"}
    assert overview.slos[0].total + overview.slos[0].missing == classes["agent"]
    assert overview.tenants == ("acme", "globex", "initech", "umbrella")


def test_a_tenant_without_runs_can_still_be_seen_to_be_picked(tmp_path: Path) -> None:
    """A bookmarked tenant that was quiet stays in the picker, and nothing is made up for it."""
    rows = table([agent_run(1, NOW - timedelta(minutes=5))], NOW)
    overview = overview_of(tmp_path, rows, Selection(RangeName.HOUR, "quiet"))
    assert overview.tenants == ("acme", "quiet")
    assert overview.totals.runs == 0
    assert overview.totals.cost_usd is None
    assert {card.state for card in overview.slos} == {"unknown"}


def test_an_empty_lake_is_unknown_everywhere(tmp_path: Path) -> None:
    """Before the first span no SLO is met, nothing costs zero, and no run is the newest."""
    overview = overview_of(tmp_path, None, Selection(RangeName.DAYS_30))
    assert overview.newest_run_at is None
    assert overview.totals.cost_usd is None
    assert overview.tenants == overview.tools == overview.costs == ()
    for card in overview.slos:
        assert card.state == "unknown"
        assert (card.value, card.coverage, card.budget_left) == (None, None, None)


def test_after_a_quiet_range_the_newest_run_is_still_named(tmp_path: Path) -> None:
    """The page can say how long ago the last run was, up to 30 days back."""
    at = NOW - timedelta(days=3)
    overview = overview_of(tmp_path, table([agent_run(1, at)], NOW), Selection(RangeName.HOUR))
    assert overview.totals.runs == 0
    assert overview.newest_run_at == at


def test_a_lake_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A broken lake is one clear line with the reason, for the page and for the probe."""
    lake = Lake(tmp_path / "lake")
    lake.append("spans", table([agent_run(1, NOW)], NOW), 1)
    for log_file in (tmp_path / "lake" / "spans" / "_delta_log").glob("*.json"):
        log_file.write_text("{torn")
    analytics = Analytics(lake)
    alerts = AlertHistory(tmp_path / "state" / "alerts.sqlite")
    with pytest.raises(LakeUnreadableError) as refused:
        build_overview(analytics, load_slos(None), alerts, Selection(), now=NOW)
    assert "\n" not in str(refused.value)
    with pytest.raises(LakeUnreadableError):
        check_readable(analytics, now=NOW)


def test_a_lost_file_is_noticed_by_the_probe(tmp_path: Path) -> None:
    """Ready means that the data of the present can be opened, not only the table's log."""
    lake = Lake(tmp_path / "lake")
    lake.append("spans", table([agent_run(1, NOW)], NOW), 1)
    analytics = Analytics(lake)
    check_readable(analytics, now=NOW)
    for parquet in (tmp_path / "lake" / "spans").rglob("*.parquet"):
        parquet.unlink()
    with pytest.raises(LakeUnreadableError, match="parquet"):
        check_readable(analytics, now=NOW + timedelta(minutes=1))


def test_a_broken_alert_store_does_not_take_the_numbers_away(tmp_path: Path) -> None:
    """SLOs stay readable, and the page says that the alerts are not."""
    store = tmp_path / "state" / "alerts.sqlite"
    store.parent.mkdir()
    store.write_text("this is not a database, and long enough to be refused as one" * 20)
    rows = table([agent_run(1, NOW - timedelta(minutes=5))], NOW)
    overview = overview_of(tmp_path, rows, Selection(RangeName.HOUR))
    assert overview.totals.runs == 1
    assert overview.alerts.error is not None
    assert "alerts.sqlite" in overview.alerts.error


def test_incidents_are_those_of_the_pager(filled: Filled, client: httpx.Client) -> None:
    """What the pager found firing is firing on the page, with its own words."""
    alerts = client.get("/api/overview").json()["alerts"]
    history = AlertHistory(filled.data / "state" / "alerts.sqlite")
    assert [i["summary"] for i in alerts["firing"]] == [i.summary for i in history.firing()]
    assert "globex" in {incident["tenant"] for incident in alerts["firing"]}
    assert [check["error"] for check in alerts["checks"]] == [None]


def test_json_is_the_same_overview(client: httpx.Client) -> None:
    """The JSON carries every part of the page."""
    overview = client.get("/api/overview", params={"range": "24h"}).json()
    assert overview["range"] == "24h"
    assert overview["totals"]["runs"] == RUNS
    assert len(overview["slos"]) == 4
    assert Decimal(overview["totals"]["cost_usd"]) > 0
