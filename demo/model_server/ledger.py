"""The vendor's book: every call, what became of it, and the tokens it is billed for."""

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Ending = Literal["open", "completed", "refused", "cut", "client_gone"]


@dataclass
class Call:
    """One request for an answer, over any API. Times are unix seconds; tokens are as billed.

    `prompt_tokens` include `cached_tokens` and `cache_write_tokens`, which only Anthropic bills
    apart; `completion_tokens` include `reasoning_tokens`. `metadata` includes the baggage. A
    stream that ended early is billed for the prompt and what was sent; a refusal for nothing.
    """

    id: str
    model: str
    user: str
    metadata: dict[str, Any]
    stream: bool
    traceparent: str | None
    started_at: float
    first_token_at: float | None = None
    ended_at: float | None = None
    status: int = 200
    ending: Ending = "open"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    tool_calls: list[str] = field(default_factory=list)


class Ledger:
    """All calls, in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def enter(self, call: Call) -> None:
        """Note a call that has just come in."""
        with self._lock:
            self._calls.append(call)

    def calls(self) -> Sequence[Call]:
        """Every call so far; those under way have the ending `open`."""
        with self._lock:
            return tuple(self._calls)

    def as_json(self) -> dict[str, Any]:
        """The calls and the totals of what they are billed for."""
        calls = self.calls()
        kinds = (
            "prompt_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "completion_tokens",
            "reasoning_tokens",
        )
        totals = {kind: sum(getattr(call, kind) for call in calls) for kind in kinds}
        return {"calls": [asdict(call) for call in calls], "totals": {"calls": len(calls)} | totals}
