"""Events on their way to a client, who may read slower than a model writes."""

import asyncio
import time
from typing import Final

from agent_runtime.events import Event

ROOM = 256
"""Events that may wait; models are read no further until they are taken."""

KEEPALIVE: Final = Event("keepalive", {})


class Outbox:
    """A queue whose writers are never blocked; those who write a lot wait for ``room``."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self.ended = False
        """Nothing more is to come."""
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._put_at = time.monotonic()
        self._silence: asyncio.TimerHandle | None = None

    def put(self, event: Event) -> None:
        """Add an event."""
        self._put_at = time.monotonic()
        self._events.append(event)
        self._filled.set()
        if len(self._events) >= ROOM:
            self._roomy.clear()

    def end(self) -> None:
        """Nothing more comes."""
        self.ended = True
        if self._silence is not None:
            self._silence.cancel()
        self._filled.set()

    def clear(self) -> None:
        """Let go of what nobody will read; the run itself may stay until garbage is collected."""
        self._events.clear()

    def break_silence(self, after_s: float) -> None:
        """From now on add a `KEEPALIVE` whenever nothing came for that long."""
        if self.ended:
            return
        # One timer for the whole stream, which looks how long it has been silent.
        left = self._put_at + after_s - time.monotonic()
        if left <= 0:
            self.put(KEEPALIVE)
            left = after_s
        self._silence = asyncio.get_running_loop().call_later(left, self.break_silence, after_s)

    async def room(self) -> None:
        """Wait until the client has read enough."""
        await self._roomy.wait()

    async def take(self) -> list[Event]:
        """All that wait, once there are any; none at the end."""
        await self._filled.wait()
        taken, self._events = self._events, []
        self._roomy.set()
        if not self.ended:
            self._filled.clear()
        return taken
