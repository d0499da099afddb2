"""The last words of a run: its summary line, its span, its metrics."""

from opentelemetry.trace import Span

from agent_runtime.edge import Edge
from agent_runtime.identity import RunIdentity
from agent_runtime.lines import write_line
from agent_runtime.metrics import run_ended
from agent_runtime.outcome import Outcome
from agent_runtime.tally import Tally
from agent_runtime.telemetry import end_span, record_error


def summarise(
    of: Span,
    identity: RunIdentity,
    outcome: Outcome,
    edge: Edge,
    tally: Tally,
    *,
    node: str | None,
    left_behind: bool,
) -> None:
    """End the span of a run and write its line, whatever becomes of the span.

    ``node`` is the last one that it began; ``left_behind`` says that this one goes on.
    """
    duration_ms, ttfb_ms = edge.elapsed_ms(), edge.ttfb_ms
    said = {"agent.outcome": outcome.kind, "agent.outcome_reason": outcome.reason,
            "agent.ttfb_ms": ttfb_ms}  # fmt: skip
    try:
        of.set_attributes({key: each for key, each in said.items() if each is not None})
        if outcome.error is not None:
            record_error(of, outcome.error)
        end_span(of)
        run_ended(identity, outcome, duration_ms / 1000, tally)
    finally:
        fields = {
            "turn_id": identity.turn_id,
            "node": node,
            "left_behind": left_behind,
            "duration_ms": duration_ms,
            "ttfb_ms": ttfb_ms,
            "send_blocked_ms": edge.send_blocked_ms,
        }
        write_line("agent.run", of, identity, outcome, fields | tally.fields())
