"""Functions that block, each in a thread that keeps no process from ending.

The threads of the event loop's own pool are waited for when a process ends after SIGINT, and a few
that hang hold up everybody else who needs one.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``function`` returns or raises; when this is cancelled it goes on in vain."""
    loop, ended, outcome = asyncio.get_running_loop(), asyncio.Event(), Future[T]()
    context = copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is for the one who waits
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=work, name=f"aside {function!r:.60}", daemon=True).start()
    await ended.wait()
    return outcome.result()
