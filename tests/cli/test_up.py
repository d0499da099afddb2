"""`quietpager up`: starts, says where, drains, and refuses clearly."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.cli.running import process, quietpager, run
from tests.sidecar import Sidecar, children, log_lines, start_sidecar, until_gone

Start = Callable[..., Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts sidecars on one data directory, and ends those that a test leaves running."""
    with ExitStack() as ending:

        def start(*options: str) -> Sidecar:
            sidecar = start_sidecar(tmp_path / "data", *options)
            ending.callback(sidecar.end)
            return sidecar

        yield start


def send(sidecar: Sidecar, number: int = 10) -> None:
    spans = run(number, "acme", "gpt-4o-mini", tool_fails=False)
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body).raise_for_status()


def count_spans(data: Path) -> int:
    query = "SELECT count(*) AS n FROM spans"
    done = quietpager("sql", "--data", str(data), "--format", "csv", query)
    return int(done.stdout.split()[-1])


def test_endpoints(sidecar: Sidecar) -> None:
    """One aligned line per endpoint is printed, and each endpoint answers."""
    assert [line.partition("  ")[0] for line in sidecar.printed] == [
        "OTLP/HTTP", "OTLP/gRPC", "Dashboard",
    ]  # fmt: skip
    assert len({line.rindex("  ") for line in sidecar.printed}) == 1
    host, _, port = sidecar.endpoints["OTLP/gRPC"].partition(":")

    socket.create_connection((host, int(port))).close()
    assert httpx.get(f"{sidecar.endpoints['Dashboard']}/healthz").is_success
    assert httpx.get(f"{sidecar.endpoints['Dashboard']}/readyz").is_success


def test_an_endless_head_is_not_kept(sidecar: Sidecar) -> None:
    """The dashboard hangs up on a client whose headers never end, and holds little of them."""
    host, _, port = sidecar.endpoints["Dashboard"].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 32 * 1024 * 1024)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drains(number: int, start: Start, tmp_path: Path) -> None:
    """SIGTERM and Ctrl-C write everything that was acknowledged, and exit 0."""
    config = tmp_path / "quietpager.toml"
    config.write_text('[[alerts]]\nname = "ttfb"\n[[webhooks]]\nurl = "http://127.0.0.1:9/"')
    sidecar = start("--config", str(config))
    send(sidecar)

    assert sidecar.end(number) == 0
    assert count_spans(sidecar.data) == 3
    drained = [(line["role"], line["ending"]) for line in log_lines(sidecar, "process.stopped")]
    assert drained == [(role, "exit code 0") for role in ("receiver", "writer", "reader")]


def test_continues(start: Start, tmp_path: Path) -> None:
    """A restart goes on where the last one ended."""
    for number in (10, 20):
        sidecar = start()
        send(sidecar, number)
        assert sidecar.end() == 0

    assert count_spans(tmp_path / "data") == 6


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is told with its number, the endpoint and the option."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = process("up", "--data", str(tmp_path / "data"), "--otlp-grpc", f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"quietpager: OTLP/gRPC cannot listen on 127.0.0.1:{port}: port {port} is in use; "
        "choose another with --otlp-grpc HOST:PORT\n"
    )


def test_one_per_directory(sidecar: Sidecar) -> None:
    """A second sidecar on the same data is refused, and told which process has it."""
    done = process("up", "--data", str(sidecar.data))

    assert done.returncode == 1
    assert done.stderr == (
        f"quietpager: {sidecar.data} is in use by the sidecar with process id "
        f"{sidecar.process.pid}; stop it, or choose another directory with --data\n"
    )


def test_bad_objectives(tmp_path: Path) -> None:
    """What only a child can find wrong is told in one line, too, and nothing is left running."""
    (tmp_path / "slo.yaml").write_text("apiVersion: openslo/v2\nkind: SLO\n")
    (tmp_path / "quietpager.toml").write_text(
        'slo = "slo.yaml"\notlp_http = "127.0.0.1:0"\notlp_grpc = "127.0.0.1:0"\n'
        'dashboard = "127.0.0.1:0"'
    )
    done = process("up", "--config", str(tmp_path / "quietpager.toml"))

    assert done.returncode == 2
    assert "slo.yaml:1: " in done.stderr.splitlines()[-1]


def test_a_child_dies(start: Start) -> None:
    """A process that dies is started again on the same port; the sidecar goes on."""
    sidecar = start()
    victim = children(sidecar)["receiver"]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while children(sidecar)["receiver"] == victim:
        assert time.monotonic() < deadline, sidecar.log.read_text()
        time.sleep(0.05)
    send(sidecar)

    assert sidecar.end() == 0
    assert count_spans(sidecar.data) == 3


def test_the_supervisor_dies(start: Start, tmp_path: Path) -> None:
    """When the supervisor is killed its processes drain and end; a new sidecar takes over."""
    sidecar = start()
    send(sidecar)
    orphans = children(sidecar).values()
    assert sidecar.end(signal.SIGKILL) == -signal.SIGKILL
    successor = start()
    for pid in orphans:
        until_gone(pid)
    send(successor, 20)

    assert successor.end() == 0
    assert count_spans(tmp_path / "data") == 6
