"""Senders that are slow, huge or hostile do not stop those that are not, nor fill the memory."""

import gzip
import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from lake import Lake
from tests.faults.batches import span_batch
from tests.faults.senders import EXPORT_SPANS, PROTOBUF, check_lake, load
from tests.sidecar import Processes

MIB = 1024 * 1024
LARGEST = 64 * MIB
IN_FLIGHT = 256 * MIB
SLOW_CLIENTS = 200
# Bodies in flight, what the two decoding threads make of theirs, and the process itself.
MOST_RESIDENT = 700 * MIB

Attack = Callable[[str, threading.Event], None]
NoCompression, Gzip = grpc.Compression.NoCompression, grpc.Compression.Gzip


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def head(length: int) -> bytes:
    return (
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


def dribble(url: str, finish: threading.Event) -> None:
    """200 clients that each send a byte now and then of the mebibyte that they promised."""
    clients = [connect(url) for _ in range(SLOW_CLIENTS)]
    try:
        for client in clients:
            client.sendall(head(MIB))
        while not finish.wait(0.1):
            for client in clients:
                client.send(b"\x0a")
    finally:
        for client in clients:
            client.close()


def hold_all_memory(url: str, finish: threading.Event) -> None:
    """Clients that send 64 MiB except for the last byte, and wait."""
    all_but_a_byte(url, finish, IN_FLIGHT // LARGEST + 2, LARGEST)


def are_refused_halfway(url: str, finish: threading.Event) -> None:
    """Many clients side by side with 32 MiB each, most of which are told so in the middle."""
    all_but_a_byte(url, finish, 100, 32 * MIB)


def all_but_a_byte(url: str, finish: threading.Event, number: int, size: int) -> None:
    clients = [connect(url) for _ in range(number)]
    whole = memoryview(head(size) + bytes(size - 1))
    left = dict.fromkeys(clients, whole)
    with selectors.DefaultSelector() as ready:
        for client in clients:
            client.setblocking(False)
            ready.register(client, selectors.EVENT_WRITE)
        while not finish.is_set():
            for key, _ in ready.select(0.1):
                client: Any = key.fileobj
                try:
                    sent = client.send(left[client][: 4 * MIB])
                except ConnectionError:  # refused and hung up on
                    sent = len(left[client])
                left[client] = left[client][sent:]
                if not left[client]:
                    ready.unregister(client)
    for client in clients:
        client.close()


def post_again_and_again(body: bytes, encoding: str, url: str, finish: threading.Event) -> None:
    headers = PROTOBUF | {"content-encoding": encoding}
    with httpx.Client(timeout=60, headers=headers) as client:
        while not finish.is_set():
            try:
                answer = client.post(f"{url}/v1/traces", content=body)
            except httpx.TransportError:
                continue  # hung up on in the middle of what is too much
            assert answer.status_code in {200, 400, 413, 503}


def bombs(url: str, finish: threading.Event) -> None:
    """64 KiB that expand to 64 MiB, of nothing and of empty spans."""
    n = LARGEST - 1024
    spans = b"\x12\x00" * (n // 2)
    scope = b"\x12" + varint(len(spans)) + spans
    tiny = b"\x0a" + varint(len(scope)) + scope
    with ThreadPoolExecutor(4) as pool:
        for body in (bytes(4 * LARGEST), bytes(n), tiny, tiny):
            pool.submit(post_again_and_again, gzip.compress(body, 6), "gzip", url, finish)


def huge_bodies(url: str, finish: threading.Event) -> None:
    """Bodies of 64 MiB, as fast as they go: one field that nobody knows, so nothing to keep."""
    content = os.urandom(MIB) * (LARGEST // MIB - 1)
    body = b"\xfa\x01" + varint(len(content)) + content
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(post_again_and_again, body, "", url, finish)


def calls_over_grpc(address: str, finish: threading.Event) -> None:
    """Messages of 64 MiB, half of them compressed to next to nothing, eight at a time."""
    call_again_and_again(address, finish, (NoCompression, Gzip) * 4)


def plain_calls_over_grpc(address: str, finish: threading.Event) -> None:
    """Messages of 64 MiB as they are, eight at a time: most are refused in the middle."""
    call_again_and_again(address, finish, (NoCompression,) * 8)


def call_again_and_again(
    address: str, finish: threading.Event, compressions: Iterable[grpc.Compression]
) -> None:
    content = os.urandom(16 * 1024) * ((LARGEST - MIB) // (16 * 1024))
    body = b"\xfa\x01" + varint(len(content)) + content
    with (
        grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel,
        ThreadPoolExecutor(8) as pool,
    ):
        export = channel.unary_unary(EXPORT_SPANS)
        late = grpc.StatusCode.DEADLINE_EXCEEDED

        def again_and_again(compression: grpc.Compression) -> None:
            while not finish.is_set():
                try:
                    export(body, timeout=60, compression=compression)
                except grpc.RpcError as refusal:
                    if refusal.code() not in {grpc.StatusCode.UNAVAILABLE, late}:
                        raise

        sending = [pool.submit(again_and_again, compression) for compression in compressions]
        for each in sending:
            each.result()


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


@contextmanager
def under(attack: Attack, url: str) -> Iterator[None]:
    """While the attack runs in a thread; raises what ended it early."""
    finish = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        attacking = pool.submit(attack, url, finish)
        try:
            yield
            assert not attacking.done() or attacking.result()
        finally:
            finish.set()


def in_flight(url: str) -> float:
    """What the receiver says that it holds."""
    metrics = httpx.get(f"{url}/metrics", timeout=30).text
    (value,) = re.findall(r"^quietpager_ingest_in_flight_bytes (\S+)$", metrics, re.MULTILINE)
    return float(value)


def peak_resident(pid: int) -> int:
    """The most memory that the process ever had resident, in bytes."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(peak) * 1024


@pytest.mark.parametrize(
    "attack",
    [
        dribble,
        hold_all_memory,
        are_refused_halfway,
        bombs,
        huge_bodies,
        plain_calls_over_grpc,
        pytest.param(calls_over_grpc, marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.nightly)])
def test_a_healthy_sender_is_served_all_the_time(
    tmp_path: Path, attack: Attack, seconds: float
) -> None:
    """Every one of its batches is acknowledged at once, and the receiver's memory is bounded."""
    with Processes(tmp_path / "data", tmp_path / "log") as sidecar:
        sidecar.start_and_wait("receiver")
        held = served = 0
        over_grpc = attack in {calls_over_grpc, plain_calls_over_grpc}
        target = sidecar.grpc if over_grpc else sidecar.url
        with under(attack, target), httpx.Client(timeout=30, headers=PROTOBUF) as healthy:
            end = time.monotonic() + seconds
            while time.monotonic() < end or served < 10 or not held:
                answer = healthy.post(f"{sidecar.url}/v1/traces", content=span_batch(100)[1])
                assert answer.status_code == 200, answer.content
                served += 1
                held = max(held, in_flight(sidecar.url))
                time.sleep(0.02)
        assert 0 < held <= IN_FLIGHT
        assert peak_resident(sidecar.pid("receiver")) < MOST_RESIDENT
        sidecar.stop()


def test_the_journal_stays_within_its_budget(tmp_path: Path) -> None:
    """Without a writer the journal stops growing; with one everything goes on and is there once."""
    budget = 2 * MIB
    with (
        Processes(tmp_path / "data", tmp_path / "log", journal_budget=budget) as sidecar,
        load(sidecar) as sending,
    ):
        sidecar.start_and_wait("receiver")
        sending.wait_until_each(lambda sent: sent.retries, more=20)
        files = [*(tmp_path / "data" / "journal").glob("*/*")]
        size = sum(path.stat().st_size for path in files if path.is_file())
        assert budget <= size < 2 * budget
        sidecar.start_and_wait("writer")
        sending.wait_until_each(lambda sent: len(sent.acknowledged), more=1000)
        sending.finish()
        sidecar.stop()
    check_lake(Lake(tmp_path / "data" / "lake"), sending)
