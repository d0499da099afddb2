"""The receiver as a process: back-pressure, faults, draining, one per data directory."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.journal import closed_segments, retire
from ingest.ledger import Ledger
from ingest.lock import DirectoryInUse
from ingest.receive import intake as intake_module
from tests.ingest.batches import journalled_spans, span_ids, spans
from tests.ingest.grpc_caller import Caller, framed
from tests.ingest.running import RunningReceiver
from tests.ingest.watched_disk import WatchedDisk

PROTOBUF = {"content-type": "application/x-protobuf"}
StartReceiver = Callable[..., RunningReceiver]


def post(receiver: RunningReceiver, body: bytes) -> httpx.Response:
    return httpx.post(f"{receiver.http}/v1/traces", content=body, headers=PROTOBUF, timeout=20)


def begin_upload(receiver: RunningReceiver, length: int, part: bytes) -> http.client.HTTPConnection:
    """A request of `length` bytes of which only `part` has been sent."""
    address = httpx.URL(receiver.http)
    connection = http.client.HTTPConnection(address.host, address.port, timeout=20)
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("content-type", PROTOBUF["content-type"])
    connection.putheader("content-length", str(length))
    connection.endheaders(part)
    return connection


def sample(receiver: RunningReceiver, name: str) -> int:
    """One number of the receiver's own metrics."""
    lines = httpx.get(f"{receiver.http}/metrics").text.splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(name + " ")]
    return int(float(value))


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll for up to ten seconds."""
    pause = threading.Event()
    for _ in range(1000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true within ten seconds")


@pytest.fixture
def disk_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """fdatasync returns only once this event is set."""
    gate = threading.Event()
    fdatasync = os.fdatasync

    def wait(fd: int) -> None:
        gate.wait(20)
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", wait)
    yield gate
    gate.set()


def test_the_answer_waits_for_the_disk(
    receiver: RunningReceiver, disk_gate: threading.Event
) -> None:
    """No acknowledgement before the batch is durable; health is answered all the while."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, receiver, spans().SerializeToString())
        wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") > 0)
        for _ in range(20):
            assert httpx.get(f"{receiver.http}/healthz").status_code == 200
        assert not answer.done()
        disk_gate.set()
        assert answer.result().status_code == 200


def test_a_full_journal_asks_to_come_back(start_receiver: StartReceiver) -> None:
    """Over its budget the receiver answers 503 with Retry-After, until the writer catches up."""
    receiver = start_receiver(journal_budget_bytes=2000, segment_seconds=0.05)
    accepted = refused = 0
    while not refused:
        response = post(receiver, spans(10).SerializeToString())
        accepted += response.status_code == 200
        refused += response.status_code == 503
    assert accepted >= 1
    assert response.headers["retry-after"] == "1"
    assert b"the writer is behind" in response.content
    assert httpx.get(f"{receiver.http}/readyz").status_code == 503
    directory = receiver.data / "journal" / "traces"
    wait_until(lambda: not list(directory.glob("*.open")))
    for segment in closed_segments(directory):
        retire(segment, [])
    wait_until(lambda: httpx.get(f"{receiver.http}/readyz").status_code == 200)
    assert post(receiver, spans(1).SerializeToString()).status_code == 200


def test_a_nearly_full_disk_asks_to_come_back(start_receiver: StartReceiver) -> None:
    """What must stay free for the writer is not used up by the journal."""
    receiver = start_receiver(min_free_bytes=2**60)
    response = post(receiver, spans().SerializeToString())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert b"must stay free" in response.content


def test_a_failing_disk_loses_and_doubles_nothing(receiver: RunningReceiver) -> None:
    """The batch that does not fit gets 503; sent again when the disk takes it, it is there once."""
    request = spans(200)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # write() fails half-way: EFBIG
    try:
        first = post(receiver, request.SerializeToString())
        small = spans(1)
        assert post(receiver, small.SerializeToString()).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (first.status_code, first.headers["retry-after"]) == (503, "1")
    assert post(receiver, request.SerializeToString()).status_code == 200
    assert journalled_spans(receiver.data) == [small, request]


