"""The same OTLP bytes to other receivers from PyPI, each in a virtual environment of its own."""

import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from environments import installed, versions
from otlp_bodies import RECORDS_PER_REQUEST
from sending import Load, send, sending
from sidecar import free_environment, wait_until_counted

SECONDS = 30.0
"""About how long a peer is kept busy."""
_START_SECONDS = 180.0
_WARM_UP_CONNECTIONS = 12
_BUSY_FOR = 0.6
_GROW_AT_MOST = 8
_MOST_REQUESTS = 2000


@dataclass(frozen=True)
class Place:
    """Where a peer is to run: its programs, a directory to throw away, and free ports."""

    programs: Path
    folder: Path
    http_port: int
    grpc_port: int


@dataclass(frozen=True)
class Peer:
    """How to run a receiver, and how to see what it has stored.

    `command` and `settings` (its environment) are made for a place. `database` is its SQLite file
    below the directory, with a table `spans` of what can be queried; None if it stores nothing, so
    that only acknowledgements can be counted.
    """

    package: str
    command: Callable[[Place], list[str]]
    settings: Callable[[Place], Mapping[str, str]] = lambda _: {}
    headers: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    connections: int = 8


PEERS: Mapping[str, Peer] = {
    "phoenix": Peer(
        package="arize-phoenix",
        command=lambda place: [str(place.programs / "phoenix"), "serve"],
        settings=lambda place: {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(place.http_port),
            "PHOENIX_GRPC_PORT": str(place.grpc_port),
            "PHOENIX_WORKING_DIR": str(place.folder),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        },
        database="phoenix.db",
    ),
    "mlflow": Peer(
        package="mlflow",
        command=lambda place: [
            str(place.programs / "mlflow"),
            "server",
            *("--host", "127.0.0.1", "--port", str(place.http_port)),
            *("--backend-store-uri", f"sqlite:///{place.folder}/mlflow.db"),
            *("--artifacts-destination", str(place.folder / "artifacts")),
        ],
        settings=lambda place: {
            "PATH": f"{place.programs}:{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        headers={"x-mlflow-experiment-id": "0"},
        database="mlflow.db",
        connections=1,  # it writes in the request, and its SQLite takes one writer at a time
    ),
    "rotel": Peer(
        package="rotel",
        command=lambda place: [
            str(next(place.programs.parent.glob("lib/python3*/site-packages/rotel/rotel-agent"))),
            "start",
            *("--exporter", "blackhole"),
            *("--otlp-http-endpoint", f"127.0.0.1:{place.http_port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{place.grpc_port}"),
        ],
    ),
}


@dataclass(frozen=True)
class Measured:
    """Spans per second: until queryable if the peer stores them, else acknowledged."""

    version: str
    spans: int
    spans_per_s: float


def measure(name: str, seconds: float = SECONDS) -> Measured:
    """Install the peer if need be, start it, keep it busy for about `seconds`.

    Raises OSError, RuntimeError or a subprocess error with the reason when it cannot be.
    """
    peer = PEERS[name]
    programs = installed(name, peer.package)
    with tempfile.TemporaryDirectory(prefix=f"quietpager-bench-{name}-") as folder:
        http_port, grpc_port = _free_ports()
        place = Place(programs, Path(folder), http_port, grpc_port)
        with _running(peer, place) as url:
            if peer.database is None:
                spans, rate = _acknowledged(peer, url, seconds)
            else:
                spans, rate = _stored(peer, url, place.folder / peer.database, seconds)
    (version,) = versions(programs, [peer.package])
    return Measured(version, spans, rate)


def _acknowledged(peer: Peer, url: str, seconds: float) -> tuple[int, float]:
    for each in (min(2.0, seconds), seconds):  # the first time is to warm up
        load = Load(url, seconds=each, connections=peer.connections, headers=peer.headers)
        with sending(load) as result:
            sent = result.result()
    return sent.records, sent.records / sent.seconds


def _stored(peer: Peer, url: str, database: Path, seconds: float) -> tuple[int, float]:
    """From the first request until as many spans are queryable as were sent.

    As many as keep it busy for most of `seconds`: found by sending more until it does. Before that
    it is warmed up, each of its workers, if it has several. The better of two times counts.
    """

    def deliver(requests: int) -> float:
        wanted = _spans(database) + requests * RECORDS_PER_REQUEST
        connections = min(peer.connections, requests)
        load = Load(url, requests=requests, connections=connections, headers=peer.headers)
        started = time.monotonic()
        send(load)
        wait_until_counted(lambda: _spans(database), wanted, f"spans in {database.name}", every=0.1)
        return time.monotonic() - started

    warm_at = time.monotonic() + seconds
    for _ in range(_WARM_UP_CONNECTIONS):
        deliver(1)
        if time.monotonic() > warm_at:
            break
    requests = 1
    while (took := deliver(requests)) < _BUSY_FOR * seconds and requests < _MOST_REQUESTS:
        more = int(requests * min(_GROW_AT_MOST, seconds / took))
        requests = min(max(more, requests + 1), _MOST_REQUESTS)
    spans = requests * RECORDS_PER_REQUEST
    return spans, spans / min(took, deliver(requests))


def _spans(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM spans").fetchone()
    return int(count)


@contextmanager
def _running(peer: Peer, place: Place) -> Iterator[str]:
    """The peer, from when it answers on its HTTP port; gives the URL, and ends all it started."""
    log = place.folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            peer.command(place),
            cwd=place.folder,
            env=free_environment(**peer.settings(place)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_listening(process, place.http_port)
            yield f"http://127.0.0.1:{place.http_port}"
        except Exception as fault:
            raise RuntimeError(f"{fault}; its log ends: {log.read_text()[-500:]}") from fault
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with exit code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"it did not listen within {_START_SECONDS:.0f} s")


def _free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]
