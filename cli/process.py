"""One process of the sidecar: `python -m cli.process receiver|writer|reader`.

Started by `cli.supervise`, which says what it must print and how it is told to end. stdout carries
that one line only: whatever else prints there goes to stderr. Each role imports what it needs and
no more: what a process has imported it holds in memory for ever.
"""

import asyncio
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

if __name__ == "__main__":
    # structlog loads rich where it is installed, to draw tracebacks; here they are JSON. pyarrow
    # looks for dateutil wherever it meets a Python value, and long where it is not installed; it
    # loads numpy, which only the writer works with and which takes 10 MB.
    of_others = () if sys.argv[1:] == ["writer"] else ("numpy",)
    for unwanted in ("rich", "dateutil", "dateutil.relativedelta", *of_others):
        sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type] # None forbids the import

import structlog

from cli.addresses import Address
from cli.failure import Failure
from cli.lock import sole
from cli.supervise import SETTINGS_VARIABLE
from ingest import log_json

LOCK_PATIENCE_SECONDS = 30.0
"""A predecessor whose supervisor died may still be draining."""

log = structlog.get_logger()

Say = Callable[[Mapping[str, str]], None]
Told = Mapping[str, Any]
"""The settings that concern the role, by their names in `cli.config`."""


def main() -> None:
    """Run the role named on the command line until told to stop."""
    announcements = _take_stdout()
    role = sys.argv[1]
    log_json(role)
    stop = _stop_event()
    told = json.loads(os.environ.pop(SETTINGS_VARIABLE))

    def say_ready(endpoints: Mapping[str, str]) -> None:
        print(json.dumps({"ready": endpoints}), file=announcements, flush=True)

    try:
        ROLES[role](told, say_ready, stop)
    except (Failure, OSError) as error:
        failure = error if isinstance(error, Failure) else _explained(error)
        print(json.dumps({"failed": str(failure)}), file=announcements, flush=True)
        sys.exit(failure.exit_code)


def receive(told: Told, say_ready: Say, stop: threading.Event) -> None:
    """OTLP in, journal out."""
    import uvloop

    from ingest import DirectoryInUse, Endpoints, ReceiverSettings, serve_receiver

    http, grpc = Address.parse(told["otlp_http"]), Address.parse(told["otlp_grpc"])
    settings = ReceiverSettings(
        data=Path(told["data"]),
        http_host=http.host,
        http_port=http.port,
        grpc_host=grpc.host,
        grpc_port=grpc.port,
        journal_budget_bytes=told["journal_budget"],
        min_free_bytes=told["min_free"],
    )

    def ready(endpoints: Endpoints) -> None:
        say_ready({"otlp_http": endpoints.otlp_http, "otlp_grpc": endpoints.otlp_grpc})

    async def serve() -> None:
        drain = asyncio.Event()
        loop = asyncio.get_running_loop()

        def pass_on() -> None:
            stop.wait()
            loop.call_soon_threadsafe(drain.set)

        threading.Thread(target=pass_on, daemon=True).start()
        await serve_receiver(settings, ready, drain)

    try:
        uvloop.run(serve())
    except DirectoryInUse as error:
        raise Failure(str(error)) from error


def write(told: Told, say_ready: Say, stop: threading.Event) -> None:
    """Journal in, Parquet out; what is left in the journal is written before it ends."""
    from ingest import WriterError, WriterSettings, run_writer
    from lake.mapping_file import with_own

    data = Path(told["data"])
    with sole(data, "writer", LOCK_PATIENCE_SECONDS):
        say_ready({})
        settings = WriterSettings(
            data=data,
            retention_days=told["retention_days"],
            tenant_retention_days=told["tenant_retention_days"],
            keep_content_for=told["privacy"]["keep_content_for"],
            mapping=with_own(told["mapping"], told["kinds"]),
        )
        try:
            run_writer(settings, stop)
        except WriterError as error:
            raise Failure(str(error)) from error


def read(told: Told, say_ready: Say, stop: threading.Event) -> None:
    """Parquet in; dashboard and alerts out."""
    from cli.config import Config
    from cli.reader import serve_reader

    config = Config(**told)
    with sole(config.data, "reader", LOCK_PATIENCE_SECONDS):
        serve_reader(config, say_ready, stop)


ROLES: Mapping[str, Callable[[Told, Say, threading.Event], None]] = {
    "receiver": receive,
    "writer": write,
    "reader": read,
}


def _explained(error: OSError) -> Failure:
    """What the system refused, and what to do where that is known."""
    if error.filename is None:
        return Failure(str(error))
    what = f"{error.filename}: {error.strerror}"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Failure(f"{what}; choose a directory that can be written with --data", 2)
    return Failure(what)


def _take_stdout() -> TextIO:
    """The real stdout, which from here on nothing else can print to."""
    sys.stdout.flush()
    announcements = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return announcements


def _stop_event() -> threading.Event:
    """Set on SIGTERM and when stdin ends.

    The signal is taken by a thread: a handler would run inside whatever the main thread does,
    perhaps while that holds the event's own lock. Call it first: threads inherit that the signal
    is blocked, and in one that libraries started before, it would end the process.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def on_signal() -> None:
        signal.sigwait({signal.SIGTERM})
        stop.set()

    def on_end_of_stdin() -> None:
        while os.read(0, 4096):
            pass
        log.warning("process.orphaned")
        stop.set()

    for watch in (on_signal, on_end_of_stdin):
        threading.Thread(target=watch, daemon=True).start()
    return stop


if __name__ == "__main__":
    main()
