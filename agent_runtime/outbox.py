"""Events on their way to a client, who may read slower than a model writes."""

import asyncio
from typing import Final

from agent_runtime.events import Event

ROOM = 256
"""Events that may wait; models are read no further until half of them are gone."""

KEEPALIVE: Final = Event("keepalive", {})


class Outbox:
    """A queue whose writers are never blocked; those who write a lot wait for ``room``."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def put(self, event: Event | None) -> None:
        """Add an event; None is the end."""
        self._events.put_nowait(event)
        if self._events.qsize() >= ROOM:
            self._roomy.clear()

    async def room(self) -> None:
        """Wait until the client has read enough."""
        await self._roomy.wait()

    async def get(self, patience_s: float | None = None) -> Event | None:
        """The next event; `KEEPALIVE` when there is none for that long."""
        try:
            async with asyncio.timeout(patience_s):
                event = await self._events.get()
        except TimeoutError:
            return KEEPALIVE
        if self._events.qsize() <= ROOM // 2:
            self._roomy.set()
        return event
