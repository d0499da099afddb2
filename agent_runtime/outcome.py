"""How a run, a node or a call ended, and why."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from agent_runtime.errors import (
    BudgetExceeded,
    ProviderError,
    ProviderTimeout,
    RecursionLimitReached,
    RunTimeout,
    error_cause,
    error_class,
    error_message,
    failure_in,
)
from agent_runtime.interrupts import interrupt_in

OutcomeKind = Literal["success", "error", "interrupt"]
Reason = Literal[
    "client_disconnect", "shutdown", "human", "recursion_limit", "budget", "provider", "timeout",
    "refusal", "content_filter",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run, a node of it, or a call ended."""

    kind: OutcomeKind
    reason: Reason | None = None
    """Why it did not succeed, None for errors of the agent's own code; of a success, why its answer
    was withheld (``refusal``, ``content_filter``)."""
    error: BaseException | None = None
    """What failed; of tasks side by side, the first error of this package, or the first one."""
    payload: Any = None
    """What a human is asked, when the reason is ``human``."""

    def fields(self) -> dict[str, str | None]:
        """As fields of a JSON line."""
        return {
            "outcome": self.kind,
            "outcome_reason": self.reason,
            "error_class": None if self.error is None else error_class(self.error),
            "error_cause": None if self.error is None else error_cause(self.error),
            "error_message": None if self.error is None else error_message(self.error),
        }


SUCCESS = Outcome("success")


def failed(error: BaseException) -> Outcome:
    """The outcome that an error is; a question to a human is none."""
    if (interrupt := interrupt_in(error)) is not None:
        return Outcome("interrupt", "human", payload=interrupt.payload)
    failure = failure_in(error)
    return Outcome("error", _reason(failure), failure)


def is_cut_off(error: BaseException) -> bool:
    """Whether the current work itself was cancelled, and not something that it waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _reason(error: BaseException) -> Reason | None:
    match error:
        case RecursionLimitReached():
            return "recursion_limit"
        case BudgetExceeded():
            return "budget"
        case ProviderTimeout() | RunTimeout() | TimeoutError():
            return "timeout"
        case ProviderError():
            return "provider"
        case _:
            return None
