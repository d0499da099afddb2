"""Senders over gRPC that are slow, huge or wrong do no harm to the others."""

import gzip
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic

import grpc
import httpx
import pytest
import zstandard
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.ingest.batches import journalled_spans, spans
from tests.ingest.grpc_caller import Caller, framed
from tests.ingest.running import RunningReceiver

MIB = 1024 * 1024
StartReceiver = Callable[..., RunningReceiver]


def export(receiver: RunningReceiver) -> None:
    """What a healthy sender does, with the official client."""
    with grpc.insecure_channel(receiver.grpc) as channel:
        TraceServiceStub(channel).Export(spans(), timeout=20)


def in_flight(receiver: RunningReceiver) -> float:
    """The bytes of requests that the receiver holds, as it says itself."""
    lines = httpx.get(f"{receiver.http}/metrics").text.splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith("quietpager_ingest_in_flight"))
    return float(value)


def becomes_idle(receiver: RunningReceiver) -> bool:
    deadline = monotonic() + 20
    while in_flight(receiver):
        assert monotonic() < deadline
    return True


@pytest.mark.parametrize("callers", [12, pytest.param(200, marks=pytest.mark.nightly)])
def test_uploads_that_never_end_are_bounded_in_memory(
    start_receiver: StartReceiver, callers: int
) -> None:
    """Those over the limit are asked to come back; healthy senders go on, and all is given back."""
    receiver = start_receiver(max_body_bytes=8 * MIB, max_in_flight_bytes=16 * MIB)
    with ExitStack() as stack:
        opened: list[Caller] = []
        for _ in range(callers):
            caller = stack.enter_context(Caller(receiver.grpc))
            opened.append(caller)
            caller.begin()
            caller.send(framed(bytes(8 * MIB))[: 2 * MIB])
            assert in_flight(receiver) <= 16 * MIB
        refused = [caller for caller in opened if caller.is_answered(within_seconds=0.2)]
        assert len(refused) >= callers - 8
        for caller in refused:
            assert caller.code == Code.UNAVAILABLE
            retry = RetryInfo()
            assert caller.status.details[0].Unpack(retry)
            assert retry.retry_delay.seconds == 1
        assert in_flight(receiver) >= 10 * MIB
        export(receiver)
    assert becomes_idle(receiver)
    assert len(journalled_spans(receiver.data)) == 1


def test_a_call_that_is_too_slow_is_asked_to_come_back(start_receiver: StartReceiver) -> None:
    """After the time that a body may take, with RetryInfo."""
    receiver = start_receiver(body_timeout_seconds=0.2)
    with Caller(receiver.grpc) as caller:
        caller.begin()
        caller.send(b"\x00")
        assert caller.answer().code == Code.UNAVAILABLE
        assert "within 0.2 s" in caller.message
        assert len(caller.status.details) == 1
    assert becomes_idle(receiver)


