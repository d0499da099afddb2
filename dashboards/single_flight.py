"""One evaluation at a time per question, shared by everyone who asks it meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class SingleFlight(Generic[Question, Answer]):
    """Answers of ``load``, each kept for ``keep_s`` seconds after it came.

    Whoever asks while the same question is under way waits for that one answer; a waiter who
    gives up does not end it for the others. A failure reaches all who wait and is not kept.
    """

    def __init__(
        self, load: Callable[[Question], Coroutine[Any, Any, Answer]], *, keep_s: float
    ) -> None:
        self._load = load
        self._keep_s = keep_s
        self._flights: dict[Question, asyncio.Task[Answer]] = {}

    async def get(self, question: Question) -> Answer:
        """The answer, or what ``load`` raises."""
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = asyncio.create_task(self._load(question))
            flight.add_done_callback(lambda landed: self._land(question, landed))
        return await asyncio.shield(flight)

    def _land(self, question: Question, flight: asyncio.Task[Answer]) -> None:
        if flight.cancelled() or flight.exception() is not None:
            del self._flights[question]
        else:
            asyncio.get_running_loop().call_later(self._keep_s, self._flights.pop, question)
