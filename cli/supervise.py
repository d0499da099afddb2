"""Keeps the sidecar's processes running, and ends them in order.

A child says that it is ready in one JSON line on stdout,
``{"ready": {...}}``, or why it cannot be in ``{"failed": "..."}``; it drains on SIGTERM, and also
when its stdin ends, which happens when this process dies however it dies.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM

import structlog

from cli.failure import Failure

SETTINGS_VARIABLE = "QUIETPAGER_PROCESS"

THRIFTY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "DUCKDB_JE_MALLOC_CONF": "narenas:1,background_thread:true,dirty_decay_ms:50,muzzy_decay_ms:0",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
}
"""What is freed goes back to the system: batches come and go, and their peaks would stay."""

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0

log = structlog.get_logger()

Ready = Mapping[str, str]


@dataclass
class Child:
    """One process of the sidecar."""

    role: str
    command: Sequence[str]
    settings: str
    """What it is told, as JSON; it finds it in the environment as QUIETPAGER_PROCESS."""
    drain_seconds: float
    """How long it may take to drain; killed after that. What was acknowledged stays on disk."""
    stderr: int | None = None
    """File descriptor its log goes to; this process's stderr when None."""
    process: asyncio.subprocess.Process | None = field(default=None, init=False)


async def supervise(
    children: Sequence[Child],
    on_ready: Callable[[Mapping[str, Ready]], None],
    stop: asyncio.Event,
) -> bool:
    """Run ``children`` until ``stop`` is set, then drain them one after another.

    ``on_ready`` gets what each child said once all are ready. A child that ends by itself is
    started again, after a pause that doubles from 0.5 s to 30 s while it keeps failing.
    Returns whether every child drained in time and left nothing undone.
    :raises Failure: when a child cannot start the first time; the others are drained first.
    """
    stopping = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_run(children, on_ready))
    try:
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
    finally:
        for task in (stopping, running):
            task.cancel()
        await asyncio.gather(stopping, running, return_exceptions=True)
        drained = [await _drain(child) for child in children]
    return all(drained)


def kill(children: Sequence[Child]) -> None:
    """End ``children`` at once. Nothing acknowledged is lost: it is in the journal."""
    for child in children:
        _signal(child, SIGKILL)


async def _run(children: Sequence[Child], on_ready: Callable[[Mapping[str, Ready]], None]) -> None:
    """Start every child, then keep them running until cancelled."""
    starting = [asyncio.create_task(_start(child)) for child in children]
    try:
        said = await asyncio.gather(*starting)
    finally:
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
    on_ready({child.role: ready for child, ready in zip(children, said, strict=True)})
    async with asyncio.TaskGroup() as keeping:
        for child in children:
            keeping.create_task(_keep(child))


async def _start(child: Child) -> Ready:
    """Start ``child`` and return what it says when it is ready."""
    child.process = process = await asyncio.create_subprocess_exec(
        *child.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=child.stderr,
        env={**THRIFTY, **os.environ, SETTINGS_VARIABLE: child.settings},
        # Ctrl-C reaches a terminal's whole process group; the order of draining is ours to keep.
        process_group=0,
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    line = await process.stdout.readline()
    said = json.loads(line) if line else {}
    if "ready" in said:
        log.info("process.ready", role=child.role, pid=process.pid)
        ready: Ready = said["ready"]
        return ready
    code = await process.wait()
    why = said.get("failed") or f"{child.role} ended with {_ending(code)} before it was ready"
    raise Failure(why, max(code, 1))


async def _keep(child: Child) -> None:
    """Start ``child`` again whenever it ends."""
    clock = asyncio.get_running_loop().time
    backoff = FIRST_BACKOFF_SECONDS
    while True:
        started = clock()
        if child.process is not None:
            why = _ending(await child.process.wait())
        if clock() - started > HEALTHY_AFTER_SECONDS:
            backoff = FIRST_BACKOFF_SECONDS
        log.error("process.ended", role=child.role, ending=why, restart_in_s=backoff)
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        try:
            await _start(child)
        except Failure as failure:
            why = str(failure)
            child.process = None


async def _drain(child: Child) -> bool:
    """Ask ``child`` to drain and wait for it; kill it when that takes too long."""
    if child.process is None or child.process.returncode is not None:
        return True
    log.info("process.draining", role=child.role)
    _signal(child, SIGTERM)
    try:
        await asyncio.wait_for(child.process.wait(), child.drain_seconds)
    except TimeoutError:
        log.exception("process.killed", role=child.role, after_s=child.drain_seconds)
        _signal(child, SIGKILL)
        await child.process.wait()
        return False
    log.info("process.stopped", role=child.role, ending=_ending(child.process.returncode or 0))
    # One that was told before it listened had not begun.
    return child.process.returncode in {0, -SIGTERM}


def _signal(child: Child, number: int) -> None:
    if child.process is not None and child.process.returncode is None:
        try:
            child.process.send_signal(number)
        except ProcessLookupError:
            log.debug("process.gone", role=child.role)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
