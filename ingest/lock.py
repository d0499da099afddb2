"""One process per task and data directory, and whether that process still runs.

Who holds a lock for longer touches its file now and then: a process that was stopped, or hangs on
a disk that does not answer, holds its lock as well as any other.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

KEEPER = "keeper"
"""The task of whoever changes what is in the lake."""

APPENDER = "appender"
"""The task of whoever appends to the lake, or must not be disturbed by that."""

APPENDER_PATIENCE_SECONDS = 120.0

_POLL_SECONDS = 0.05
_PULSE_SECONDS = 5.0


class DirectoryInUse(Exception):  # noqa: N818 - it names what is the case
    """Another process does the task on the data directory."""


@contextmanager
def sole(data: Path, task: str, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold `data`/state/`task`.lock, waiting a little for a holder that is just going down.

    Raises DirectoryInUse when another process holds it, OSError when the directory cannot be
    written. The kernel frees the lock when the process ends, however it ends.
    """
    path = data / "state" / f"{task}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        deadline = time.monotonic() + patience_seconds
        while not locked(handle):
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                raise DirectoryInUse(
                    f"{data} is in use by the {task} with process id {holder}; "
                    "stop it, or choose another directory"
                )
            time.sleep(_POLL_SECONDS)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        if task == APPENDER:  # held for a moment, many times a minute
            yield
        else:
            with _pulse(handle):
                yield
    finally:
        os.close(handle)


@contextmanager
def _pulse(handle: int) -> Iterator[None]:
    """Touch the file every few seconds, from a thread: what the holder does may take long."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_PULSE_SECONDS):
            with suppress(OSError):  # a disk that refuses is found by whoever has work on it
                os.utime(handle)

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def locked(handle: int) -> bool:
    """Take the lock of an open file, which closing it gives back; whether nobody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class Holder:
    """The process that does a task, and for how long it has given no sign of life."""

    pid: int
    silent_seconds: float


def holder(data: Path, task: str) -> Holder | None:
    """Who does the task on `data` now, without disturbing it; None if nobody does."""
    try:
        handle = os.open(data / "state" / f"{task}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = int(os.pread(handle, 32, 0).decode(errors="replace").strip() or 0)
        return Holder(pid, max(0.0, time.time() - os.fstat(handle).st_mtime))
    finally:
        os.close(handle)
    return None
