"""How many bytes of requests the receiver holds at one time."""

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.receive.refusal import unavailable

SMALL_BYTES = 1024 * 1024


class Memory:
    """The bytes of all requests from their first byte to their answer; belongs to one loop.

    `for_small` bytes of the `limit` are kept for requests of up to 1 MiB: a few huge ones that
    never end must not keep everybody else out.
    """

    def __init__(self, limit: int, for_small: int = 0) -> None:
        self.limit = limit
        self.for_small = for_small
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["Held"]:
        """Account for one request; what it held is free when the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            held.release()


class Held:
    """One request's part of the memory."""

    def __init__(self, memory: Memory) -> None:
        self.bytes = 0
        self._memory = memory

    def grow(self, count: int) -> None:
        """Account for `count` more bytes. Raises Refusal (come back later) over the limit."""
        small = self.bytes + count <= SMALL_BYTES
        limit = self._memory.limit - (0 if small else self._memory.for_small)
        if self._memory.held + count > limit:
            raise unavailable(
                "overloaded",
                f"more than {limit} bytes of requests are in flight; retry",
            )
        self._memory.held += count
        self.bytes += count

    def release(self) -> None:
        """Hold nothing any more."""
        self._memory.held -= self.bytes
        self.bytes = 0
