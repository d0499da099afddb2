"""How long to wait for each of many things in a row, at the price of one timer."""

import asyncio
import math
from types import TracebackType
from typing import Self


class Patience:
    """As `asyncio.timeout`, but moving its deadline is no more than noting it.

    A stream moves it with each token; its timer looks, when it fires, where the deadline is now.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = math.inf
        self._over = False

    def last(self, seconds: float = math.inf) -> None:
        """Last for so long from now, whatever it was before; without end by default."""
        self._until = self._loop.time() + seconds
        if self._until < self._looks_at:
            self._look_at(self._until)

    def _look_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at = when
        self._timer = self._loop.call_at(when, self._look) if when < math.inf else None

    def _look(self) -> None:
        if self._until <= self._looks_at:
            self._over = True
            self._task.cancel()
        else:
            self._look_at(self._until)

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be patient")
        self._task = task
        self._cancelled_before = task.cancelling()
        self._look_at(self._until)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """:raises TimeoutError: when it was over, and nobody else cancelled the task as well."""
        self._look_at(math.inf)
        ours = self._over and self._task.uncancel() <= self._cancelled_before
        if ours and kind is asyncio.CancelledError:
            raise TimeoutError from error