def test_a_directory_that_cannot_be_synced_loses_nothing(
    start_receiver: StartReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a segment whose new name may not be on disk senders get 503, and are stored later."""
    disk = WatchedDisk(monkeypatch)
    receiver = start_receiver(segment_seconds=0.2)
    first, second = spans(1), spans(1)
    assert post(receiver, first.SerializeToString()).status_code == 200
    disk.refuses_directory_syncs = True
    wait_until(lambda: closed_segments(receiver.data / "journal" / "traces"))
    refused = post(receiver, second.SerializeToString())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    disk.refuses_directory_syncs = False
    assert post(receiver, second.SerializeToString()).status_code == 200
    assert post(receiver, second.SerializeToString()).status_code == 200
    receiver.stop()
    assert journalled_spans(receiver.data) == [first, second]


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("a bug")], ids=repr)
def test_a_ledger_that_fails_hangs_nobody(
    start_receiver: StartReceiver, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Whatever it raises, senders are answered, and all is stored once it works again."""
    failing = threading.Event()
    failing.set()
    failed = threading.Event()
    close_segment = Ledger.close_segment

    def fail(self: Ledger, *noted: Any) -> None:
        if failing.is_set():
            failed.set()
            raise fault
        close_segment(self, *noted)

    monkeypatch.setattr(Ledger, "close_segment", fail)
    receiver = start_receiver(segment_seconds=0.1)
    requests = [spans(1), spans(1)]
    assert post(receiver, requests[0].SerializeToString()).status_code == 200
    assert failed.wait(10)
    assert post(receiver, requests[1].SerializeToString()).status_code == 200
    failing.clear()
    receiver.stop()
    assert not list((receiver.data / "journal" / "traces").glob("*.open"))
    assert journalled_spans(receiver.data) == requests


def test_a_fault_of_ours_is_retryable(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTLP clients drop a batch on 500, so a bug answers 503."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(intake_module, "decode_batch", fail)
    response = post(receiver, spans().SerializeToString())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert b"a bug" not in response.content


def test_memory_in_flight_is_bounded(start_receiver: StartReceiver) -> None:
    """While one upload holds the memory, another is asked to come back; then it is taken."""
    receiver = start_receiver(max_body_bytes=10_000, max_in_flight_bytes=10_000)
    upload = begin_upload(receiver, 9_999, bytes(8_000))
    wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") == 8_000)
    request = spans(60).SerializeToString()
    assert 2_000 < len(request) < 10_000
    response = post(receiver, request)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert b"in flight" in response.content
    upload.close()
    wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") == 0)
    assert post(receiver, request).status_code == 200


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_clients_that_only_connect_leave_room_for_others(
    start_receiver: Callable[..., RunningReceiver], monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Over the limit they are closed at once, under it when no request begins in time."""
    monkeypatch.setattr("ingest.receive.connections.MOST_CONNECTIONS", 20)
    monkeypatch.setattr("ingest.receive.http_protocol.HEAD_SECONDS", 1.0)
    monkeypatch.setattr("ingest.receive.grpc_connection.GREETING_SECONDS", 1.0)
    receiver = start_receiver()
    host, _, port = getattr(receiver, transport).removeprefix("http://").rpartition(":")
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            for _ in range(50)
        ]
        for each in strangers:
            with suppress(ConnectionError):
                each.sendall(b"P")
        for each in strangers:
            with suppress(ConnectionError):
                while each.recv(65_536):
                    pass
        assert post(receiver, b"").status_code == 200
        with Caller(receiver.grpc) as caller:
            caller.begin()
            caller.send(framed(b""), last=True)
            assert caller.answer().code == 0


POST = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"


@pytest.mark.parametrize(
    ("begin", "again", "answer"),
    [
        (POST, b"x: y\r\n", b"HTTP/1.1 431 "),
        (POST + b"x: ", b"y", b"HTTP/1.1 431 "),
        (b"POST /", b"v", b"HTTP/1.1 431 "),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n", b""),
        (POST + b"transfer-encoding: chunked\r\n\r\n1;", b"x", b""),
    ],
    ids=["headers", "header", "path", "trailers", "chunk-extension"],
)
def test_what_is_not_a_body_is_limited_too(
    receiver: RunningReceiver, begin: bytes, again: bytes, answer: bytes
) -> None:
    """A client that never ends what stands around a body is cut off before it fills the memory."""
    host, _, port = receiver.http.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as stranger:
        stranger.sendall(begin)
        with pytest.raises(ConnectionError):
            send_for_ever(stranger, again)
        answered = b""
        with suppress(ConnectionError):
            answered = stranger.recv(65_536)
    assert answered.startswith(answer)
    assert post(receiver, b"").status_code == 200


def send_for_ever(stranger: socket.socket, again: bytes) -> None:
    """3 MiB of it at the most: to whoever takes so much, more would make no difference."""
    for _ in range(200):
        stranger.sendall(again * (16_384 // len(again)))
        time.sleep(0.02)


def test_a_stalled_upload_is_given_up(start_receiver: StartReceiver) -> None:
    """A sender that stops half-way holds memory for a limited time only."""
    receiver = start_receiver(body_timeout_seconds=0.2)
    upload = begin_upload(receiver, 1000, b"abc")
    assert upload.getresponse().status == 503
    wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") == 0)
    upload.close()


def test_small_senders_are_served_beside_a_large_one(receiver: RunningReceiver) -> None:
    """A large compressed JSON body is decoded off the event loop."""
    span = {"traceId": "ab" * 16, "spanId": "ab" * 8}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span] * 100_000}]}]})
    headers = {"content-type": "application/json"}
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(
            httpx.post, f"{receiver.http}/v1/traces", content=body, headers=headers, timeout=60
        )
        wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") == len(body))
        for _ in range(3):
            assert post(receiver, spans().SerializeToString()).status_code == 200
            assert httpx.get(f"{receiver.http}/healthz").status_code == 200
        assert not large.done()
        assert large.result().json()["partialSuccess"]["rejectedSpans"] == "100000"


def test_draining_finishes_what_is_in_flight(
    receiver: RunningReceiver, disk_gate: threading.Event
) -> None:
    """A stop answers the waiting request, closes the segment and then the sockets."""
    request = spans()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, receiver, request.SerializeToString())
        wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") > 0)
        receiver.begin_to_stop()
        disk_gate.set()
        assert answer.result().status_code == 200
    receiver.stop()
    directory = receiver.data / "journal" / "traces"
    assert not list(directory.glob("*.open"))
    assert len(closed_segments(directory)) == 1
    assert journalled_spans(receiver.data) == [request]
    with pytest.raises(httpx.ConnectError):
        post(receiver, request.SerializeToString())


def test_draining_asks_newcomers_to_come_back(
    receiver: RunningReceiver, disk_gate: threading.Event
) -> None:
    """A request whose body ends after the stop is told to retry, not cut off."""
    body = spans().SerializeToString()
    upload = begin_upload(receiver, len(body), body[:10])
    wait_until(lambda: sample(receiver, "quietpager_ingest_in_flight_bytes") == 10)
    receiver.begin_to_stop()
    address = httpx.URL(receiver.http)

    def is_closed() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address.host, address.port)) != 0

    wait_until(is_closed)
    upload.send(body[10:])
    response = upload.getresponse()
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    disk_gate.set()
    receiver.stop()
    assert journalled_spans(receiver.data) == []


def test_a_batch_is_recognised_after_a_restart(
    start_receiver: StartReceiver,
) -> None:
    """The retry of an acknowledged batch is acknowledged again and stored once."""
    request = spans()
    for _ in range(2):
        receiver = start_receiver()
        assert post(receiver, request.SerializeToString()).status_code == 200
        receiver.stop()
    assert [span_ids(stored) for stored in journalled_spans(receiver.data)] == [span_ids(request)]


def test_one_receiver_per_data_directory(
    receiver: RunningReceiver, start_receiver: StartReceiver
) -> None:
    """A second one gives up with a message that names the first one's process."""
    with pytest.raises(
        DirectoryInUse, match=rf"in use by the receiver with process id {os.getpid()};"
    ):
        start_receiver()
    assert post(receiver, spans().SerializeToString()).status_code == 200


def test_a_restart_waits_for_the_old_receiver(
    receiver: RunningReceiver, start_receiver: StartReceiver
) -> None:
    """The lock of a receiver that is just going down is waited for."""
    threading.Timer(0.5, receiver.begin_to_stop).start()
    successor = start_receiver()
    assert post(successor, spans().SerializeToString()).status_code == 200


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_an_address_in_use_is_named(start_receiver: StartReceiver, transport: str) -> None:
    """The error says which address, for which transport."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port} for OTLP/"):
            start_receiver(**{f"{transport}_port": port})


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    """A limit below zero, or less memory than one body may need."""
    with pytest.raises(ValueError, match="max_in_flight_bytes 5 is below max_body_bytes"):
        intake_module.ReceiverSettings(tmp_path, max_in_flight_bytes=5)
    with pytest.raises(ValueError, match="segment_bytes is -1"):
        intake_module.ReceiverSettings(tmp_path, segment_bytes=-1)


def test_the_receiver_does_without_the_writers_libraries() -> None:
    """Importing it loads neither pyarrow nor deltalake nor duckdb: it stays small."""
    code = (
        "import sys; from ingest import serve_receiver, ReceiverSettings; "
        "sys.exit(', '.join({'pyarrow', 'deltalake', 'duckdb', 'ptars'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
