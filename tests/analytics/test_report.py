"""evaluate_slo: one report per SLO and window."""

import math
from datetime import timedelta

import numpy as np
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


def test_a_value_over_its_limit_is_a_breach(telemetry: Telemetry, opened: Opener) -> None:
    """95 of 100 runs are fast enough, but the p95 lies between them and the slow ones: breached."""
    for ttfb in [100.0] * 95 + [60_000.0] * 5:
        telemetry.agent(ttfb_ms=ttfb)
    slo = Slo("ttfb", "First token", "slo/ttfb", 0.95, DAY, {"threshold_ms": 1500})
    report = evaluate_slo(opened(), slo, window=DAY, now=NOW)
    assert report.value == pytest.approx(np.percentile([100.0] * 95 + [60_000.0] * 5, 95))
    assert (report.sli, report.state) == (0.95, "breached")


@pytest.mark.parametrize(
    ("question", "failed", "value", "state"),
    [
        ("slo/stream_success", 5, 0.95, "met"),
        ("slo/stream_success", 6, 0.94, "breached"),
        ("slo/tool_errors", 4, 0.04, "met"),
        ("slo/tool_errors", 5, 0.05, "breached"),
    ],
)
def test_rates_are_judged_as_their_limits_are_shown(
    question: str, failed: int, value: float, state: str, telemetry: Telemetry, opened: Opener
) -> None:
    """Successes must reach their target; errors must stay below what it leaves them."""
    for number in range(100):
        outcome = "error" if number < failed else "success"
        telemetry.tool(under=telemetry.agent(outcome=outcome), outcome=outcome)
    report = evaluate_slo(opened(), Slo("s", "S", question, 0.95, DAY), window=DAY, now=NOW)
    assert (report.value, report.state) == (value, state)


def test_infinite_values_breach(telemetry: Telemetry, opened: Opener) -> None:
    """A p95 that is no number cannot be below its threshold."""
    runs(telemetry, good=10, bad=0)
    for _ in range(10):
        telemetry.agent(ttfb_ms=math.inf)
    assert evaluate_slo(opened(), TTFB, window=DAY, now=NOW).state == "breached"


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
