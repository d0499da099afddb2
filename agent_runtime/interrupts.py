"""Questions to humans: a node stops at one, and is run again with its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Interrupt(BaseException):
    """Ends a run until a human has answered.

    No ``Exception``, as a cancellation is none either: nobody shall take it for a failure.
    """

    def __init__(self, key: str, payload: Any) -> None:
        super().__init__(f"a human is asked for {key!r}")
        self.key = key
        self.payload = payload


@dataclass(frozen=True, slots=True)
class Asked:
    """The question a thread waits with."""

    key: str
    payload: Any


class Answers:
    """What was answered so far in the node that runs."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self._asked = 0

    def to(self, payload: Any, key: str | None) -> Any:
        """The answer. :raises Interrupt: when there is none yet."""
        self._asked += 1
        key = str(self._asked) if key is None else key
        if key not in self.given:
            raise Interrupt(key, payload)
        return self.given[key]


def interrupt_in(error: BaseException) -> Interrupt | None:
    """The question that ended a node, also from among tasks that it ran side by side."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(interrupt_in, error.exceptions)), None)
    return error if isinstance(error, Interrupt) else None
