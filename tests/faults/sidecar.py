"""Receiver and writer as the real processes of `quietpager up`, started one by one to be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

from cli.supervise import SETTINGS_VARIABLE


class Sidecar:
    """The processes over one data directory; the ports stay the same over restarts."""

    def __init__(self, data: Path, log: IO[str]) -> None:
        http_port, grpc_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{http_port}"
        self._log = log
        self._settings = {
            "data": str(data),
            "otlp_http": f"127.0.0.1:{http_port}",
            "otlp_grpc": f"127.0.0.1:{grpc_port}",
            "journal_budget": 2**32,
            "retention_days": 30,
            "tenant_retention_days": {},
        }
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Sidecar":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start both processes without waiting for them."""
        self._processes = [self._spawn("receiver"), self._spawn("writer")]

    def wait_until_ready(self) -> None:
        """Return once both said that they work."""
        for process in self._processes:
            line = process.stdout.readline()
            assert line, f"the process ended with {process.wait()} before it was ready"
            assert "ready" in json.loads(line), line

    def kill(self) -> None:
        """SIGKILL everything at once, as the kernel's out-of-memory killer would."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()
        self._processes = []

    def stop(self) -> None:
        """Drain in order: the receiver closes its segments, then the writer empties the journal."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0
        self._processes = []

    def _spawn(self, role: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.process", role],
            env=os.environ | {SETTINGS_VARIABLE: json.dumps(self._settings)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports
