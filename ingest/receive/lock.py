"""One receiver per data directory."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_POLL_SECONDS = 0.05


class ReceiverRunning(Exception):  # noqa: N818 - it names what is the case
    """Another receiver holds the data directory."""


@asynccontextmanager
async def sole_receiver(data: Path, patience_seconds: float) -> AsyncIterator[None]:
    """Hold `data`/state/receiver.lock, waiting a little for a receiver that is just going down.

    Raises ReceiverRunning. The kernel frees the lock when the process ends, however it ends.
    """
    path = data / "state" / "receiver.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        await _lock(fd, path, patience_seconds)
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(fd)


async def _lock(fd: int, path: Path, patience_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() > deadline:
                holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
                raise ReceiverRunning(
                    f"{path}: the receiver with process id {holder or 'unknown'} uses this data "
                    "directory; stop it or choose another directory"
                ) from None
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return
