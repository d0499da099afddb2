"""What a client of a run sees, in order."""

from dataclasses import dataclass
from typing import Any, Literal

EventName = Literal[
    "run.start", "node.start", "token", "tool.start", "tool.end", "node.end",
    "interrupted", "run.end", "keepalive",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``run.start`` is the first, ``run.end`` the last of a run that was not cut off.

    ``token`` carries ``text``; ``interrupted`` comes right before a ``run.end`` with the outcome
    ``interrupt``. ``keepalive`` says nothing, so that proxies do not close a silent connection.
    """

    name: EventName
    data: dict[str, Any]
