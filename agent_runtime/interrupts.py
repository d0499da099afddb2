"""Questions to humans: a node stops at one, and is run again with its answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_runtime.claims import digest
from agent_runtime.errors import StateNotStorable


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


NOTHING: Final = object()
"""No answer; None is one."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a thread's turn, with the answer to a question of that id."""

    value: Any = NOTHING
    question: str | None = None


class Answers:
    """What was answered so far in the node that runs."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self._asked = 0

    def to(self, payload: Any, key: str | None) -> Any:
        """The answer. :raises Interrupt: when there is none yet."""
        self._asked += 1
        # With what it says: an answer is for what its human has seen, and for nothing that comes
        # to stand in its place when the node runs again.
        key = f"{self._asked if key is None else key}:{_content(payload)}"
        if key not in self.given:
            raise Interrupt(key, payload)
        return self.given[key]


def _content(payload: Any) -> str:
    try:
        return digest([json.dumps(payload, default=repr)])
    except (TypeError, ValueError, RecursionError) as error:
        raise StateNotStorable(
            f"the payload of a question cannot be kept: {error}; use what JSON has"
        ) from error


def not_asked(thread: str, what: Resume) -> str:
    """Why an answer is none to what a thread asks, and the remedy."""
    if what.question is None:
        return (
            f"{thread}: name the question that the value answers; its id is told as `question` "
            "where it is asked"
        )
    if what.value is NOTHING:
        return f"{thread}: question {what.question!r} is named, but no value answers it"
    return f"{thread} does not ask {what.question!r}, or no longer; look at what it asks now"


def interrupt_in(error: BaseException) -> Interrupt | None:
    """The question that ended a node, also from among tasks that it ran side by side."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(interrupt_in, error.exceptions)), None)
    return error if isinstance(error, Interrupt) else None
