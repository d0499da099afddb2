"""The one retry layer: whether, when and how often a failed call of a provider is made again."""

import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import stamina

from agent_runtime.errors import ProviderError

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 8.0


class Pauses:
    """Waits of one run for its next attempts; a shutdown does not sit them out."""

    def __init__(self) -> None:
        self._under_way = 0
        self._cut: Callable[[], None] | None = None

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Around a wait."""
        if self._cut is not None:
            self._cut()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def cut_short(self, cut: Callable[[], None]) -> None:
        """From now on a wait is a reason to ``cut`` the run."""
        self._cut = cut
        if self._under_way:
            cut()


def retrying(
    *, attempts: int, budget_s: float, may_retry: Callable[[], bool]
) -> AsyncIterator[stamina.Attempt]:
    """Attempts of one call: at most ``attempts``, none begun after ``budget_s``.

    Waits between them are exponential with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), on top of what the
    provider asked for by Retry-After. A wait that would outlast the budget is not begun.
    """
    began = time.monotonic()
    failures = 0

    def backoff(error: Exception) -> bool | float:
        # stamina asks about CancelledError, too; only errors of providers are ever retried.
        nonlocal failures
        if not isinstance(error, ProviderError) or not error.retryable or not may_retry():
            return False
        ceiling = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**failures)
        failures += 1
        wait = random.uniform(0, ceiling) + (error.retry_after_s or 0.0)  # noqa: S311 - jitter
        return wait if time.monotonic() - began + wait < budget_s else False

    return aiter(stamina.retry_context(on=backoff, attempts=attempts, timeout=budget_s))


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait that a response asks for, in any of the three forms in use; None if none.

    ``retry-after-ms`` (milliseconds), ``retry-after`` in seconds or as an HTTP date (RFC 9110
    section 10.2.3). What cannot be understood counts as not there.
    """
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        if (value := headers.get("retry-after")) is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None
