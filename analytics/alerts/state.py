"""The life of one alert, as a pure function of what was observed and when.

    inactive ──breach──▶ pending ──held `for_`──▶ firing ──over `keep_firing_for`──▶ resolved
        ▲                  │  ▲                                                         │
        └─── no breach ────┘  └───────────────────────── breach ────────────────────────┘

Evidence is continuous while the windows of two measurements overlap. After a longer gap (the
pager was down, traffic too thin) both countdowns start anew: nobody is woken, and nothing is
called over, for a time that was not watched.
"""

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal, Self

from analytics.alerts.rule import AlertRule

Phase = Literal["inactive", "pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one evaluation saw of one scope.

    ``too_few`` is an answer ("hardly any traffic"), ``unknown`` is the lack of one.
    """

    kind: Literal["measured", "too_few", "unknown"]
    value_ms: float | None = None
    samples: int = 0
    runs: int = 0
    reason: str = ""
    """Why it is unknown; empty otherwise."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """Everything that the next step depends on; times are in UTC."""

    phase: Phase = "inactive"
    pending_since: datetime | None = None
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    """First of the measurements without breach that a firing alert has had in a row."""
    measured_at: datetime | None = None
    unknown_since: datetime | None = None
    unknown_notified_at: datetime | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, stored: dict[str, str | None]) -> Self:
        times = {
            field.name: datetime.fromisoformat(value)
            for field in fields(cls)
            if field.name != "phase" and (value := stored.get(field.name)) is not None
        }
        return cls(phase=stored["phase"], **times)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Transition:
    """Something somebody must be told: an incident began (``firing``) or ended (``resolved``).

    A ``breach`` is the alert itself, ``unknown`` that it cannot be evaluated. ``started_at`` is
    the same at both ends, so rule, scope, condition and ``started_at`` identify the incident.
    """

    condition: Literal["breach", "unknown"]
    status: Literal["firing", "resolved"]
    started_at: datetime
    at: datetime
    stale: bool = False
    """Resolved because nothing could be measured any more, not because it got better."""


Step = tuple[AlertState, tuple[Transition, ...]]


def step(state: AlertState, observation: Observation, now: datetime, rule: AlertRule) -> Step:
    """The state after this observation, and what is to be told."""
    if observation.kind == "unknown":
        state, told = _lose_sight(state, now, rule)
    else:
        state, told = _regain_sight(state, now)
    if observation.kind == "measured" and observation.value_ms is not None:
        state, moved = _measure(state, observation.value_ms >= rule.threshold_ms, now, rule)
    else:
        state, moved = _wait(state, now, rule)
    return state, told + moved


def _lose_sight(state: AlertState, now: datetime, rule: AlertRule) -> Step:
    since = state.unknown_since or now
    state = replace(state, unknown_since=since)
    if state.unknown_notified_at or rule.unknown_after is None or now - since < rule.unknown_after:
        return state, ()
    return replace(state, unknown_notified_at=now), (Transition("unknown", "firing", now, now),)


def _regain_sight(state: AlertState, now: datetime) -> Step:
    began = state.unknown_notified_at
    state = replace(state, unknown_since=None, unknown_notified_at=None)
    return state, (Transition("unknown", "resolved", began, now),) if began else ()


def _measure(state: AlertState, breached: bool, now: datetime, rule: AlertRule) -> Step:
    continuous = not _gap(state, now, rule)
    state = replace(state, measured_at=now)
    if state.phase == "firing":
        if breached:
            return replace(state, clear_since=None), ()
        clear_since = (state.clear_since if continuous else None) or now
        if now - clear_since >= rule.keep_firing_for:
            return _resolve(state, now)
        return replace(state, clear_since=clear_since), ()
    if not breached:
        return _calm(state), ()
    pending_since = (state.pending_since if continuous else None) or now
    state = replace(state, phase="pending", pending_since=pending_since)
    if now - pending_since < rule.for_:
        return state, ()
    return replace(state, phase="firing", fired_at=now), (Transition("breach", "firing", now, now),)


def _wait(state: AlertState, now: datetime, rule: AlertRule) -> Step:
    """Nothing was measured: keep the state, but not for ever."""
    if state.phase == "pending" and _gap(state, now, rule):
        return _calm(state), ()
    if (
        state.phase == "firing"
        and state.measured_at is not None
        and now - state.measured_at >= rule.stale_after
    ):
        state, blind = _regain_sight(state, now)
        state, resolved = _resolve(state, now, stale=True)
        return state, blind + resolved
    return state, ()


def _resolve(state: AlertState, now: datetime, *, stale: bool = False) -> Step:
    assert state.fired_at is not None  # noqa: S101 - firing implies it
    ended = Transition("breach", "resolved", state.fired_at, now, stale)
    resolved = AlertState(
        phase="resolved",
        measured_at=state.measured_at,
        unknown_since=state.unknown_since,
        unknown_notified_at=state.unknown_notified_at,
    )
    return resolved, (ended,)


def _calm(state: AlertState) -> AlertState:
    phase: Phase = "resolved" if state.phase == "resolved" else "inactive"
    return replace(state, phase=phase, pending_since=None)


def _gap(state: AlertState, now: datetime, rule: AlertRule) -> bool:
    """Whether time passed that no measurement covers; also when the clock was set back."""
    return state.measured_at is None or not (timedelta(0) <= now - state.measured_at <= rule.window)
