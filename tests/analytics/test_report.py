"""evaluate_slo: one report per SLO and window."""

from datetime import timedelta

import pytest

from analytics import Slo, evaluate_slo
from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry

DAY = timedelta(days=1)
NOW = NOON + timedelta(hours=2)
TTFB = Slo("ttfb", "First token", "slo/ttfb", 0.95, DAY, {"threshold_ms": 1000})


def runs(telemetry: Telemetry, good: int, bad: int, missing: int = 0, **columns: object) -> None:
    for ttfb in [500.0] * good + [2000.0] * bad + [None] * missing:
        telemetry.agent(ttfb_ms=ttfb, **columns)


def test_a_breach(telemetry: Telemetry, opened: Opener) -> None:
    """Counts, value, budget and coverage of the window."""
    runs(telemetry, good=90, bad=10, missing=25)
    report = evaluate_slo(opened(), TTFB, window=DAY, now=NOW)
    assert (report.state, report.good, report.total, report.missing) == ("breached", 90, 100, 25)
    assert (report.sli, report.coverage) == (0.9, 0.8)
    assert (report.value, report.threshold, report.unit, report.better) == (
        2000.0, 1000.0, "ms", "lower"
    )  # fmt: skip
    assert report.budget_spent == pytest.approx(2)
    assert report.budget_left == pytest.approx(-1)


def test_exactly_on_target_is_met(telemetry: Telemetry, opened: Opener) -> None:
    """The target is reached at the target."""
    runs(telemetry, good=95, bad=5)
    assert evaluate_slo(opened(), TTFB, window=DAY, now=NOW).state == "met"


def test_few_events_are_no_verdict(telemetry: Telemetry, opened: Opener) -> None:
    """One slow run of nineteen is too few to judge by."""
    runs(telemetry, good=18, bad=1)
    report = evaluate_slo(opened(), TTFB, window=DAY, now=NOW)
    assert (report.state, report.total) == ("too_few", 19)


def test_nothing_to_judge_by_is_unknown(telemetry: Telemetry, opened: Opener) -> None:
    """Runs that all lack a TTFB read as unknown with coverage zero, never as perfect."""
    runs(telemetry, good=0, bad=0, missing=50)
    report = evaluate_slo(opened(), TTFB, window=DAY, now=NOW)
    assert (report.state, report.coverage) == ("unknown", 0.0)
    assert (report.sli, report.value, report.budget_left, report.burn_rate) == (None,) * 4


def test_no_runs_have_no_coverage(opened: Opener) -> None:
    """Of nothing, no share is known."""
    report = evaluate_slo(opened(), TTFB, window=DAY, now=NOW)
    assert (report.state, report.coverage) == ("unknown", None)


def test_the_burn_rate_is_that_of_the_last_hour(telemetry: Telemetry, opened: Opener) -> None:
    """Two hours ago all was slow; the last hour is fine and burns nothing."""
    runs(telemetry, good=0, bad=50, at=NOON)
    runs(telemetry, good=50, bad=0, at=NOW - timedelta(minutes=30))
    report = evaluate_slo(opened(), TTFB, window=DAY, now=NOW)
    assert report.budget_spent == pytest.approx(10)
    assert report.burn_rate == 0


def test_one_tenant(telemetry: Telemetry, opened: Opener) -> None:
    """A report can be of one tenant alone."""
    runs(telemetry, good=30, bad=0, tenant_id="acme")
    runs(telemetry, good=0, bad=30, tenant_id="globex")
    analytics = opened()
    states = {
        tenant: evaluate_slo(analytics, TTFB, window=DAY, now=NOW, tenant=tenant).state
        for tenant in ("acme", "globex", None)
    }
    assert states == {"acme": "met", "globex": "breached", None: "breached"}
