"""How long is waited before a call is made again, without waiting."""

import asyncio
import random
import threading
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime import retry
from agent_runtime.errors import ProviderRefused
from agent_runtime.retry import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, retrying


def waits(attempts: int, retry_after_s: float | None = None) -> list[float]:
    """What a call waits, try by try, of a provider that stays down."""
    slept: list[float] = []
    here, really_sleep = threading.get_ident(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if threading.get_ident() == here:
            slept.append(seconds)
        else:  # a server of other tests, in a thread of its own
            await really_sleep(seconds)

    async def call() -> None:
        async for each in retrying(attempts=attempts, budget_s=1e6, may_retry=lambda: True):
            with each:
                raise ProviderRefused("down", status=503, code=None, retry_after_s=retry_after_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        with pytest.raises(ProviderRefused):
            asyncio.run(call())
    return slept


def drawing(patch: pytest.MonkeyPatch, share: float) -> list[tuple[float, float]]:
    """Have each draw be a share of its range; gives the ranges that were drawn from."""
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return low + share * (high - low)

    patch.setattr(retry, "random", SimpleNamespace(uniform=uniform))
    return ranges


@given(st.floats(0, 1), st.sampled_from([None, 0.0, 20.0]))
def test_ceilings_double_up_to_the_longest(share: float, asked_for: float | None) -> None:
    """Each wait is drawn from nothing to twice as much as the one before, whatever was drawn and
    asked for; what the provider asked for comes on top."""
    with pytest.MonkeyPatch.context() as patch:
        ranges = drawing(patch, share)
        waited = waits(10, asked_for)
    assert {low for low, _ in ranges} == {0}
    ceilings = [high for _, high in ranges]
    assert ceilings[0] == FIRST_BACKOFF_S
    assert ceilings[-1] == LONGEST_BACKOFF_S
    for ceiling, following in pairwise(ceilings):
        assert following == min(2 * ceiling, LONGEST_BACKOFF_S)
    # Behind the last try a wait is drawn, too, and not begun.
    assert waited == pytest.approx([share * high + (asked_for or 0.0) for high in ceilings[:9]])


def test_waits_are_anywhere_below_their_ceiling() -> None:
    """Many callers that failed together do not come back together: each quarter of the time gets
    its quarter of them, at every try."""
    callers, ceilings = 400, (0.25, 0.5, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "random", random.Random(5))
        drawn = [waits(len(ceilings) + 1) for _ in range(callers)]
    for ceiling, of_this_try in zip(ceilings, zip(*drawn, strict=True), strict=True):
        quarters = Counter(int(4 * wait / ceiling) for wait in of_this_try)
        assert quarters.keys() == {0, 1, 2, 3}
        assert min(quarters.values()) > callers / 4 * 0.7
