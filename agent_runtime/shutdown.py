"""Drains runtimes on SIGTERM and SIGINT before the server hears of it."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from agent_runtime.runtime import Runtime

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LAST_WORDS_S = 0.7
"""What a second signal leaves for the summaries and the clients of runs it cuts."""


@contextmanager
def drained_by_signals(runtimes: Sequence[Runtime], delay_s: float) -> Iterator[None]:
    """While in the context, a first signal drains and then goes to the server's own handler.

    A second one cuts the runs and ends the process, whatever it is doing. A server would close its
    listener first, and cancel streams before their last words. Off the main thread, where Python
    takes no signal handlers, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    of_server: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    draining: list[asyncio.Task[None]] = []
    signals = 0

    def give_back() -> None:
        for number, handler in of_server.items():
            signal.signal(number, handler)

    def stop_server(number: int) -> None:
        if callable(handler := of_server[number]):
            handler(number, None)
        else:
            give_back()
            signal.raise_signal(number)

    async def drain(number: int) -> None:
        await asyncio.gather(asyncio.sleep(delay_s), *(each.drain() for each in runtimes))
        stop_server(number)

    def on_loop(number: int) -> None:
        if not draining:
            draining.append(loop.create_task(drain(number)))
            return
        draining[0].cancel()
        for runtime in runtimes:
            runtime.cut()
        stop_server(number)

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals == 2:
            # Not on the loop, which a node may hold up.
            end = threading.Timer(LAST_WORDS_S, os._exit, (128 + number,))
            end.daemon = True
            end.start()
        loop.call_soon_threadsafe(on_loop, number)

    for number in SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        give_back()
