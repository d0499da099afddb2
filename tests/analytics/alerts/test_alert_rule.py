"""What a rule refuses, and in which words."""

from datetime import timedelta
from typing import Any

import pytest

from analytics.alerts import AlertRule, AlertRuleError


def test_defaults_are_the_seed_slo() -> None:
    """A rule without settings watches TTFB p95 under 1.5 s, as a page."""
    rule = AlertRule()
    assert (rule.threshold_ms, rule.severity) == (1500, "page")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "alert rule: name is empty; write a short one such as ttfb-p95"),
        ({"threshold_ms": 0}, "alert rule slow: threshold_ms 0 must be above 0; write e.g. 1500"),
        ({"threshold_ms": float("nan")}, "threshold_ms nan must be above 0"),
        ({"min_samples": 0}, "alert rule slow: min_samples 0 must be at least 1; write e.g. 20"),
        ({"severity": "warn"}, "severity 'warn' must be page or ticket"),
        ({"window": timedelta(0)}, "window 0 s must be at least 1 s"),
        ({"interval": timedelta(0)}, "interval 0 s must be at least 1 s"),
        ({"interval": timedelta(minutes=6)}, "interval 6 min must be at most the window (5 min)"),
        ({"for_": timedelta(seconds=-5)}, "for_ -5 s must be at least 0 s"),
        ({"keep_firing_for": timedelta(seconds=-90)}, "keep_firing_for -1 min 30 s must be"),
        ({"stale_after": timedelta(minutes=1)}, "stale_after 1 min must be at least 5 min"),
        ({"unknown_after": timedelta(seconds=-1)}, "unknown_after -1 s must be at least 0 s"),
    ],
)
def test_errors_name_field_value_and_remedy(fields: dict[str, Any], message: str) -> None:
    """A rule that cannot work is refused with the field, its value and what to write."""
    with pytest.raises(AlertRuleError) as refused:
        AlertRule(**({"name": "slow"} | fields))
    assert message in str(refused.value)


def test_infinite_threshold_is_refused() -> None:
    """A threshold that nothing can reach would be an alert that never fires."""
    with pytest.raises(AlertRuleError, match="threshold_ms inf must be finite"):
        AlertRule(threshold_ms=float("inf"))
