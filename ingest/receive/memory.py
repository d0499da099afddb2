"""How many bytes of requests the receiver holds at one time."""

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.receive.refusal import unavailable


class Memory:
    """The bytes of all requests from their first byte to their answer; belongs to one loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["Held"]:
        """Account for one request; what it held is free when the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            self.held -= held.bytes


class Held:
    """One request's part of the memory."""

    def __init__(self, memory: Memory) -> None:
        self.bytes = 0
        self._memory = memory

    def grow(self, count: int) -> None:
        """Account for `count` more bytes. Raises Refusal (come back later) over the limit."""
        if self._memory.held + count > self._memory.limit:
            raise unavailable(
                "overloaded",
                f"more than {self._memory.limit} bytes of requests are in flight; retry",
            )
        self._memory.held += count
        self.bytes += count
