"""Users who come when they come, not when the one before is served, in a process of their own.

A closed loop would ask less of a server that is slow, and so hide how slow it is.
"""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop

_ENDED = b"\r\n0\r\n\r\n"
"""The last bytes of a body that was not cut off."""
_KEPT = 64
"""More than the marks that are looked for have."""


@dataclass(frozen=True)
class Crowd:
    """Whom they ask: `path` with `body` and `headers`; each `%s` becomes the user's own name.

    They arrive at random, on average `per_second`, for so many seconds. A token is known by
    `token`, the end of an answer by `end`.
    """

    url: str
    path: str
    body: str
    token: bytes
    end: bytes
    per_second: float
    seconds: float
    seed: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """An answer as its user saw it, in seconds since 1970; what never came is None."""

    user: str
    asked_at: float
    first_token_at: float | None
    ended_at: float
    tokens: int
    whole: bool


def crowd(asked: Crowd) -> tuple[Sequence[Seen], float]:
    """Let them come, from another process, and wait until the last one is served.

    Gives what they saw, and the processor time that it took to be them, in seconds.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_arrive, asked).result()


def _arrive(asked: Crowd) -> tuple[Sequence[Seen], float]:
    before = time.process_time()
    return uvloop.run(_all(asked)), time.process_time() - before


async def _all(asked: Crowd) -> Sequence[Seen]:
    dice = random.Random(asked.seed)
    began, due, users = time.monotonic(), 0.0, []
    async with asyncio.TaskGroup() as group:
        while (due := due + dice.expovariate(asked.per_second)) < asked.seconds:
            # Whoever is late is sent at once: the others' times stay what they were.
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            users.append(group.create_task(_ask(asked, f"{asked.seed}-{len(users)}")))
    return [user.result() for user in users]


async def _ask(asked: Crowd, user: str) -> Seen:
    address = urlsplit(asked.url)
    body = asked.body.replace("%s", user).encode()
    headers = {"host": address.netloc, "connection": "close", "content-type": "application/json",
               "content-length": str(len(body)), **asked.headers}  # fmt: skip
    head = f"POST {address.path}{asked.path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    asked_at, first = time.time(), None
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"{head}\r\n".replace("%s", user).encode() + body)
    tokens, kept, ended = 0, b"", False
    while chunk := await reader.read(65536):
        # What ends in this chunk may have begun in the one before.
        seen = kept + chunk
        tokens += seen.count(asked.token) - kept.count(asked.token)
        if first is None and tokens:
            first = time.time()
        ended = ended or asked.end in seen
        kept = seen[-_KEPT:]
    writer.close()
    return Seen(user, asked_at, first, time.time(), tokens, ended and kept.endswith(_ENDED))
