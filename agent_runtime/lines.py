"""The JSON lines of a run: what the same agent's spans say, for those who only read its log.

    agent.node  a node has ended
    agent.cost  a call of a model has ended; each try is a line: what the call's cost is made of
    agent.tool  a call of a tool has ended
    agent.run   the run has ended: its summary, exactly one; ``node`` is the last one that it began

Each names tenant, user, thread, run and span, and how it ended: `error_class` and `error_message`
of what failed, of tasks side by side the first error of this package or the first one, and
`error_cause`, the class of what that was raised from. None holds what anybody said.
`schema_version` is that of their fields.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Literal

from opentelemetry.trace import Span

from agent_runtime.identity import RunIdentity, current_node
from agent_runtime.outcome import SUCCESS, Outcome, failed, is_cut_off
from agent_runtime.telemetry import LOG, trace_fields

SCHEMA_VERSION = 1
"""Grows when a field changes its meaning or goes; others come without it."""

Level = Literal["warning", "error"]


def write_line(
    event: str,
    of: Span,
    identity: RunIdentity,
    outcome: Outcome,
    fields: Mapping[str, object],
    *,
    failure: Level = "error",
) -> None:
    """Write a line about what a span is about; ``failure`` is the level of one that failed."""
    write = getattr(LOG, failure) if outcome.kind == "error" else LOG.info
    # A logger of the application's own must not end a run, let alone the drain.
    with suppress(Exception):
        write(event, schema_version=SCHEMA_VERSION, **trace_fields(of), **identity.fields(),
              **outcome.fields(), **fields)  # fmt: skip


@contextmanager
def line_of_call(event: str, of: Span, identity: RunIdentity) -> Iterator[dict[str, object]]:
    """Write a line when a call ends, however it does, with the fields put into what this gives.

    One that fails is a warning: the run may make good for it. Its span is told the reason, too.
    """
    began = time.perf_counter()
    fields: dict[str, object] = {"node": current_node.get(None)}
    outcome = SUCCESS
    try:
        yield fields
    except BaseException as error:
        outcome = Outcome("interrupt") if is_cut_off(error) else failed(error)
        raise
    finally:
        fields["duration_ms"] = (time.perf_counter() - began) * 1000
        if outcome.reason is not None:
            of.set_attribute("agent.outcome_reason", outcome.reason)
        write_line(event, of, identity, outcome, fields, failure="warning")
