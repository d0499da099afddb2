"""The life of an alert, without any input or output."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts import AlertRule, AlertState, Observation, Transition, step

START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ABOVE = Observation("measured", 2410.0, 132, 132)
BELOW = Observation("measured", 620.0, 140, 140)
AT_THE_LIMIT = Observation("measured", 1500.0, 140, 140)
FEW = Observation("too_few", 9000.0, 3, 3)
UNKNOWN = Observation("unknown", reason="no runs in the last 5 min")
RULE = AlertRule(for_=timedelta(minutes=2), keep_firing_for=timedelta(seconds=60))

Events = list[tuple[float, Observation]]


def live(
    events: Events, rule: AlertRule = RULE, state: AlertState | None = None
) -> tuple[list[str], list[tuple[float, Transition]], AlertState]:
    """Phases, transitions with their second, and the last state, of (second, observation)s."""
    state = state or AlertState()
    phases, told = [], []
    for second, observation in events:
        state, transitions = step(state, observation, START + timedelta(seconds=second), rule)
        phases.append(state.phase)
        told += [(second, transition) for transition in transitions]
    return phases, told, state


def brief(told: list[tuple[float, Transition]]) -> list[tuple[float, str, str]]:
    return [(second, t.condition, t.status) for second, t in told]


BREACH: Events = [(second, ABOVE) for second in (0, 30, 60, 90, 120)]


def test_fires_once_the_breach_has_held_and_resolves_once_it_is_over() -> None:
    """Above from 0 s: pending at 0, firing at 120; below from 150: resolved at 210."""
    phases, told, _ = live([*BREACH, (150, BELOW), (180, BELOW), (210, BELOW), (240, BELOW)])
    assert phases == ["pending"] * 4 + ["firing"] * 3 + ["resolved"] * 2
    assert brief(told) == [(120, "breach", "firing"), (210, "breach", "resolved")]


def test_one_sample_above_starts_the_quiet_time_again() -> None:
    """Below at 150, above at 180, below from 210 s on: resolved at 270 s, not before."""
    after = [(150, BELOW), (180, ABOVE), (210, BELOW), (240, BELOW), (270, BELOW)]
    phases, told, _ = live([*BREACH, *after])
    assert phases[-5:] == ["firing"] * 4 + ["resolved"]
    assert brief(told)[1:] == [(270, "breach", "resolved")]


def test_both_ends_of_an_incident_name_the_same_beginning() -> None:
    """started_at is when it fired, at the beginning and at the end."""
    _, told, _ = live([*BREACH, (150, BELOW), (210, BELOW)])
    assert {t.started_at for _, t in told} == {START + timedelta(seconds=120)}


def test_reaching_the_threshold_is_a_breach() -> None:
    """The SLO says "under 1.5 s", so 1.5 s exactly breaches."""
    assert live([(0, AT_THE_LIMIT)])[0] == ["pending"]


def test_breach_that_passes_wakes_nobody() -> None:
    """Below while pending: inactive again, nothing told; the next breach starts from nothing."""
    phases, told, _ = live([(0, ABOVE), (90, ABOVE), (119, BELOW), (120, ABOVE), (239, ABOVE)])
    assert phases == ["pending", "pending", "inactive", "pending", "pending"]
    assert told == []


def test_without_for_it_fires_at_once() -> None:
    """for 0 s: the first breach fires; keep_firing_for 0 s: the first recovery resolves."""
    rule = AlertRule(for_=timedelta(0), keep_firing_for=timedelta(0))
    assert live([(0, ABOVE), (30, BELOW)], rule)[0] == ["firing", "resolved"]


def test_too_few_runs_keep_the_state() -> None:
    """Three slow runs are no observation: they neither start, fire, clear nor resolve anything."""
    events = [(0, FEW), *[(s + 30, o) for s, o in BREACH], (180, FEW), (210, FEW), (500, FEW)]
    phases, told, _ = live(events)
    assert phases == ["inactive"] + ["pending"] * 4 + ["firing"] * 4
    assert brief(told) == [(150, "breach", "firing")]


def test_pending_alert_does_not_fire_on_too_few_runs() -> None:
    """Only a measured breach fires, even when `for` has passed meanwhile."""
    phases, _, _ = live([(0, ABOVE), (120, FEW), (150, ABOVE)])
    assert phases == ["pending", "pending", "firing"]


def test_time_that_nobody_watched_does_not_count_towards_for() -> None:
    """After a gap longer than the window (the pager was down) the breach must hold anew."""
    phases, _, _ = live([(0, ABOVE), (301, ABOVE), (420, ABOVE), (421, ABOVE)])
    assert phases == ["pending", "pending", "pending", "firing"]


def test_time_that_nobody_watched_does_not_count_towards_recovery() -> None:
    """After such a gap a firing alert needs its whole quiet time again."""
    phases, _, _ = live([*BREACH, (150, BELOW), (460, BELOW), (519, BELOW), (520, BELOW)])
    assert phases[-4:] == ["firing", "firing", "firing", "resolved"]


def test_pending_alert_without_evidence_falls_back() -> None:
    """When too few runs follow for longer than the window, nothing is pending any more."""
    assert live([(0, ABOVE), (300, FEW), (301, FEW)])[0] == ["pending", "pending", "inactive"]


def test_clock_set_back_restarts_the_countdown() -> None:
    """A clock set back by an hour delays a page by `for` at most, not by an hour."""
    phases, _, _ = live([(3600, ABOVE), (0, ABOVE), (60, ABOVE), (120, ABOVE)])
    assert phases == ["pending", "pending", "pending", "firing"]


def test_alert_that_cannot_be_evaluated_says_so_once() -> None:
    """Unknown for 15 min: told once; told again when it can be evaluated, few runs suffice."""
    events = [(0, UNKNOWN), (899, UNKNOWN), (900, UNKNOWN), (2000, UNKNOWN), (2030, FEW)]
    phases, told, _ = live(events)
    assert set(phases) == {"inactive"}
    assert brief(told) == [(900, "unknown", "firing"), (2030, "unknown", "resolved")]
    assert told[0][1].started_at == told[1][1].started_at


def test_short_loss_of_sight_is_not_told() -> None:
    """A glance that fails now and then does not add up to 15 minutes of blindness."""
    assert live([(0, UNKNOWN), (600, BELOW), (630, UNKNOWN), (1500, UNKNOWN)])[1] == []


def test_unknown_can_be_shown_only() -> None:
    """unknown_after None: a team without night traffic is left in peace."""
    rule = AlertRule(unknown_after=None)
    assert live([(0, UNKNOWN), (86400, UNKNOWN)], rule)[1] == []


def test_firing_alert_stays_firing_while_blind() -> None:
    """An agent that hangs altogether sends no runs: that must not call the page off."""
    phases, told, _ = live([*BREACH, (150, UNKNOWN), (1050, UNKNOWN), (40000, UNKNOWN)])
    assert phases[-1] == "firing"
    assert brief(told)[1:] == [(1050, "unknown", "firing")]


def test_firing_alert_that_nothing_measures_for_a_day_is_given_up() -> None:
    """The tenant left: breach and blindness both end, the breach marked as stale."""
    _, told, state = live([*BREACH, (150, UNKNOWN), (1050, UNKNOWN), (120 + 86400, UNKNOWN)])
    assert brief(told)[2:] == [
        (86520, "unknown", "resolved"),
        (86520, "breach", "resolved"),
    ]
    assert told[-1][1].stale
    assert state.phase == "resolved"


observations = st.sampled_from([ABOVE, ABOVE, BELOW, FEW, UNKNOWN, AT_THE_LIMIT])
pauses = st.sampled_from([1, 29, 30, 30, 30, 60, 299, 300, 301, 1000, 90000, -3600])
steps = st.lists(st.tuples(pauses, observations), max_size=40)
lengths = st.sampled_from([0, 30, 60, 120, 400]).map(lambda s: timedelta(seconds=s))
rules = st.builds(
    AlertRule,
    for_=lengths,
    keep_firing_for=lengths,
    unknown_after=st.one_of(st.none(), lengths),
)


def at_seconds(history: list[tuple[int, Observation]]) -> Events:
    second, events = 0, []
    for pause, observation in history:
        second += pause
        events.append((second, observation))
    return events


def evidence(events: Events, second: float, rule: AlertRule, *, breached: bool) -> float:
    """How long, until the last event, measurements say ``breached`` without a gap: seconds."""
    since, last = None, second
    for when, observation in reversed(events):
        if observation.kind != "measured" or observation.value_ms is None:
            continue
        gap = last - when
        in_breach = observation.value_ms >= rule.threshold_ms
        if in_breach != breached or not 0 <= gap <= rule.window.total_seconds():
            break
        since = last = when
    return -1 if since is None else second - since


@given(steps, rules)
def test_never_fires_or_resolves_before_its_time(
    history: list[tuple[int, Observation]], rule: AlertRule
) -> None:
    """Firing needs an unbroken breach of `for`; resolving an unbroken calm of keep_firing_for."""
    events = at_seconds(history)
    state = AlertState()
    for index, (second, observation) in enumerate(events):
        state, told = step(state, observation, START + timedelta(seconds=second), rule)
        for transition in told:
            if transition.condition == "unknown" or transition.stale:
                continue
            firing = transition.status == "firing"
            needed = rule.for_ if firing else rule.keep_firing_for
            seen = evidence(events[: index + 1], second, rule, breached=firing)
            assert seen >= needed.total_seconds()


@given(steps, rules)
def test_every_unbroken_breach_fires(
    history: list[tuple[int, Observation]], rule: AlertRule
) -> None:
    """A breach measured without a gap over `for` is firing, whatever came before."""
    events = at_seconds(history)
    state = AlertState()
    for index, (second, observation) in enumerate(events):
        state, _ = step(state, observation, START + timedelta(seconds=second), rule)
        held = evidence(events[: index + 1], second, rule, breached=True)
        if observation in (ABOVE, AT_THE_LIMIT) and held >= rule.for_.total_seconds():
            assert state.phase == "firing"


@given(steps, rules)
def test_incidents_begin_before_they_end_and_end_before_the_next(
    history: list[tuple[int, Observation]], rule: AlertRule
) -> None:
    """Per condition: firing and resolved alternate, firing first, in pairs with one beginning."""
    _, told, _ = live(at_seconds(history), rule)
    for condition in ("breach", "unknown"):
        ends = [t for _, t in told if t.condition == condition]
        assert [t.status for t in ends] == ["firing", "resolved"] * (len(ends) // 2) + [
            "firing"
        ] * (len(ends) % 2)
        for begin, end in zip(ends[::2], ends[1::2], strict=False):
            assert begin.started_at == end.started_at


@given(steps, rules)
def test_state_survives_storage_at_any_point(
    history: list[tuple[int, Observation]], rule: AlertRule
) -> None:
    """Stored as JSON and read back after every step, an alert lives exactly the same life."""
    kept = stored = AlertState()
    for second, observation in at_seconds(history):
        now = START + timedelta(seconds=second)
        kept, told = step(kept, observation, now, rule)
        stored = AlertState.from_json(json.loads(json.dumps(stored.to_json())))
        stored, told_after_storage = step(stored, observation, now, rule)
        assert (stored, told_after_storage) == (kept, told)
