"""Drains runtimes on SIGTERM and SIGINT before the server hears of it."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, MethodType
from typing import Any

import uvicorn

from agent_runtime.outlet import give_stdout_up
from agent_runtime.runtime import Runtime

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEATED_S = 1.0
"""What a supervisor sends its workers behind what they got themselves: a terminal, or systemd,
signals all processes of a group. uvicorn's takes up to half a second."""
LAST_WORDS_S = 0.7
"""What a second signal leaves for the summaries and the clients of runs it cuts."""
END_S = 7.5
"""From the last moment of runs to the end of the process, whatever holds it up."""
CLOSING_S = 2.5
"""Of it, for the store and the telemetry."""
CLIENTS_S = 3
"""Of it, for clients who still read the end of their streams."""
TELLING_S = 0.2
"""For stderr to be told which lines are lost, were it in vain."""


@contextmanager
def drained_by_signals(runtimes: Sequence[Runtime], delay_s: float) -> Iterator[None]:
    """While in the context, a first signal drains and then goes to the server's own handler.

    A second one cuts the runs and ends the process, whatever it is doing; and so does END_S, unless
    the context is left before. What a worker of uvicorn's or gunicorn's gets within REPEATED_S is
    the first one again. A server would close its listener first, and cancel streams before their
    last words. Off the main thread, where Python takes no signal handlers, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    of_server: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    draining: list[asyncio.Task[None]] = []
    grace_s = max([delay_s, *(each.drain_s for each in runtimes)]) + END_S
    repeated_s = REPEATED_S if _has_supervisor() else 0.0
    first, signals = 0.0, 0
    ends: list[threading.Timer] = []

    def give_back() -> None:
        for number, handler in of_server.items():
            signal.signal(number, handler)

    def stop_server(number: int) -> None:
        if not callable(handler := of_server[number]):
            give_back()
            signal.raise_signal(number)
            return
        if (server := _uvicorn_of(handler)) is not None:
            if server.should_exit:
                # Told twice, it would leave this context out, and with it who counts lost lines.
                return
            _hurry(server.config, first + grace_s - CLOSING_S - time.monotonic())
        handler(number, None)

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
        nonlocal first, signals
        now = time.monotonic()
        if signals == 0:
            first = now
        elif now - first < repeated_s:
            return
        signals += 1
        if signals <= 2:
            # Not on the loop, which a node may hold up.
            end = threading.Timer(grace_s if signals == 1 else LAST_WORDS_S, _end, (128 + number,))
            end.daemon = True
            end.start()
            ends.append(end)
        loop.call_soon_threadsafe(on_loop, number)

    for number in SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        give_back()
        for end in ends:
            end.cancel()
        if signals:
            give_stdout_up()  # uvicorn raises the signal again, and that is the end


def _end(code: int) -> None:
    telling = threading.Thread(target=give_stdout_up, daemon=True)
    telling.start()
    telling.join(TELLING_S)
    os._exit(code)


def _has_supervisor() -> bool:
    by_gunicorn = "gunicorn" in os.environ.get("SERVER_SOFTWARE", "")
    return by_gunicorn or multiprocessing.parent_process() is not None


def _uvicorn_of(handler: Callable[..., Any]) -> uvicorn.Server | None:
    of = handler.__self__ if isinstance(handler, MethodType) else None
    return of if isinstance(of, uvicorn.Server) else None


def _hurry(config: uvicorn.Config, seconds: float) -> None:
    """Have uvicorn wait no longer for clients, of whom one that reads nothing never goes."""
    configured = config.timeout_graceful_shutdown
    patience = CLIENTS_S if configured is None else configured
    config.timeout_graceful_shutdown = max(0, min(patience, int(seconds)))
