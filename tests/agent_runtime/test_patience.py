"""A deadline that moves with each token, and the timer behind it."""

import asyncio
import time

import pytest

from agent_runtime.patience import Patience


def test_it_lasts_as_long_as_it_is_prolonged() -> None:
    """Many short waits, together longer than each may be, are none too long; silence is."""

    async def wait() -> float:
        async with Patience(0.2) as patience:
            for _ in range(6):
                await asyncio.sleep(0.1)
                patience.last(0.2)
            began = time.monotonic()
            try:
                await asyncio.sleep(10)
            finally:
                waited = time.monotonic() - began
                assert 0.15 < waited < 5
        return waited

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_it_may_end_earlier_than_it_was_to() -> None:
    """A shorter deadline counts at once, and none at all is never over."""

    async def wait() -> None:
        async with Patience(60) as patience:
            patience.last()
            patience.last(0.05)
            await asyncio.sleep(10)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    assert time.monotonic() - began < 5

    async def unlimited() -> str:
        async with Patience(0.05) as patience:
            patience.last()
            await asyncio.sleep(0.2)
        return "done"

    assert asyncio.run(unlimited()) == "done"


def test_who_is_cancelled_by_others_stays_so() -> None:
    """Even when the deadline passes at the same moment, it is no timeout but a cancellation."""

    async def wait() -> None:
        async with Patience(0.05):
            await asyncio.sleep(10)

    async def cut() -> bool:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        time.sleep(0.1)  # noqa: ASYNC251 - both are due when the loop goes on
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(cut())
