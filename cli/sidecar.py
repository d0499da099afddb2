"""The supervisor of the sidecar: `quietpager up` becomes it once it knows what to run.

It lives as long as the sidecar does and only waits, so it must not hold what reading options and
configuration took. It imports neither typer nor pydantic.
"""

import sys

if __name__ == "__main__":
    # structlog loads rich where it is installed, to draw tracebacks; here they are JSON. asyncio
    # loads ssl where it is there; the supervisor only talks to its children.
    for unwanted in ("rich", "ssl"):
        sys.modules.setdefault(unwanted, None)  # type: ignore[arg-type] # None forbids the import

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from cli.failure import Failure
from cli.lock import sole
from cli.supervise import SETTINGS_VARIABLE, Child, Ready, kill, supervise
from ingest import log_json

ENDPOINTS = Path("state", "endpoints.json")
TITLES = {"otlp_http": "OTLP/HTTP", "otlp_grpc": "OTLP/gRPC", "dashboard": "Dashboard"}

# In the order in which they drain: what one has written the next can read.
DRAIN_SECONDS = {"receiver": 20, "writer": 60, "reader": 20}


def become(data: Path, settings: Mapping[str, str]) -> NoReturn:
    """Replace this process by the supervisor of `data`; `settings` are JSON, by role."""
    told = json.dumps({"data": str(data), "settings": dict(settings)})
    sys.stdout.flush()
    sys.stderr.flush()
    command = (sys.executable, "-m", "cli.sidecar")
    os.execve(sys.executable, command, {**os.environ, SETTINGS_VARIABLE: told})  # noqa: S606 - ourselves


def main() -> None:
    """Supervise until told to stop; exits 0 when every process drained in time."""
    told = json.loads(os.environ.pop(SETTINGS_VARIABLE))
    data = Path(told["data"])
    log_json("supervisor")
    try:
        with sole(data, "sidecar"):
            drained = asyncio.run(_supervise(data, told["settings"]))
    except Failure as failure:
        print(f"quietpager: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
    sys.exit(0 if drained else 1)


async def _supervise(data: Path, settings: Mapping[str, str]) -> bool:
    children = [
        Child(role, (sys.executable, "-m", "cli.process", role), settings[role], drain_seconds)
        for role, drain_seconds in DRAIN_SECONDS.items()
    ]
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            kill(children)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return await supervise(children, partial(_tell_endpoints, data), stop)


def _tell_endpoints(data: Path, ready: Mapping[str, Ready]) -> None:
    """Print them, and leave them where `quietpager doctor` finds them."""
    said = {name: url for endpoints in ready.values() for name, url in endpoints.items()}
    (data / ENDPOINTS).write_text(json.dumps(said))
    for name, title in TITLES.items():
        print(f"{title}  {said[name]}", flush=True)


if __name__ == "__main__":
    main()
