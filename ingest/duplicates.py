"""For how long a batch is known as accepted, whatever the system's clock does meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path

from ingest.segments import load_digests

DUPLICATE_WINDOW_SECONDS = 2 * 60 * 60.0


def steady_clock() -> Callable[[], float]:
    """Unix time as it is now, going on evenly whatever the system's clock is set to."""
    ahead = time.time() - time.monotonic()
    return lambda: time.monotonic() + ahead


def accepted_before(directory: Path, now: float) -> dict[bytes, float]:
    """Digest -> when it was accepted, as if the newest had been accepted just now, oldest first.

    Senders keep their batches while the receiver is down, and the clock may have been set: the
    window is two hours in which somebody could have accepted something.
    """
    accepted = load_digests(directory, float("-inf"))
    ahead = now - max(accepted.values(), default=now)
    horizon = now - ahead - DUPLICATE_WINDOW_SECONDS
    return {digest: at + ahead for digest, at in accepted.items() if at > horizon}