def test_bombs_at_a_time_are_bounded_in_memory(start_receiver: StartReceiver) -> None:
    """What a small message decompresses to counts as much as what is sent."""
    receiver = start_receiver(max_body_bytes=8 * MIB, max_in_flight_bytes=16 * MIB)
    bomb = zstandard.ZstdCompressor().compress(bytes(9 * MIB))
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller(receiver.grpc)) for _ in range(10)]
        for caller in callers:
            caller.begin([("grpc-encoding", "zstd")])
            caller.send(framed(bomb, flag=1), last=True)
        for caller in callers:
            assert caller.answer().code == Code.RESOURCE_EXHAUSTED
            assert not caller.status.details, "which says: do not send it again"
        export(receiver)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", None),
        ("", None),
    ],
)
def test_every_encoding_of_otlp(
    receiver: RunningReceiver, encoding: str, compress: Callable[[bytes], bytes] | None
) -> None:
    """Also zstd, which the collector's exporter can send and official servers do not take."""
    request = spans()
    message = request.SerializeToString()
    with Caller(receiver.grpc) as caller:
        caller.begin([("grpc-encoding", encoding)] if encoding else [])
        caller.send(framed(compress(message), flag=1) if compress else framed(message), last=True)
        assert (caller.answer().code, caller.body) == (Code.OK, framed(b""))
    assert journalled_spans(receiver.data) == [request]


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        ({"grpc-encoding": "br"}, framed(b""), Code.UNIMPLEMENTED, "use one of identity, deflate"),
        ({}, framed(b"", flag=1), Code.INVALID_ARGUMENT, "flag 1 and grpc-encoding ''"),
        ({}, framed(b"", flag=7), Code.INVALID_ARGUMENT, "flag 7"),
        ({}, framed(b"") * 2, Code.INVALID_ARGUMENT, "more than the one message"),
        ({}, framed(b"1234")[:-1], Code.INVALID_ARGUMENT, "ends after 8 bytes"),
        ({}, b"\x00\x00", Code.INVALID_ARGUMENT, "ends after 2 bytes"),
        ({}, b"", Code.INVALID_ARGUMENT, "ends after 0 bytes"),
        ({}, b"\x00\xff\xff\xff\xff", Code.RESOURCE_EXHAUSTED, "larger than"),
    ],
)
def test_what_is_no_call_of_otlp_is_refused_for_good(
    receiver: RunningReceiver, headers: dict[str, str], body: bytes, code: int, message: str
) -> None:
    """With a code on which no client tries again, and in words."""
    with Caller(receiver.grpc) as caller:
        caller.begin(headers.items())
        caller.send(body, last=True)
        assert caller.answer().code == code
        assert message in caller.message
        assert "zstd" in caller.headers["grpc-accept-encoding"]


def test_what_is_no_grpc_is_told_so_in_http(receiver: RunningReceiver) -> None:
    """As gRPC's rules for servers have it."""
    for headers, status in (({":method": "GET"}, "405"), ({"content-type": "text/html"}, "415")):
        with Caller(receiver.grpc) as caller:
            caller.begin(headers.items())
            assert caller.answer().headers[":status"] == status


def test_a_client_that_takes_no_answer_yet_gets_it_later(receiver: RunningReceiver) -> None:
    """The answer's body waits for the client's window."""
    with Caller(receiver.grpc, window=0) as caller:
        caller.begin()
        caller.send(framed(spans().SerializeToString()), last=True)
        deadline = monotonic() + 20
        while not journalled_spans(receiver.data):
            assert monotonic() < deadline
        caller.make_room()
        assert caller.answer().code == Code.OK


@pytest.fixture(scope="module")
def one_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    from ingest import ReceiverSettings

    data = tmp_path_factory.mktemp("hostile")
    running = RunningReceiver(ReceiverSettings(data, http_port=0, grpc_port=0, min_free_bytes=0))
    yield running
    running.stop()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME = st.builds(
    lambda length, kind, flags, number, body: (
        (len(body) if length is None else length).to_bytes(3, "big")
        + bytes([kind, flags])
        + number.to_bytes(4, "big")
        + body
    ),
    st.none() | st.integers(0, 2**24 - 1),
    st.integers(0, 12),
    st.integers(0, 255),
    st.integers(0, 5),
    st.binary(max_size=40),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(st.binary(max_size=60) | FRAME, max_size=8))
def test_any_bytes_on_the_wire(
    one_receiver: RunningReceiver, greets: bool, junk: list[bytes]
) -> None:
    """Whatever frames come in whatever order: that connection ends, and nothing is held or felt."""
    host, _, port = one_receiver.grpc.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            connection.sendall((PREFACE if greets else b"") + b"".join(junk))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass
    with Caller(one_receiver.grpc) as caller:
        caller.begin()
        caller.send(framed(b""), last=True)
        assert caller.answer().code == Code.OK
    assert in_flight(one_receiver) == 0
