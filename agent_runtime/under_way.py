"""Work that is finished once it was begun, whoever stops waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class UnderWay:
    """What a runtime has under way beyond its runs."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, which goes on when this is cancelled."""
        return await asyncio.shield(self.begin(work))

    async def obtain(
        self, work: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[None]]
    ) -> T:
        """As `finish`; what it gets behind the back of one who was cancelled is given back."""
        task = self.begin(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:

            async def undo() -> None:
                await give_back(await task)

            self.begin(undo())
            raise

    async def settle(self, timeout_s: float) -> None:
        """Return when everything is finished; what is not in time is cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """``work`` as a task of which nobody need hear."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be there any more to hear of it


def succeeded(task: asyncio.Task[Any]) -> bool:
    """Whether it has ended, with a result."""
    return task.done() and not task.cancelled() and task.exception() is None
