"""Starts the sidecar's processes for every test that needs them: the whole, or one by one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.config import Config
from cli.supervise import SETTINGS_VARIABLE
from tests.ports import free_port

COMMAND = (sys.executable, "-m", "cli")
# Processes keep what they compiled: the tests start hundreds, and compiling takes each up to 3 s.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("QUIETPAGER_") and name != "PYTHONDONTWRITEBYTECODE"
} | {"NO_COLOR": "1"}
IN_ORDER_OF_DRAINING = ("receiver", "writer")


@dataclass
class Sidecar:
    """`quietpager up`, and what it printed when it was ready."""

    process: subprocess.Popen[str]
    data: Path
    printed: list[str]
    log: Path

    @property
    def endpoints(self) -> Mapping[str, str]:
        return dict(re.split(r"\s{2,}", line) for line in self.printed)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def start_sidecar(data: Path, *options: str, cwd: Path | None = None) -> Sidecar:
    """Start `quietpager up` on free ports and wait until it is ready."""
    log = data.parent / f"{data.name}.log"
    ports = ("otlp-http", "otlp-grpc", "dashboard")
    anywhere = [part for port in ports for part in (f"--{port}", "127.0.0.1:0")]
    with log.open("a") as stderr:
        process = subprocess.Popen(
            (*COMMAND, "up", "--data", str(data), *anywhere, *options),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=ENVIRONMENT,
            cwd=cwd,
        )
    assert process.stdout is not None
    printed = [process.stdout.readline().rstrip("\n") for _ in ports]
    assert printed[-1], log.read_text()
    return Sidecar(process, data, printed, log)


def log_lines(sidecar: Sidecar, event: str) -> list[dict[str, str]]:
    """What the supervisor logged of an event."""
    lines = map(json.loads, sidecar.log.read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def children(sidecar: Sidecar) -> dict[str, int]:
    """Process ids by role: the latest start of each."""
    return {line["role"]: int(line["pid"]) for line in log_lines(sidecar, "process.ready")}


def until_gone(pid: int) -> None:
    """Wait for the end of a process that is not ours to wait for."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}/stat").exists():
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


class Processes:
    """Receiver and writer over one data directory, as `quietpager up` starts them.

    Each is started, killed and drained when the test says so, and nothing restarts it. The ports
    stay the same over restarts. `inside` is a command that runs them elsewhere, such as nsenter;
    it must become what it runs.
    """

    def __init__(
        self, data: Path, log: Path, *, inside: Sequence[str] = (), **settings: Any
    ) -> None:
        http_port, grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http_port}"
        self.grpc = f"127.0.0.1:{grpc_port}"
        self.log = log
        self._inside = inside
        config = Config(
            data=data, otlp_http=f"127.0.0.1:{http_port}", otlp_grpc=self.grpc, **settings
        )
        self._settings = config.model_dump_json(exclude={"alerts", "webhooks", "prices", "slo"})
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._starting: set[str] = set()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *roles: str) -> None:
        """Start the roles, both when none is named, without waiting for them."""
        for role in roles or IN_ORDER_OF_DRAINING:
            self._running[role] = self._spawn(role)
            self._starting.add(role)

    def said(self, role: str) -> dict[str, object]:
        """The one line that the process says of itself when it is ready, or why it cannot be."""
        self._starting.remove(role)
        line = self._running[role].stdout.readline()
        assert line, f"{role} ended with {self._running[role].wait()}: {self.log.read_text()}"
        return json.loads(line)

    def start_and_wait(self, *roles: str) -> None:
        """Start the roles and return once each said that it works."""
        self.start(*roles)
        self.wait_until_ready(*roles)

    def wait_until_ready(self, *roles: str) -> None:
        """Return once the roles, all when none is named, said that they work."""
        for role in self._starting & set(roles or self._running):
            said = self.said(role)
            assert "ready" in said, said

    def pid(self, role: str) -> int:
        """The process id of a running role."""
        return self._running[role].pid

    def kill(self, *roles: str) -> None:
        """SIGKILL the roles, all when none is named, as the out-of-memory killer would."""
        ended = [self._running.pop(role) for role in roles or tuple(self._running)]
        self._starting &= self._running.keys()
        for process in ended:
            process.kill()
        for process in ended:
            process.communicate()

    def stop(self) -> None:
        """Drain in order: the receiver closes its segments, then the writer empties the journal."""
        for role in IN_ORDER_OF_DRAINING:
            if role in self._running:
                code = self.end(role)
                assert code == 0, f"{role} ended with {code}: {self.log.read_text()[-2000:]}"

    def end(self, role: str) -> int:
        """Ask one role to drain; returns its exit code."""
        process = self._running.pop(role)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        return process.returncode

    def _spawn(self, role: str) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            return subprocess.Popen(
                [*self._inside, sys.executable, "-m", "cli.process", role],
                env=ENVIRONMENT | {SETTINGS_VARIABLE: self._settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
