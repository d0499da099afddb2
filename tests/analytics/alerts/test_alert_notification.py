"""The words and the identity of a notification."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import AlertRule, Notification, Observation, Transition
from analytics.alerts.notification import announce
from analytics.alerts.units import duration, seconds

FIRED = datetime(2026, 3, 1, 3, 2, tzinfo=UTC)
LATER = FIRED + timedelta(minutes=7)
SLOW = Observation("measured", 2410.4, 132, 140)
FAST = Observation("measured", 620.0, 150, 150)
BREACH = Transition("breach", "firing", FIRED, FIRED)
OVER = Transition("breach", "resolved", FIRED, LATER)
BLIND = Transition("unknown", "firing", FIRED, FIRED)
SEEING = Transition("unknown", "resolved", FIRED, LATER)
DARK = Observation("unknown", reason="no runs in the last 5 min")


@pytest.mark.parametrize(
    ("tenant", "observation", "transition", "summary"),
    [
        (
            "acme",
            SLOW,
            BREACH,
            "TTFB p95 2.41 s over 1.5 s for tenant acme (window 5 min, 132 runs)",
        ),
        (
            None,
            SLOW,
            BREACH,
            "TTFB p95 2.41 s over 1.5 s for all tenants (window 5 min, 132 runs)",
        ),
        (
            "a",
            FAST,
            OVER,
            "TTFB p95 0.62 s under 1.5 s again for tenant a (window 5 min, 150 runs), after 7 min",
        ),
        (
            "acme",
            DARK,
            replace(OVER, stale=True),
            "TTFB p95 for tenant acme not measured for 1 d: given up, 7 min after it fired",
        ),
        (None, DARK, BLIND, "TTFB p95 unknown for all tenants: no runs in the last 5 min"),
        (None, FAST, SEEING, "TTFB p95 can be evaluated again for all tenants, after 7 min"),
    ],
)
def test_summary_says_what_where_how_bad_and_on_what_evidence(
    tenant: str | None, observation: Observation, transition: Transition, summary: str
) -> None:
    """One line tells a person woken by it what happened to whom."""
    told = announce(AlertRule(), tenant, observation, transition)
    assert told.annotations["summary"] == summary


def test_page_carries_what_to_do_and_where_to_look() -> None:
    """A breach comes with a runbook and, when known, the dashboard."""
    told = announce(AlertRule(), None, SLOW, BREACH, "https://dash.example.com/")
    assert told.annotations["runbook"].startswith("1. One tenant or all?")
    assert told.annotations["dashboard_url"] == "https://dash.example.com/"
    assert "132 of 140 runs carry a TTFB" in told.annotations["description"]


def test_runbook_address_is_labelled_as_one() -> None:
    """A URL goes to runbook_url, which receivers make a link of."""
    rule = AlertRule(runbook="https://wiki.example.com/ttfb")
    told = announce(rule, None, SLOW, BREACH)
    assert told.annotations["runbook_url"] == "https://wiki.example.com/ttfb"
    assert "runbook" not in told.annotations


def test_blindness_is_a_ticket_not_a_page() -> None:
    """Only a breach has the rule's severity."""
    severities = {
        announce(AlertRule(), None, DARK, end).labels["severity"] for end in (BLIND, SEEING)
    }
    assert severities == {"ticket"}
    assert announce(AlertRule(), None, SLOW, BREACH).labels["severity"] == "page"


def test_fingerprint_is_the_incidents_own() -> None:
    """The same at both ends of an incident; another for any other incident, scope or condition."""
    rule = AlertRule()
    begin = announce(rule, "acme", SLOW, BREACH).fingerprint
    assert announce(rule, "acme", FAST, OVER).fingerprint == begin
    others = {
        announce(rule, "beta", SLOW, BREACH).fingerprint,
        announce(rule, None, SLOW, BREACH).fingerprint,
        announce(rule, "acme", DARK, BLIND).fingerprint,
        announce(AlertRule(name="other"), "acme", SLOW, BREACH).fingerprint,
        announce(rule, "acme", SLOW, replace(BREACH, started_at=LATER, at=LATER)).fingerprint,
    }
    assert len(others | {begin}) == 6


@given(st.text(), st.floats(1500, 1e9))
def test_notification_survives_storage(tenant: str, value: float) -> None:
    """Any tenant name and value come back from JSON as they went in, at both ends."""
    for observation, transition in ((Observation("measured", value, 20, 20), BREACH), (FAST, OVER)):
        told = announce(AlertRule(), tenant, observation, transition)
        assert Notification.from_json(told.to_json()) == told


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (2410.4, "2.41 s"),
        (1500, "1.5 s"),
        (42, "0.042 s"),
        (61234, "61.2 s"),
        (2e6, "2000 s"),
        (1e308, "1e+305 s"),
    ],
)
def test_seconds(milliseconds: float, text: str) -> None:
    """Three significant digits, always in seconds."""
    assert seconds(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=1, minutes=30, seconds=10), "1 h 30 min"),
        (timedelta(days=2), "2 d"),
        (timedelta(seconds=-5), "-5 s"),
    ],
)
def test_duration(value: timedelta, text: str) -> None:
    """The two largest units that matter."""
    assert duration(value) == text
